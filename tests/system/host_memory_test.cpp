// The host memory buffer of a whole system: the drive keeps its mapping table there, so that reads
// get slower when the host takes it back.
#include "tests/system/driver_rig.hpp"

using namespace nvmesim;
using namespace nvmesim::test;

namespace {

constexpr std::uint64_t kSegments = 256;             // of the mapping table of 1 GiB
constexpr std::uint64_t kSegmentSectors = 1024 * 8;  // 1024 units of 4 KiB each

// A page of the table: 60 us in the array, 1 us on the channel.
constexpr base::Time kLookUp = 61us;

// Room for four segments in the controller, and for all of them in host memory.
std::vector<std::string> settings() {
  return {"device.media.map_cache.bytes=16384",     "device.media.xpoint.read_ns=60000",
          "device.media.xpoint.jitter_ns=0",        "device.media.xpoint.tail_per_million=0",
          "device.media.xpoint.command_ns=0",       "device.media.xpoint.ecc_ns=0",
          "device.media.xpoint.read_mb_per_s=4096", "device.media.xpoint.prefill_percent=100",
          "device.controller.hmb.hmpre_pages=256",  "device.controller.hmb.hmmin_pages=256"};
}

// Mean time of a read over all segments, one after the other.
base::Time read_all(DriverRig& rig) {
  const base::Time begin = rig.now();
  for (std::uint64_t i = 0; i < kSegments; ++i) {
    CHECK(rig.io(BioOp::kRead, i * kSegmentSectors) == BlockStatus::kOk);
  }
  return (rig.now() - begin) / static_cast<std::int64_t>(kSegments);
}

// The same of reads whose segment the controller holds.
base::Time read_one_segment(DriverRig& rig) {
  CHECK(rig.io(BioOp::kRead) == BlockStatus::kOk);
  const base::Time begin = rig.now();
  for (std::uint64_t i = 0; i < kSegments; ++i) {
    CHECK(rig.io(BioOp::kRead, i % 1024 * 8) == BlockStatus::kOk);
  }
  return (rig.now() - begin) / static_cast<std::int64_t>(kSegments);
}

// The host's costs vary by some nanoseconds.
bool nearly(base::Time a, base::Time b) {
  return a < b + 1us && b < a + 1us;
}

}  // namespace

TEST_CASE("taking the host memory buffer back costs reads the look-up in the media") {
  DriverRig rig(settings());
  rig.after_boot([&] {
    REQUIRE(rig.dev().host_memory_enabled());
    const base::Time cold = read_all(rig);
    const base::Time lent = read_all(rig);
    CHECK(cold - lent > 40us);     // the first time every segment comes from the media
    CHECK(cold - lent < kLookUp);  // and not for nothing: a round trip to the host remains
    REQUIRE(rig.dev().set_host_memory(false) == 0);
    const base::Time without = read_all(rig);
    CHECK(without - lent > 40us);
    CHECK(nearly(without, read_one_segment(rig) + kLookUp));
    REQUIRE(rig.dev().set_host_memory(true) == 0);
    read_all(rig);
    CHECK(nearly(read_all(rig), lent));
  });
}
TEST_CASE("with a host that lends no memory each read of another segment pays the look-up") {
  std::vector<std::string> wanted = settings();
  wanted.push_back("driver.max_host_mem_size_mb=0");
  DriverRig rig(wanted);
  rig.after_boot([&] {
    CHECK_FALSE(rig.dev().host_memory_enabled());
    const base::Time look_up = read_all(rig) - read_one_segment(rig);
    CHECK(nearly(look_up, kLookUp));
  });
}
