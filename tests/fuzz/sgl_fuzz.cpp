// SGL walking: whatever the host wrote, the walk ends within the limit of descriptors, and the
// extents of an accepted transfer cover exactly its bytes.
#include "device/sgl.hpp"
#include "tests/fuzz/input.hpp"

using namespace nvmesim;
using device::PrpMap;
using device::SglMap;
using device::spec::SglDescriptor;
using device::spec::Status;
using test::require;

namespace {

bool known_error(Status status) {
  switch (status) {
    case Status::kInvalidSglSegment:
    case Status::kInvalidSglCount:
    case Status::kDataSglLengthInvalid:
    case Status::kMetadataSglLengthInvalid:
    case Status::kSglTypeInvalid:
    case Status::kSglGranularityInvalid:
      return true;
    default:
      return false;
  }
}

// Random descriptors are mostly nonsense: half of them get a type that exists and a short length.
SglDescriptor descriptor(test::Input& input) {
  auto result = input.take<SglDescriptor>();
  if ((result.reserved12[0] & 1) != 0) {
    result.identifier = static_cast<std::uint8_t>((result.identifier & 3) << 4);
    result.length %= 8192;
    if (result.segment()) result.length &= ~std::uint32_t{15};
    if (result.segment()) result.address &= ~std::uint64_t{7};
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Input input(data, size);
  SglMap::Rules rules;
  const auto flags = input.take<std::uint8_t>();
  rules.to_host = (flags & 1) != 0;
  rules.metadata = (flags & 2) != 0;
  rules.dwords = (flags & 4) != 0;
  rules.limit = 1 + input.take<std::uint8_t>();
  std::uint64_t bytes = 1 + input.take<std::uint32_t>() % (1u << 22);
  SglMap map;
  const SglDescriptor first = descriptor(input);
  if ((flags & 8) != 0) bytes = 1 + first.length % (1u << 22);
  Status status = map.begin(first, bytes, rules);
  SglDescriptor list[256];
  for (unsigned rounds = 0; status == Status::kSuccess && !map.complete(); ++rounds) {
    require(rounds <= rules.limit, "a list ends");
    const PrpMap::Fetch fetch = map.next_fetch();
    require(fetch.bytes != 0 && fetch.bytes <= 4096 && fetch.bytes % 16 == 0, "fetch size");
    for (std::uint32_t i = 0; i < fetch.bytes / 16; ++i) list[i] = descriptor(input);
    status = map.take({list, fetch.bytes / 16});
  }
  if (status != Status::kSuccess) {
    require(known_error(status), "errors are those of SGLs");
    return 0;
  }
  for (std::uint64_t offset = 0; offset < bytes;) {
    const PrpMap::Extent extent = map.at(offset);
    require(extent.bytes != 0 && extent.bytes <= bytes - offset, "an extent within the transfer");
    require(extent.discard || extent.address / 4096 == (extent.address + extent.bytes - 1) / 4096,
            "an extent within a page");
    require(!extent.discard || rules.to_host, "buckets only swallow what is read");
    offset += extent.bytes;
  }
  return 0;
}
