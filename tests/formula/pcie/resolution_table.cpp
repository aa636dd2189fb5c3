// Measures how far the two resolutions of a link are apart: bandwidth of streams, latency under
// load, and 4 KiB reads one at a time beside 128 KiB streams in each direction. Prints the table of
// pcie/README.md. With --check: exit status 1 if bandwidth differs by more than 2 % or a mean
// latency by more than 5 %.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/formula/pcie/load.hpp"

namespace nvmesim::test {
namespace {

using pcie::LinkConfig;
using pcie::LinkResolution;

constexpr double kBandwidthLimit = 2.0;  // percent
constexpr double kLatencyLimit = 5.0;

struct Case {
  std::string what;
  bool latency = false;
  LoadedLink::Stream streams[2];        // measured: burst, tlp
  LoadedLink::Stream background[2][2];  // reads and writes beside it
  std::unique_ptr<LoadedLink> links[2];
};

struct Bench {
  base::Scheduler scheduler{"scheduler"};
  Script script{scheduler};
  std::deque<Case> cases;

  Case& add(const std::string& what, LinkConfig config, bool write, std::uint32_t bytes,
            std::uint64_t count) {
    Case& made = cases.emplace_back();
    made.what = what;
    for (int i = 0; i < 2; ++i) {
      config.resolution = i == 0 ? LinkResolution::burst : LinkResolution::tlp;
      made.links[i] = std::make_unique<LoadedLink>(
          "c" + std::to_string(2 * cases.size() + static_cast<std::size_t>(i)), config, scheduler);
      made.links[i]->memory.latency = 300ns;
      made.streams[i].write = write;
      made.streams[i].bytes = bytes;
      made.streams[i].count = count;
      made.streams[i].warm_up = count / 10;
    }
    return made;
  }
};

LinkConfig link_of(unsigned generation, unsigned lanes) {
  LinkConfig config;
  config.generation = generation;
  config.lanes = lanes;
  return config;
}

std::string name_of(const LinkConfig& config) {
  return "Gen" + std::to_string(config.generation) + " x" + std::to_string(config.lanes);
}

std::string size_of(std::uint32_t bytes) {
  return bytes < 1024 ? std::to_string(bytes) + " B" : std::to_string(bytes / 1024) + " KiB";
}

void add_bandwidth(Bench& bench) {
  for (unsigned generation = 1; generation <= 6; ++generation) {
    for (const unsigned lanes : {1U, 4U, 16U}) {
      for (const std::uint32_t bytes : {64U, 4096U, 131072U}) {
        for (const bool write : {false, true}) {
          const LinkConfig config = link_of(generation, lanes);
          Case& made =
              bench.add(name_of(config) + (write ? " writes " : " reads ") + size_of(bytes), config,
                        write, bytes, 100 + 150'000 / bytes);
          const std::uint64_t open = 16 + 65536 / bytes;
          for (int i = 0; i < 2; ++i) made.links[i]->begin(made.streams[i], open, bench.script);
        }
      }
    }
  }
}

void add_loaded(Bench& bench) {
  for (const unsigned generation : {1U, 3U, 4U, 5U, 6U}) {
    for (const std::uint32_t bytes : {512U, 4096U}) {
      for (const unsigned load : {30U, 60U, 80U}) {
        const LinkConfig config = link_of(generation, 4);
        Case& made = bench.add(name_of(config) + " reads " + size_of(bytes) + " at " +
                                   std::to_string(load) + " % load",
                               config, false, bytes, 2500);
        made.latency = true;
        const base::Time wire =
            pcie::formula::tlp_pace(generation, 4, 256)(bytes + 20 * ((bytes + 255) / 256));
        for (int i = 0; i < 2; ++i) {
          made.links[i]->arrive(made.streams[i], wire * 100 / load, base::Random(5, made.what),
                                bench.script);
        }
      }
    }
  }
}

void add_mixed(Bench& bench) {
  for (unsigned generation = 1; generation <= 6; ++generation) {
    for (const unsigned lanes : {4U, 16U}) {
      const LinkConfig config = link_of(generation, lanes);
      Case& made =
          bench.add(name_of(config) + " reads 4 KiB QD1 beside 128 KiB streams in each direction",
                    config, false, 4096, 300);
      made.latency = true;
      for (std::size_t i = 0; i < 2; ++i) {
        for (std::size_t b = 0; b < 2; ++b) {
          auto& stream = made.background[i][b];
          stream.id = 2 + b;
          stream.write = b == 1;
          stream.bytes = 131072;
          // Outlasts the reads: these take turns with two streams in each direction at worst.
          stream.count = 120;
          made.links[i]->begin(stream, 2, bench.script);
        }
        made.links[i]->begin(made.streams[i], 1, bench.script);
      }
    }
  }
}

double percent(double a, double b) {
  return 100 * (b - a) / a;
}

int report(const Bench& bench) {
  int failures = 0;
  double worst_bandwidth = 0;
  double worst_latency = 0;
  std::printf("| case | burst | tlp | difference |\n|---|---|---|---|\n");
  for (const Case& each : bench.cases) {
    const auto value = [&](int i) {
      return each.latency ? each.streams[i].latency.mean() / 1000 : each.streams[i].gbps();
    };
    const double difference = percent(value(0), value(1));
    const double limit = each.latency ? kLatencyLimit : kBandwidthLimit;
    double& worst = each.latency ? worst_latency : worst_bandwidth;
    worst = std::max(worst, std::abs(difference));
    const bool complete = each.streams[0].finished == each.streams[0].count &&
                          each.streams[1].finished == each.streams[1].count;
    const bool bad = !complete || !(std::abs(difference) <= limit);
    failures += bad ? 1 : 0;
    const char* unit = each.latency ? "ns" : "GB/s";
    const int digits = each.latency ? 0 : 3;
    std::printf("| %s | %.*f %s | %.*f %s | %+.2f %%%s |\n", each.what.c_str(), digits, value(0),
                unit, digits, value(1), unit, difference, bad ? " !" : "");
  }
  std::printf("\nlargest difference: bandwidth %.2f %%, mean latency %.2f %%\n", worst_bandwidth,
              worst_latency);
  return failures;
}

}  // namespace
}  // namespace nvmesim::test

int sc_main(int argc, char** argv) {
  using namespace nvmesim::test;
  sc_core::sc_report_handler::set_actions("/IEEE_Std_1666/deprecated", sc_core::SC_DO_NOTHING);
  const bool check = argc > 1 && std::string(argv[1]) == "--check";
  Bench bench;
  add_bandwidth(bench);
  add_loaded(bench);
  add_mixed(bench);
  sc_core::sc_start();
  const int failures = report(bench);
  return check && failures != 0 ? 1 : 0;
}
