// Ten million random 4 KiB writes into a drive in its steady state, then every invariant of its
// FTL: the mapping is a bijection on valid places, no unit is lost, free superblocks are accounted
// for. What never changed is computed, not stored: of that one place in 997 is looked at.
// Usage: media_torture DRIVE.json [WRITES]
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "models/media_factory.hpp"
#include "models/nand_media.hpp"
#include "sim/base/config.hpp"
#include "sim/base/systemc.hpp"
#include "tests/bench/media_writer.hpp"

int sc_main(int argc, char** argv) {
  using namespace nvmesim;
  sc_core::sc_report_handler::set_actions("/OSCI/SystemC", sc_core::SC_DO_NOTHING);
  if (argc < 2) return 2;
  const unsigned long writes = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 10'000'000;
  std::ifstream stream(argv[1]);
  std::ostringstream text;
  text << stream.rdbuf();
  const boost::json::value drive = base::parse_json(text.str(), argv[1]);
  models::MediaConfig config;
  base::read_config(drive.at("device").at("media"), config, argv[1]);
  config.keep_data = false;
  config.ftl.precondition = models::Precondition::random;
  config.ftl.prefill_percent = 100;
  base::Scheduler scheduler("scheduler");
  base::StatisticsRegistry statistics;
  const auto media = models::make_media(config, scheduler, 1, statistics, "media");
  const auto& ftl = dynamic_cast<const models::NandMedia&>(*media).ftl();
  bench::MediaWriter(scheduler, *media, media->capacity_units()).run(writes);
  ftl.check_invariants(997);
  std::uint64_t errors = media->used_units() == media->capacity_units() ? 0 : 1;
  for (const auto& each : statistics.statistics()) {
    if (each.name == "media.ftl.integrity_errors") errors += each.value();
    if (each.name.starts_with("media.ftl.") && each.value() != 0) {
      fmt::print("{:<36} {}\n", each.name, each.value());
    }
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("{} writes in {:.3f} s simulated, {} MB of memory, {}\n", writes,
             static_cast<double>(scheduler.now().count()) / 1e12, usage.ru_maxrss / 1000,
             errors == 0 ? "every invariant holds" : "FAILED");
  return errors == 0 ? 0 : 1;
}
