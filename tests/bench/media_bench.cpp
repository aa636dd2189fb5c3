// Random 4 KiB writes straight into models::Media, without host, link and controller: 128 GiB, TLC,
// 28 % over-provisioning, in its steady state from the start. Prints writes per CPU second;
// instructions come from running it under callgrind with two numbers.
// Usage: media_bench WRITES [PAGES], the pages of a block: collection is under way after about
// 1,500 writes a page.
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include "models/media_factory.hpp"
#include "sim/base/systemc.hpp"
#include "tests/bench/media_writer.hpp"

int sc_main(int argc, char** argv) {
  using namespace nvmesim;
  sc_core::sc_report_handler::set_actions("/OSCI/SystemC", sc_core::SC_DO_NOTHING);
  const unsigned long writes = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
  models::MediaConfig config;
  config.capacity_bytes = std::uint64_t{128} << 30;
  config.ftl.over_provisioning_percent = 28;
  if (argc > 2) {
    config.nand.pages_per_block = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
  }
  config.keep_data = false;
  config.ftl.precondition = models::Precondition::random;
  config.ftl.prefill_percent = 100;
  base::Scheduler scheduler("scheduler");
  base::StatisticsRegistry statistics;
  const auto media = models::make_media(config, scheduler, 1, statistics, "media");
  const std::clock_t begin = std::clock();
  bench::MediaWriter(scheduler, *media, media->capacity_units()).run(writes);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::uint64_t host = 0;
  std::uint64_t moved = 0;
  for (const auto& each : statistics.statistics()) {
    if (each.name == "media.ftl.host_units") host = each.value();
    if (each.name == "media.ftl.gc_units") moved = each.value();
  }
  fmt::print("{} writes, {:.0f} per CPU second, write amplification {:.2f}\n", writes,
             static_cast<double>(writes) / seconds,
             static_cast<double>(host + moved) / static_cast<double>(host));
  return 0;
}
