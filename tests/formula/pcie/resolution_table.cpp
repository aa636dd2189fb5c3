// Measures how far the two resolutions of a link are apart: bandwidth of streams, latency under
// load, and 4 KiB reads one at a time beside 128 KiB streams in each direction. Prints the tables
// of pcie/README.md; with --cases each case with its values; with --check the same, and exit status
// 1 if a bandwidth differs by more than 2 % or a mean latency by more than 5 %.
#include <cmath>
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
constexpr unsigned kLoadedGenerations[] = {1, 3, 4, 5, 6};
constexpr const char* kBesideStreams = " reads 4 KiB QD1 beside 128 KiB streams in each direction";

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
  for (const unsigned generation : kLoadedGenerations) {
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
          stream.count = generation * lanes >= 80 ? 260 : 120;
          made.links[i]->begin(stream, 2, bench.script);
        }
        made.links[i]->begin(made.streams[i], 1, bench.script);
      }
    }
  }
}

double value(const Case& each, int i) {
  return each.latency ? each.streams[i].latency.mean() / 1000 : each.streams[i].gbps();
}

double difference(const Case& each) {
  return 100 * (value(each, 1) - value(each, 0)) / value(each, 0);
}

bool complete(const Case& each) {
  for (int i = 0; i < 2; ++i) {
    const auto& measured = each.streams[i];
    if (measured.finished != measured.count) return false;
    for (const auto& beside : each.background[i]) {
      // It was there all the time.
      if (beside.started != 0 && beside.last < measured.last) return false;
    }
  }
  return true;
}

int print_cases(const Bench& bench) {
  int failures = 0;
  double worst[2] = {0, 0};
  for (const Case& each : bench.cases) {
    const double limit = each.latency ? kLatencyLimit : kBandwidthLimit;
    const double apart = std::abs(difference(each));
    worst[each.latency] = std::max(worst[each.latency], apart);
    const bool bad = !complete(each) || !(apart <= limit);
    failures += bad ? 1 : 0;
    std::printf("%-70s burst %10.3f  tlp %10.3f %s  %+.2f %%%s\n", each.what.c_str(),
                value(each, 0), value(each, 1), each.latency ? "ns  " : "GB/s", difference(each),
                bad ? "  BEYOND" : "");
  }
  std::printf("largest difference: bandwidth %.2f %%, mean latency %.2f %%\n", worst[0], worst[1]);
  return failures;
}

const Case& find(const Bench& bench, const std::string& what) {
  for (const Case& each : bench.cases) {
    if (each.what == what) return each;
  }
  std::abort();
}

void print_tables(const Bench& bench) {
  const auto cell = [&](const std::string& what) {
    std::printf(" %+.2f %% |", difference(find(bench, what)));
  };
  std::printf("| bandwidth | reads 64 B | 4 KiB | 128 KiB | writes 64 B | 4 KiB | 128 KiB |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (unsigned generation = 1; generation <= 6; ++generation) {
    for (const unsigned lanes : {4U, 16U}) {
      const std::string link = name_of(link_of(generation, lanes));
      std::printf("| %s |", link.c_str());
      for (const char* what : {" reads ", " writes "}) {
        for (const char* size : {"64 B", "4 KiB", "128 KiB"}) cell(link + what + size);
      }
      std::printf("\n");
    }
  }
  std::printf(
      "\n| mean latency | 512 B at 30 %% load | 60 %% | 80 %% | 4 KiB at 30 %% | 60 %% | 80 %% "
      "|\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (const unsigned generation : kLoadedGenerations) {
    const std::string link = name_of(link_of(generation, 4));
    std::printf("| %s |", link.c_str());
    for (const char* size : {"512 B", "4 KiB"}) {
      for (const char* load : {"30", "60", "80"}) {
        cell(link + " reads " + size + " at " + load + " % load");
      }
    }
    std::printf("\n");
  }
  std::printf("\n| 4 KiB at QD1 beside 128 KiB both ways | burst | tlp | |\n|---|---|---|---|\n");
  for (unsigned generation = 1; generation <= 6; ++generation) {
    for (const unsigned lanes : {4U, 16U}) {
      const std::string link = name_of(link_of(generation, lanes));
      const Case& each = find(bench, link + kBesideStreams);
      std::printf("| %s | %.0f ns | %.0f ns | %+.2f %% |\n", link.c_str(), value(each, 0),
                  value(each, 1), difference(each));
    }
  }
}

}  // namespace
}  // namespace nvmesim::test

int sc_main(int argc, char** argv) {
  using namespace nvmesim::test;
  sc_core::sc_report_handler::set_actions("/IEEE_Std_1666/deprecated", sc_core::SC_DO_NOTHING);
  const std::string option = argc > 1 ? argv[1] : "";
  Bench bench;
  add_bandwidth(bench);
  add_loaded(bench);
  add_mixed(bench);
  sc_core::sc_start();
  if (option == "--cases" || option == "--check") {
    const int failures = print_cases(bench);
    return option == "--check" && failures != 0 ? 1 : 0;
  }
  print_tables(bench);
  return 0;
}
