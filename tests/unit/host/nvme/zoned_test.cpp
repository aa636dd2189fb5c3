// Zoned namespaces and other command sets: a scripted device whose namespace 1 says which command
// set it has, and what the driver of each generation asks it and makes of it.
#include <algorithm>
#include <cstring>

#include "host/nvme/sysfs.hpp"
#include "tests/unit/host/nvme/probe_check.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::BlockStatus;
using host::Generation;

namespace {

using Bytes = std::vector<std::byte>;
using Lines = std::vector<std::string>;

// What the device says; the namespace has 2^20 blocks of 512 bytes.
struct Zoned {
  std::uint8_t csi = 2;
  std::uint64_t zone_blocks = 1 << 15;
  std::uint16_t zoc = 0;
  bool append = true;
  std::uint8_t zone_type = 2;
};

template <class T>
void put(Bytes& page, std::size_t at, T value) {
  std::memcpy(page.data() + at, &value, sizeof value);
}

Bytes report(const Zoned& zoned, const spec::SubmissionEntry& entry) {
  const std::size_t room = (std::size_t{entry.cdw12} + 1) * 4;
  const std::uint64_t first = entry.cdw10 / zoned.zone_blocks;
  const std::uint64_t count =
      std::min<std::uint64_t>((1 << 20) / zoned.zone_blocks - first, (room - 64) / 64);
  Bytes page(64 + 64 * count);
  put(page, 0, count);
  for (std::uint64_t i = 0; i < count; ++i) {
    put(page, 64 + 64 * i, zoned.zone_type);
    put(page, 64 + 64 * i + 8, zoned.zone_blocks);
    put(page, 64 + 64 * i + 16, (first + i) * zoned.zone_blocks);
  }
  return page;
}

std::optional<Bytes> answer(const Zoned& zoned, std::uint16_t qid,
                            const spec::SubmissionEntry& entry) {
  Bytes page(4096);
  if (qid != 0) return entry.opc == 0x7a ? std::optional(report(zoned, entry)) : std::nullopt;
  const unsigned csi = entry.cdw11 >> 24;
  if (entry.opc == 2 && (entry.cdw10 & 0xff) == 5) {
    CHECK(entry.cdw14 >> 24 == zoned.csi);
    put(page, 1024 + 4 * 0x7d, std::uint32_t{zoned.append});
    return page;
  }
  if (entry.opc != 6) return {};
  switch (entry.cdw10 & 0xff) {
    case 3:  // EUI-64 and the command set
      put(page, 0, std::array<std::uint8_t, 12>{1, 8, 0, 0, 9, 9, 9, 9, 9, 9, 9, 1});
      put(page, 12, std::array<std::uint8_t, 5>{4, 1, 0, 0, zoned.csi});
      return page;
    case 5:
      CHECK(csi == 2);
      put(page, 0, zoned.zoc);
      put(page, 4, std::uint32_t{13});           // MAR
      put(page, 8, std::uint32_t{0xffff'ffff});  // MOR: no limit
      put(page, 2816, zoned.zone_blocks);
      return page;
    case 6:
      if (csi != 2) return {};
      put(page, 0, std::uint8_t{5});  // ZASL: 32 pages
      return page;
    case 8:
      put(page, 14, std::uint8_t{1});  // NSTAT: ready
      return page;
    default:
      return {};
  }
}

struct ZonedRig : ScriptedRig {
  explicit ZonedRig(Generation generation, const Zoned& what = {}, bool kernel_knows = true)
      : ScriptedRig([&] {
          RigConfig config = config_of(generation);
          config.driver.zoned = kernel_knows;
          return config;
        }()) {
    device.cap.set(43, 43, 1);  // all command sets
    device.content = [what](std::uint16_t qid, const spec::SubmissionEntry& entry) {
      return answer(what, qid, entry);
    };
  }
  // Of the wire, from the list of namespaces on.
  Lines scan() const {
    const auto list = std::find(device.wire.begin(), device.wire.end(), "06 nsid 0 2 0");
    return {list, device.wire.end()};
  }
  std::vector<spec::SubmissionEntry> reports() const {
    std::vector<spec::SubmissionEntry> found;
    for (const auto& seen : device.io)
      if (seen.entry.opc == 0x7a) found.push_back(seen.entry);
    return found;
  }
};

void has_no_disk(Generation generation, const Zoned& what, bool kernel_knows, const char* logged,
                 std::size_t namespaces) {
  ZonedRig rig(generation, what, kernel_knows);
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.driver->disks().empty());
    CHECK(rig.driver->list().empty());
    CHECK(rig.ctrl().namespaces().size() == namespaces);
  }));
  CHECK(rig.logged(logged));
}

const Lines kZonedScan515 = {"06 nsid 0 2 0",       "06 nsid 1 3 0",       "06 nsid 1 0 0",
                             "02 nsid 0 3ff0005 0", "06 nsid 0 6 2000000", "06 nsid 1 5 2000000"};
const Lines kZonedScan61 = {"06 nsid 0 2 0",       "06 nsid 1 3 0", "06 nsid 1 0 0",
                            "02 nsid 0 3ff0005 0", "06 nsid 1 0 0", "06 nsid 0 6 2000000",
                            "06 nsid 1 5 2000000"};

