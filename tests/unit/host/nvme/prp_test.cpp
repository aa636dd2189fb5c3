#include "host/nvme/prp.hpp"

#include <vector>

#include "host/kernel/memory.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::host;

namespace {

struct Fixture {
  HostConfig config;
  base::Scheduler scheduler{"scheduler"};
  Memory module{"memory", config, scheduler};
  PhysicalMemory memory{config.memory_bytes};
  PageAllocator pages{(memory.attach(module), memory)};
  PrpMapper mapper{pages, memory};

  // The pieces of memory that a device finds behind the entries, read as NVMe 4.3 says.
  std::vector<DataSegment> walk(const PrpMapping& mapping, std::uint64_t bytes) {
    std::vector<DataSegment> found;
    const auto take = [&](std::uint64_t address) {
      const std::uint64_t here = std::min<std::uint64_t>(bytes, 4096 - address % 4096);
      found.push_back({address, here});
      bytes -= here;
    };
    take(mapping.prp1);
    if (bytes == 0) return found;
    if (bytes <= 4096) {
      CHECK(mapping.prp2 % 4096 == 0);
      take(mapping.prp2);
      return found;
    }
    std::uint64_t at = mapping.prp2;
    while (bytes > 0) {
      const bool last_in_page = at % 4096 == 4096 - 8;
      const auto entry = memory.load<std::uint64_t>(at);
      if (last_in_page && bytes > 4096) {
        at = entry;
        continue;
      }
      CHECK(entry % 4096 == 0);
      take(entry);
      at += 8;
    }
    return found;
  }
};

// Cut at page boundaries; the simplest way to say which memory a request covers.
std::vector<DataSegment> cut(const std::vector<DataSegment>& segments) {
  std::vector<DataSegment> pieces;
  for (DataSegment segment : segments) {
    while (segment.bytes > 0) {
      const std::uint64_t here = std::min(segment.bytes, 4096 - segment.address % 4096);
      pieces.push_back({segment.address, here});
      segment.address += here;
      segment.bytes -= here;
    }
  }
  return pieces;
}

std::uint64_t total(const std::vector<DataSegment>& segments) {
  std::uint64_t sum = 0;
  for (const DataSegment& segment : segments) sum += segment.bytes;
  return sum;
}

void check_same(const std::vector<DataSegment>& found, const std::vector<DataSegment>& wanted) {
  REQUIRE(found.size() == wanted.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].address == wanted[i].address);
    CHECK(found[i].bytes == wanted[i].bytes);
  }
}

}  // namespace

TEST_CASE(
    "PRP entries of one contiguous buffer lead to exactly its bytes at any offset and length") {
  Fixture f;
  base::Random random(1, "prp test");
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t offset = random.below(1024) * 4;
    const std::uint64_t limit = round % 4 == 0 ? 4 * base::kMiB : 64 * base::kKiB;
    const std::uint64_t bytes = 4 + random.below(limit / 4) * 4;
    const std::vector<DataSegment> segments{{0x100'0000 + offset, bytes}};
    PrpMapping mapping;
    REQUIRE(f.mapper.map(segments, mapping) == PrpResult::kOk);
    INFO("offset " << offset << " bytes " << bytes);
    check_same(f.walk(mapping, bytes), cut(segments));
    f.mapper.unmap(mapping);
    REQUIRE(f.mapper.lists_in_use() == 0);
  }
}

TEST_CASE("PRP entries of scattered segments lead to all of them in order") {
  Fixture f;
  base::Random random(2, "prp test");
  for (int round = 0; round < 500; ++round) {
    std::vector<DataSegment> segments;
    const std::uint64_t count = 2 + random.below(60);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t page = 0x200'0000 + (random.below(4096) << 12);
      const std::uint64_t offset = i == 0 ? random.below(8) * 512 : 0;
      const std::uint64_t pages = 1 + random.below(3);
      const std::uint64_t end = i + 1 == count ? 512 * (1 + random.below(8)) : 4096;
      segments.push_back({page + offset, (pages - 1) * 4096 + end - offset});
    }
    PrpMapping mapping;
    REQUIRE(f.mapper.map(segments, mapping) == PrpResult::kOk);
    check_same(f.walk(mapping, total(segments)), cut(segments));
    f.mapper.unmap(mapping);
  }
  CHECK(f.mapper.lists_in_use() == 0);
}

TEST_CASE(
    "one page and two pages need no list, up to 32 entries take a small block, more take pages") {
  Fixture f;
  struct Case {
    std::uint64_t bytes;
    std::uint64_t offset;
    unsigned lists;
    bool small;
  };
  for (const Case& c :
       {Case{4096, 0, 0, false}, Case{8192, 0, 0, false}, Case{4096, 512, 0, false},
        Case{8192, 512, 1, true}, Case{12288, 0, 1, true}, Case{33 * 4096, 0, 1, true},
        Case{34 * 4096, 0, 1, false}, Case{513 * 4096, 0, 1, false}, Case{514 * 4096, 0, 2, false},
        Case{1024 * 4096, 0, 2, false}, Case{1024 * 4096, 512, 3, false}}) {
    INFO("bytes " << c.bytes << " offset " << c.offset);
    const std::vector<DataSegment> segments{{0x100'0000 + c.offset, c.bytes}};
    PrpMapping mapping;
    REQUIRE(f.mapper.map(segments, mapping) == PrpResult::kOk);
    CHECK(mapping.lists == c.lists);
    CHECK(mapping.small == c.small);
    if (c.bytes <= 4096 && c.offset == 0) CHECK(mapping.prp2 == 0);
    f.mapper.unmap(mapping);
  }
}

TEST_CASE("segments that begin or end inside a page between others are refused without a leak") {
  Fixture f;
  PrpMapping mapping;
  const std::vector<DataSegment> begins{{0x10'0000, 4096}, {0x20'0200, 4096}, {0x30'0000, 4096}};
  CHECK(f.mapper.map(begins, mapping) == PrpResult::kBadSegments);
  const std::vector<DataSegment> ends{{0x10'0000, 4096}, {0x20'0000, 512}, {0x30'0000, 4096}};
  CHECK(f.mapper.map(ends, mapping) == PrpResult::kBadSegments);
  CHECK(f.mapper.lists_in_use() == 0);
}
