#include "host/nvme/ns_info.hpp"

#include <cstring>
#include <vector>

#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::host;

namespace {

device::spec::IdentifyNamespace plain_namespace() {
  device::spec::IdentifyNamespace id{};
  id.nsze = id.ncap = 1'000'000;
  id.nuse = 77;
  id.lbaf[0].lbads = 9;
  id.lbaf[1].lbads = 12;
  return id;
}

CtrlLimits limits_of(std::uint32_t max_hw_sectors) {
  CtrlLimits limits;
  limits.max_hw_sectors = max_hw_sectors;
  limits.max_segments = 127;
  return limits;
}

NsInfo derive(const device::spec::IdentifyNamespace& id, std::uint32_t max_hw_sectors = 8192) {
  return derive_ns_info(id, limits_of(max_hw_sectors), Quirks{});
}

void append(std::vector<std::byte>& list, std::uint8_t type, std::uint8_t length,
            std::uint8_t fill) {
  list.push_back(std::byte{type});
  list.push_back(std::byte{length});
  list.insert(list.end(), 2, std::byte{0});
  list.insert(list.end(), length, std::byte{fill});
}

}  // namespace

TEST_CASE("capacity counts sectors of 512 bytes whatever the logical block is") {
  auto id = plain_namespace();
  CHECK(derive(id).capacity_sectors == 1'000'000);
  CHECK(derive(id).lba_shift == 9);
  id.flbas = 1;
  CHECK(derive(id).capacity_sectors == 8'000'000);
  CHECK(derive(id).lba_shift == 12);
  CHECK(derive(id).size_blocks == 1'000'000);
  CHECK(derive(id).used_blocks == 77);
}

TEST_CASE("a disk with blocks beyond a page or below a sector has no capacity") {
  auto id = plain_namespace();
  for (const int shift : {0, 8, 13, 16}) {
    id.lbaf[0].lbads = static_cast<std::uint8_t>(shift);
    CHECK(derive(id).capacity_sectors == 0);
    CHECK(derive(id).lba_shift == 9);
  }
}

TEST_CASE("metadata is usable only as protection information that the drive makes") {
  auto id = plain_namespace();
  id.lbaf[0].ms = 8;
  CHECK(derive(id).capacity_sectors == 0);
  id.dps = 1;
  CHECK(derive(id).capacity_sectors == 1'000'000);
  CHECK(derive(id).pi_type == 1);
  id.lbaf[0].ms = 16;
  CHECK(derive(id).capacity_sectors == 0);
  CHECK(derive(id).pi_type == 0);
  id.flbas = 0x10;
  CHECK(derive(id).extended_lba);
}

TEST_CASE("requests are limited by transfer size, segments and the soft limit") {
  const auto id = plain_namespace();
  CHECK(derive(id, 8192).max_sectors == 2560);
  CHECK(derive(id, 8192).max_segments == 127);
  CHECK(derive(id, 256).max_sectors == 256);
  CHECK(derive(id, 256).max_segments == 33);
  auto large = id;
  large.flbas = 1;
  CHECK(derive(large, 255).max_hw_sectors == 248);
  CHECK(derive(large, 1).max_hw_sectors == 8);
}

TEST_CASE("the boundary that requests do not cross comes from NOIOB or the stripe quirk") {
  auto id = plain_namespace();
  id.noiob = 256;
  CHECK(derive(id).chunk_sectors == 256);
  id.noiob = 100;
  CHECK(derive(id).chunk_sectors == 0);
  Quirks quirks;
  quirks.stripe_size = true;
  CHECK(derive_ns_info(id, limits_of(1024), quirks).chunk_sectors == 1024);
}

TEST_CASE("the physical block is what the drive prefers, but no more than it writes atomically") {
  auto id = plain_namespace();
  CHECK(derive(id).physical_block_bytes == 512);
  id.nsfeat = 0x10;
  id.npwg = 7;
  id.nows = 255;
  CHECK(derive(id).physical_block_bytes == 512);  // AWUPF 0: one block
  CHECK(derive(id).optimal_io_bytes == 256 * 512);
  CtrlLimits limits = limits_of(8192);
  limits.awupf = 3;
  CHECK(derive_ns_info(id, limits, Quirks{}).physical_block_bytes == 4 * 512);
  id.nsfeat = 0x12;
  id.nawupf = 15;
  CHECK(derive_ns_info(id, limits, Quirks{}).physical_block_bytes == 8 * 512);
  id.nabo = 1;
  CHECK(derive_ns_info(id, limits, Quirks{}).physical_block_bytes == 512);
}

TEST_CASE("namespace descriptors are read up to the end, unknown ones passed over") {
  std::vector<std::byte> list;
  append(list, 1, 8, 0x11);
  append(list, 9, 5, 0x99);
  append(list, 3, 16, 0x33);
  append(list, 4, 1, 2);
  list.resize(4096);
  NsIds ids;
  CHECK(parse_ns_descriptors(list, ids));
  CHECK(ids.eui64[7] == 0x11);
  CHECK(ids.uuid[15] == 0x33);
  CHECK(ids.csi == 2);
  CHECK(ids.nguid == std::array<std::uint8_t, 16>{});
}

TEST_CASE("a descriptor of a wrong length ends the list") {
  std::vector<std::byte> list;
  append(list, 2, 8, 0x22);
  append(list, 1, 8, 0x11);
  list.resize(4096);
  NsIds ids;
  CHECK_FALSE(parse_ns_descriptors(list, ids));
  CHECK(ids == NsIds{});
}

TEST_CASE("identifiers that no descriptor gave are taken from Identify Namespace by version") {
  auto id = plain_namespace();
  id.eui64.fill(5);
  id.nguid.fill(6);
  NsIds at10;
  complete_ns_ids(id, 0x10000, at10);
  CHECK(at10 == NsIds{});
  NsIds at11;
  complete_ns_ids(id, 0x10100, at11);
  CHECK(at11.eui64[0] == 5);
  CHECK(at11.nguid[0] == 0);
  NsIds at12;
  at12.eui64.fill(9);
  complete_ns_ids(id, 0x10200, at12);
  CHECK(at12.eui64[0] == 9);
  CHECK(at12.nguid[0] == 6);
}