void is_asked_in_order(Generation generation, const Lines& expected) {
  ZonedRig rig(generation);
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.scan() == expected);
    REQUIRE(rig.reports().size() == 1);
    const spec::SubmissionEntry entry = rig.reports().front();
    CHECK(entry.nsid == 1);
    CHECK(entry.cdw10 == 0);
    CHECK(entry.cdw12 == (64 + 32 * 64) / 4 - 1);
    CHECK(entry.cdw13 == 1u << 16);  // report zones, all of them, partial
    // The report comes before the search for partitions.
    CHECK(rig.device.io.front().entry.opc == 0x7a);
    REQUIRE(rig.driver->disks().size() == 1);
    const host::ZoneInfo& zones = *rig.ctrl().namespaces().front()->zones;
    CHECK(zones.sectors == 1 << 15);
    CHECK(zones.count == 32);
    CHECK(zones.max_active == 14);
    CHECK(zones.max_open == 0);
    CHECK(rig.ctrl().max_zone_append_bytes() == 32 * 4096);
    CHECK(rig.read_block() == BlockStatus::kOk);
    // A second look asks for the limits of this namespace again, not for those of the controller.
    rig.device.wire.clear();
    rig.ctrl().queue_scan();
    rig.ctrl().flush_scan();
    const auto& wire = rig.device.wire;
    CHECK(std::count(wire.begin(), wire.end(), "06 nsid 1 5 2000000") == 1);
    CHECK(std::count(wire.begin(), wire.end(), "06 nsid 0 6 2000000") == 0);
    CHECK(rig.reports().size() == 2);
  }));
}

}  // namespace

TEST_CASE("a zoned namespace is asked for its zones in order by 5.15") {
  is_asked_in_order(Generation::v5_15, kZonedScan515);
}

TEST_CASE("a zoned namespace is asked for its zones in order by 6.1") {
  is_asked_in_order(Generation::v6_1, kZonedScan61);
}

TEST_CASE("no request crosses the end of a zone") {
  ZonedRig rig(Generation::v6_1);
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.io.clear();
    host::Bio bio;
    bio.sector = (1 << 15) - 8;
    bio.sectors = 24;
    bio.buffer = rig.disk().allocate_buffer(24 * 512);
    CHECK(rig.do_io(bio) == BlockStatus::kOk);
    rig.disk().free_buffer(bio.buffer);
    REQUIRE(rig.device.io.size() == 2);
    CHECK(rig.device.io[1].entry.cdw10 == 1 << 15);
  }));
}

TEST_CASE("a report of zones that is longer than a request comes in pieces") {
  ZonedRig rig(Generation::v5_15, {.zone_blocks = 1 << 13});
  rig.device.identify.mdts = 1;  // 8 KiB; the device's answers have 4 KiB
  rig.device.content = [](std::uint16_t qid, spec::SubmissionEntry entry) {
    if (qid != 0) entry.cdw12 = 1023;
    return answer({.zone_blocks = 1 << 13}, qid, entry);
  };
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    const auto reports = rig.reports();
    REQUIRE(reports.size() == 3);  // 63, 63 and 2 zones
    CHECK(reports[0].cdw12 == 2047);
    CHECK(reports[1].cdw10 == 63 << 13);
    CHECK(reports[2].cdw10 == 126 << 13);
    CHECK(rig.ctrl().namespaces().front()->zones->count == 128);
  }));
}

TEST_CASE("a zoned namespace without Zone Append is read-only") {
  ZonedRig rig(Generation::v6_1, {.append = false});
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.driver->disks().size() == 1);
    const auto attributes = host::sysfs_attributes(rig.dev(), true, false);
    const auto value = [&](std::string_view path) {
      for (const auto& each : attributes)
        if (each.path == path) return each.value;
      return std::string("none");
    };
    CHECK(value("/sys/block/nvme0n1/ro") == "1");
    CHECK(value("/sys/block/nvme0n1/queue/zoned") == "host-managed");
    CHECK(value("/sys/block/nvme0n1/queue/nr_zones") == "32");
  }));
  CHECK(rig.logged("Zone Append not supported for zoned namespace:1."));
}

TEST_CASE("zones of a kind that is not written in sequence leave a disk without zones") {
  ZonedRig rig(Generation::v5_15, {.zone_type = 1});
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.driver->disks().size() == 1);
    CHECK(rig.ctrl().namespaces().front()->zones->count == 0);
  }));
  CHECK(rig.logged("invalid zone type 1"));
}

TEST_CASE("zones whose size is no power of two leave the namespace without a disk") {
  has_no_disk(Generation::v5_15, {.zone_blocks = 30'000}, true, "invalid zone size:30000", 1);
}

TEST_CASE("a drive that wants zones treated in its own way has no disk") {
  has_no_disk(Generation::v6_1, {.zoc = 1}, true, "zone operations:1 not supported", 1);
}

TEST_CASE("5.15 without zoned block devices passes a zoned namespace over") {
  has_no_disk(Generation::v5_15, {}, false, "nsid 1 not supported without CONFIG_BLK_DEV_ZONED", 0);
}

TEST_CASE("6.1 without zoned block devices has a zoned namespace without a disk") {
  has_no_disk(Generation::v6_1, {}, false, "block device for nsid 1 not supported (csi 2)", 1);
}

TEST_CASE("5.15 passes a namespace of an unknown command set over") {
  has_no_disk(Generation::v5_15, {.csi = 1}, true, "unknown csi 1 for nsid 1", 0);
}

TEST_CASE("6.1 asks for a namespace of an unknown command set by CNS 08h, and makes no disk") {
  ZonedRig rig(Generation::v6_1, {.csi = 1});
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.driver->disks().empty());
    CHECK(rig.scan() ==
          Lines{"06 nsid 0 2 0", "06 nsid 1 3 0", "06 nsid 1 8 0", "02 nsid 0 3ff0005 0"});
  }));
  CHECK(rig.logged("block device for nsid 1 not supported (csi 1)"));
}
