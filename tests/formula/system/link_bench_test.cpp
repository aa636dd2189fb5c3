// The link bench against published measurements and against the closed forms.
#include "sim/system/link_bench.hpp"

#include <fmt/format.h>

#include "pcie/formula.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::system_ {
namespace {

SystemConfig configuration(const std::string& host, std::vector<std::string> settings) {
  ConfigRequest request;
  request.host = host;
  request.settings = std::move(settings);
  request.settings.emplace_back("simulation.check_protocol=true");
  return load_config(request);
}

LinkMeasurement measurement(LinkOperation operation, std::uint32_t bytes,
                            std::uint32_t outstanding = 1, std::uint64_t count = 500) {
  LinkMeasurement wanted;
  wanted.operation = operation;
  wanted.bytes = bytes;
  wanted.outstanding = outstanding;
  wanted.count = count;
  return wanted;
}

double median_ns(const LinkResult& result) {
  return static_cast<double>(result.latency.percentile(500'000)) / 1000;
}
double formula_ns(const LinkResult& result) {
  return static_cast<double>(result.formula_latency.count()) / 1000;
}

}  // namespace

// Neugebauer et al., SIGCOMM 2018, data sets: medians of DMA reads on Gen3 x8, MPS 256, MRRS 512.
TEST_CASE("the Xeon E5-2637v3 preset gives the measured DMA read medians within 10 %") {
  LinkBench bench(configuration("xeon-e5-2637v3", {"link.generation=3", "link.lanes=8"}));
  struct Row {
    std::uint32_t bytes;
    double median_ns;
  };
  constexpr Row kRows[] = {{64, 600}, {512, 747}, {1024, 907}, {2048, 1173}};
  std::vector<LinkMeasurement> wanted;
  for (const Row& row : kRows) {
    wanted.push_back(measurement(LinkOperation::dma_read, row.bytes));
  }
  const auto results = bench.run(wanted);
  REQUIRE(results.size() == std::size(kRows));
  for (std::size_t i = 0; i < results.size(); ++i) {
    INFO(kRows[i].bytes << " bytes");
    CHECK(median_ns(results[i]) == Approx(kRows[i].median_ns).epsilon(0.10));
  }
  const double slope = (median_ns(results[3]) - median_ns(results[0])) / (2048 - 64);
  CHECK(slope == Approx(0.29).epsilon(0.10));
  CHECK(bench.protocol_violations().empty());
}

TEST_CASE("operations alone on the link take what the closed forms say, of every size and kind") {
  LinkBench bench(configuration("default", {"link.read_completion_boundary_bytes=64"}));
  std::vector<LinkMeasurement> wanted;
  for (const auto operation :
       {LinkOperation::dma_read, LinkOperation::dma_write, LinkOperation::dma_write_read}) {
    for (const std::uint32_t bytes : {1u, 64u, 500u, 512u, 4096u, 12288u, 131072u}) {
      wanted.push_back(measurement(operation, bytes, 1, 50));
    }
  }
  for (const std::uint32_t bytes : {1u, 4u, 8u, 64u}) {
    wanted.push_back(measurement(LinkOperation::mmio_read, bytes, 1, 50));
    wanted.push_back(measurement(LinkOperation::mmio_write, bytes, 1, 50));
  }
  for (const LinkResult& result : bench.run(wanted)) {
    INFO(static_cast<int>(result.measurement.operation)
         << ", " << result.measurement.bytes << " bytes");
    CHECK(result.latency.count() == 49);
    CHECK(median_ns(result) == Approx(formula_ns(result)).epsilon(0.005));
    CHECK(static_cast<double>(result.bytes_per_second()) ==
          Approx(static_cast<double>(result.formula_bytes_per_second)).epsilon(0.005));
  }
  CHECK(bench.protocol_violations().empty());
}

TEST_CASE("streams reach the bandwidth of the closed forms within 1 %") {
  LinkBench bench(configuration("default", {"link.generation=3", "link.lanes=8"}));
  std::vector<LinkMeasurement> wanted;
  for (const auto operation : {LinkOperation::dma_read, LinkOperation::dma_write}) {
    for (const std::uint32_t bytes : {64u, 512u, 4096u, 131072u}) {
      wanted.push_back(measurement(operation, bytes, bytes > 4096 ? 16 : 256, 3000));
    }
  }
  wanted.push_back(measurement(LinkOperation::dma_read, 64, 4));
  wanted.push_back(measurement(LinkOperation::mmio_read, 4, 8));
  wanted.push_back(measurement(LinkOperation::mmio_write, 64, 16, 3000));
  for (const LinkResult& result : bench.run(wanted)) {
    INFO(static_cast<int>(result.measurement.operation)
         << ", " << result.measurement.bytes << " bytes");
    CHECK(static_cast<double>(result.bytes_per_second()) ==
          Approx(static_cast<double>(result.formula_bytes_per_second)).epsilon(0.01));
  }
}

// Same source: with an IOMMU a 64 B DMA read goes from 560 to 840 ns beyond its cache's 256 KiB.
TEST_CASE("with an IOMMU reads of a large window take the measured walk longer") {
  LinkBench bench(configuration(
      "xeon-e5-2637v3", {"link.generation=3", "link.lanes=8", "root_complex.iommu.enabled=true"}));
  LinkMeasurement within = measurement(LinkOperation::dma_read, 64, 1, 2000);
  within.window_bytes = 128 << 10;
  LinkMeasurement beyond = within;
  beyond.window_bytes = 64 << 20;
  const auto results = bench.run({within, beyond});
  CHECK(median_ns(results[0]) == Approx(formula_ns(results[0])).epsilon(0.001));
  CHECK(median_ns(results[1]) - median_ns(results[0]) == Approx(280).epsilon(0.10));
  CHECK(median_ns(results[1]) == Approx(formula_ns(results[1])).epsilon(0.01));
  CHECK(bench.protocol_violations().empty());
}

TEST_CASE("with an IOMMU that the kernel passes by, reads of a large window walk nowhere") {
  LinkBench bench(configuration(
      "xeon-e5-2637v3", {"link.generation=3", "link.lanes=8", "root_complex.iommu.enabled=true",
                         "host.iommu.mode=passthrough"}));
  LinkMeasurement within = measurement(LinkOperation::dma_read, 64, 1, 500);
  LinkMeasurement beyond = within;
  beyond.window_bytes = 64 << 20;
  const auto results = bench.run({within, beyond});
  CHECK(median_ns(results[1]) == median_ns(results[0]));
  CHECK(median_ns(results[1]) == Approx(formula_ns(results[1])).epsilon(0.001));
}

// Same source: memory of the other socket adds about 125 ns.
TEST_CASE("a remote NUMA node adds the measured latency") {
  LinkBench bench(configuration(
      "xeon-e5-2637v3",
      {"link.generation=3", "link.lanes=8", "root_complex.remote_memory_bytes=68719476736"}));
  const auto results = bench.run({measurement(LinkOperation::dma_read, 64)});
  CHECK(median_ns(results[0]) == Approx(600 + 125).epsilon(0.10));
  CHECK(median_ns(results[0]) == Approx(formula_ns(results[0])).epsilon(0.001));
}

TEST_CASE("walks of the IOMMU bound the rate of reads as the closed form says") {
  LinkBench bench(configuration(
      "xeon-e5-2637v3", {"link.generation=3", "link.lanes=8", "root_complex.iommu.enabled=true",
                         "root_complex.iommu.walkers=1"}));
  LinkMeasurement wanted = measurement(LinkOperation::dma_read, 64, 32, 5000);
  wanted.window_bytes = 64 << 20;
  const auto results = bench.run({wanted});
  CHECK(results[0].formula_bytes_per_second < 64'000'000'000 / 250);
  CHECK(static_cast<double>(results[0].bytes_per_second()) ==
        Approx(static_cast<double>(results[0].formula_bytes_per_second)).epsilon(0.01));
}

namespace {

void check_bandwidth(const LinkResult& result, double tolerance = 0.01) {
  INFO(static_cast<int>(result.measurement.operation)
       << ", " << result.measurement.bytes << " bytes, " << result.measurement.outstanding);
  CHECK(static_cast<double>(result.bytes_per_second()) ==
        Approx(static_cast<double>(result.formula_bytes_per_second)).epsilon(tolerance));
}

constexpr LinkOperation kEvery[] = {LinkOperation::dma_read, LinkOperation::dma_write,
                                    LinkOperation::dma_write_read, LinkOperation::mmio_read,
                                    LinkOperation::mmio_write};

}  // namespace

namespace {

// Operations of every size and kind, alone, by a switch with these links.
void check_alone_behind_switch(std::vector<std::string> settings, double tolerance) {
  settings.emplace_back("pcie_switch.ports=1");
  LinkBench bench(configuration("default", std::move(settings)));
  std::vector<LinkMeasurement> wanted;
  for (const LinkOperation operation : kEvery) {
    for (const std::uint32_t bytes : {4U, 64U, 512U, 2048U, 4096U, 12288U, 131072U}) {
      if (operation >= LinkOperation::mmio_read && bytes > 64) continue;
      wanted.push_back(measurement(operation, bytes, 1, 50));
    }
  }
  for (const LinkResult& result : bench.run(wanted)) {
    INFO(static_cast<int>(result.measurement.operation)
         << ", " << result.measurement.bytes << " bytes");
    CHECK(median_ns(result) == Approx(formula_ns(result)).epsilon(tolerance));
  }
  CHECK(bench.protocol_violations().empty());
}

}  // namespace

TEST_CASE("one device behind a switch takes both links, its latency, and no more") {
  check_alone_behind_switch({"uplink.generation=3", "uplink.lanes=8", "link.generation=4"}, 0.005);
}

TEST_CASE("behind a switch with a slower uplink each TLP goes on when it has come") {
  // In which order pages of a write and requests of a read pass a slow wire has no closed form.
  check_alone_behind_switch({"uplink.generation=3", "uplink.lanes=2", "link.generation=4"}, 0.02);
}

TEST_CASE("behind a switch with a faster uplink each TLP goes on when it has come") {
  check_alone_behind_switch({"uplink.generation=5", "uplink.lanes=16", "link.generation=3"}, 0.005);
}

TEST_CASE("where each TLP is simulated a switch takes as long as where transfers are") {
  check_alone_behind_switch({"uplink.resolution=tlp", "link.resolution=tlp", "uplink.lanes=8"},
                            0.01);
}

TEST_CASE("a switch between a link that computes and one that simulates TLPs takes as long") {
  check_alone_behind_switch({"uplink.resolution=tlp", "uplink.lanes=8"}, 0.01);
}

namespace {

// Up to a page the closed forms hold however the two links cut; of several pages they say something
// only where the load of all hides how long one takes.
void check_other_cuts(std::vector<std::string> settings) {
  settings.emplace_back("pcie_switch.ports=1");
  LinkBench bench(configuration("default", std::move(settings)));
  std::vector<LinkMeasurement> wanted;
  for (const LinkOperation operation :
       {LinkOperation::dma_read, LinkOperation::dma_write, LinkOperation::dma_write_read}) {
    for (const std::uint32_t bytes : {64U, 300U, 2048U, 4096U}) {
      wanted.push_back(measurement(operation, bytes, 1, 50));
    }
  }
  const std::size_t of_a_page = wanted.size();
  for (const std::uint32_t bytes : {8192U, 65536U}) {
    wanted.push_back(measurement(LinkOperation::dma_read, bytes, 1, 50));
    wanted.push_back(measurement(LinkOperation::dma_write, bytes, 1, 50));
  }
  wanted.push_back(measurement(LinkOperation::dma_write, 65536, 32, 300));
  const auto results = bench.run(wanted);
  for (std::size_t i = 0; i < results.size(); ++i) {
    INFO(static_cast<int>(results[i].measurement.operation)
         << ", " << results[i].measurement.bytes << " bytes");
    if (i < of_a_page) {
      CHECK(median_ns(results[i]) == Approx(formula_ns(results[i])).epsilon(0.005));
    } else if (i + 1 < results.size()) {
      CHECK(results[i].formula_latency == base::Time(0));
      CHECK(results[i].formula_bytes_per_second == 0);
    } else {
      check_bandwidth(results[i], 0.02);
    }
  }
}

}  // namespace

TEST_CASE("behind a switch whose uplink takes shorter TLPs than the link pages take both") {
  check_other_cuts({"link.max_payload_bytes=512", "uplink.max_payload_bytes=128",
                    "uplink.read_completion_boundary_bytes=64", "uplink.lanes=2"});
}
TEST_CASE("behind a switch whose uplink takes longer TLPs than the link pages take both") {
  check_other_cuts({"link.max_payload_bytes=128", "uplink.max_payload_bytes=4096",
                    "link.max_read_request_bytes=128", "link.lanes=1", "uplink.lanes=16"});
}

TEST_CASE("a switch stores one TLP: a 4 KiB read takes two of its latencies and a link's more") {
  LinkBench bench(
      configuration("default", {"pcie_switch.ports=1", "uplink.generation=3", "uplink.lanes=8",
                                "link.generation=3", "link.lanes=8"}));
  const LinkResult result = bench.run({measurement(LinkOperation::dma_read, 4096, 1, 50)})[0];
  const auto pace = pcie::formula::tlp_pace(3, 8, 256);
  const base::Time requests = pace(8 * 24 + 24);
  const base::Time completions = pace(16 * (256 + 20) + 256 + 20);
  const base::Time expected = requests + completions + 4 * base::Time(140ns) +
                              2 * base::Time(105ns) + base::Time(290ns) + 4 * base::Time(150ns);
  CHECK(median_ns(result) == Approx(static_cast<double>(expected.count()) / 1000).epsilon(0.0005));
}

namespace {

// One operation open in each of so many devices behind a switch: together they have what one has
// alone, times their number, until the uplink is full.
void check_one_open_each(unsigned devices, double tolerance = 0.01) {
  LinkBench bench(configuration("default", {fmt::format("pcie_switch.ports={}", devices)}));
  const auto results = bench.run({measurement(LinkOperation::dma_read, 4096, 1, 300),
                                  measurement(LinkOperation::dma_write, 4096, 1, 300),
                                  measurement(LinkOperation::dma_write_read, 4096, 1, 300),
                                  measurement(LinkOperation::mmio_read, 4, 1, 300)});
  for (const LinkResult& result : results) check_bandwidth(result, tolerance);
}

}  // namespace

// The closed form falls from device to device by no more than the uplink's fair share, so this
// holds too: no device is slower among two than among four.
TEST_CASE("two devices behind a switch are not in each other's way for being in step") {
  check_one_open_each(2);
}
TEST_CASE("three devices behind a switch are not in each other's way for being in step") {
  check_one_open_each(3);
}
TEST_CASE("four devices behind a switch have as much each as the uplink has for them") {
  check_one_open_each(4);
}
TEST_CASE("eight devices behind a switch have as much each as the uplink has for them") {
  check_one_open_each(8, 0.025);  // the begin and the end of a full uplink are not
}

TEST_CASE("four devices share the bandwidth of their uplink, each the same part") {
  LinkBench bench(
      configuration("default", {"pcie_switch.ports=4", "uplink.generation=4", "uplink.lanes=4",
                                "link.generation=4", "link.lanes=4"}));
  const auto results = bench.run({measurement(LinkOperation::dma_read, 4096, 64, 2000),
                                  measurement(LinkOperation::dma_write, 4096, 64, 2000),
                                  measurement(LinkOperation::dma_write, 64, 64, 2000),
                                  measurement(LinkOperation::dma_read, 131072, 8, 300),
                                  measurement(LinkOperation::dma_write, 131072, 8, 300)});
  for (const LinkResult& result : results) {
    check_bandwidth(result);
    REQUIRE(result.device_bytes.size() == 4);
    for (const std::uint64_t bytes : result.device_bytes) {
      CHECK(static_cast<double>(bytes) ==
            Approx(static_cast<double>(result.bytes) / 4).epsilon(0.03));
    }
  }
  CHECK(bench.protocol_violations().empty());
}

TEST_CASE("with a wide uplink each device has its own link's bandwidth") {
  LinkBench bench(
      configuration("default", {"pcie_switch.ports=4", "uplink.generation=5", "uplink.lanes=16",
                                "link.generation=3", "link.lanes=2"}));
  const auto results = bench.run({measurement(LinkOperation::dma_read, 4096, 64, 1000),
                                  measurement(LinkOperation::mmio_read, 4, 64, 2000)});
  for (const LinkResult& result : results) check_bandwidth(result);
  CHECK(results[0].bytes_per_second() > 4 * 1'600'000'000ULL);
}

TEST_CASE("with one read open a device has the bandwidth of one round trip, whatever it asks for") {
  LinkBench bench(configuration("default", {"device.endpoint.outstanding_reads=1"}));
  const auto results = bench.run({measurement(LinkOperation::dma_read, 512, 1),
                                  measurement(LinkOperation::dma_read, 512, 32),
                                  measurement(LinkOperation::dma_read, 4096, 8)});
  const auto alone = static_cast<double>(results[0].formula_bytes_per_second);
  for (const LinkResult& result : results) {
    CHECK(static_cast<double>(result.bytes_per_second()) == Approx(alone).epsilon(0.01));
  }
}

}  // namespace nvmesim::system_
