// PRP walking: whatever the host wrote, the extents of an accepted transfer follow each other
// without a gap, stay within 4 KiB, and start where the rules for offsets say.
#include "device/prp.hpp"
#include "tests/fuzz/input.hpp"

using namespace nvmesim;
using device::PrpMap;
using device::spec::Status;
using test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Input input(data, size);
  const std::uint64_t page = std::uint64_t{4096} << (input.take<std::uint8_t>() % 5);
  const std::uint64_t bytes = 1 + input.take<std::uint32_t>() % (1u << 22);
  const auto prp1 = input.take<std::uint64_t>();
  const auto prp2 = input.take<std::uint64_t>();
  PrpMap map;
  Status status = map.begin(prp1, prp2, bytes, page);
  std::uint64_t entries[512];
  for (unsigned rounds = 0; status == Status::kSuccess && !map.complete(); ++rounds) {
    require(rounds < 4096, "a list ends");
    const PrpMap::Fetch fetch = map.next_fetch();
    require(fetch.bytes != 0 && fetch.bytes <= 4096 && fetch.bytes % 8 == 0, "fetch size");
    require(fetch.address / 4096 == (fetch.address + fetch.bytes - 1) / 4096, "fetch in a page");
    for (std::uint32_t i = 0; i < fetch.bytes / 8; ++i) {
      entries[i] = input.take<std::uint64_t>();
      if (input.left() % 3 != 0) entries[i] &= ~(page - 1);
    }
    status = map.take({entries, fetch.bytes / 8});
  }
  if (status != Status::kSuccess) {
    require(status == Status::kPrpOffsetInvalid, "the only error is a wrong offset");
    return 0;
  }
  require((prp1 & 3) == 0, "PRP1 is aligned to dwords");
  for (std::uint64_t offset = 0; offset < bytes;) {
    const PrpMap::Extent extent = map.at(offset);
    require(extent.bytes != 0 && extent.bytes <= 4096, "extent size");
    require(extent.address / 4096 == (extent.address + extent.bytes - 1) / 4096,
            "extent in a page");
    require(!extent.discard, "PRPs discard nothing");
    require(offset != 0 || extent.address == prp1, "the first extent is PRP1");
    require(offset == 0 || extent.address % 4096 == 0, "the others start at a page");
    offset += extent.bytes;
  }
  return 0;
}
