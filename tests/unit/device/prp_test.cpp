// PRP walking against a reference that is slow and obvious.
#include <map>
#include <optional>
#include <vector>

#include "device/prp.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using device::PrpMap;
using device::spec::Status;

namespace {

using Memory = std::map<std::uint64_t, std::uint64_t>;  // qwords; absent ones read as 0

std::uint64_t load(const Memory& memory, std::uint64_t address) {
  const auto found = memory.find(address);
  return found == memory.end() ? 0 : found->second;
}

// The address of every page of the transfer, by the words of section 4.3; nothing if a rule is
// broken.
std::optional<std::vector<std::uint64_t>> reference(const Memory& memory, std::uint64_t prp1,
                                                    std::uint64_t prp2, std::uint64_t bytes,
                                                    std::uint64_t page) {
  if (prp1 % 4 != 0) return std::nullopt;
  std::vector<std::uint64_t> pages{prp1};
  std::uint64_t covered = page - prp1 % page;
  if (covered >= bytes) return pages;
  if (bytes - covered <= page) {
    if (prp2 % page != 0) return std::nullopt;
    pages.push_back(prp2);
    return pages;
  }
  if (prp2 % 8 != 0) return std::nullopt;
  std::uint64_t at = prp2;
  while (covered < bytes) {
    std::uint64_t entry = load(memory, at);
    if (entry % page != 0) return std::nullopt;
    const bool last_slot = (at + 8) % page == 0;
    if (last_slot && bytes - covered > page) {
      at = entry;
      continue;
    }
    pages.push_back(entry);
    covered += page;
    at += 8;
  }
  return pages;
}

struct Walk {
  Status status = Status::kSuccess;
  std::uint64_t fetches = 0;
};

Walk walk(PrpMap& map, const Memory& memory, std::uint64_t prp1, std::uint64_t prp2,
          std::uint64_t bytes, std::uint64_t page) {
  Walk result;
  result.status = map.begin(prp1, prp2, bytes, page);
  while (result.status == Status::kSuccess && !map.complete()) {
    const PrpMap::Fetch fetch = map.next_fetch();
    CHECK(fetch.bytes != 0);
    CHECK(fetch.bytes % 8 == 0);
    CHECK(fetch.address / 4096 == (fetch.address + fetch.bytes - 1) / 4096);
    std::vector<std::uint64_t> entries;
    for (std::uint32_t i = 0; i < fetch.bytes; i += 8) {
      entries.push_back(load(memory, fetch.address + i));
    }
    result.status = map.take(entries);
    ++result.fetches;
  }
  return result;
}

}  // namespace

TEST_CASE("random PRPs give the pages of the reference, or are refused as it refuses them") {
  base::Random random(7, "prp");
  PrpMap map;
  std::uint64_t good = 0;
  std::uint64_t bad = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::uint64_t page = std::uint64_t{4096} << random.below(3);
    const std::uint64_t bytes =
        4 * (1 + random.below(page / 4 * (random.chance(1, 8) ? 1200 : 12)));
    Memory memory;
    const auto any_page = [&] { return page * (1 + random.below(1 << 20)); };
    std::uint64_t prp1 = any_page() + 4 * random.below(page / 4) * random.below(2);
    std::uint64_t prp2 = any_page();
    const std::uint64_t first = page - prp1 % page;
    const std::uint64_t more = bytes <= first ? 0 : (bytes - first + page - 1) / page;
    if (more > 1) {
      prp2 += 8 * random.below(page / 8) * random.below(2);
      // Fill a list of `more` entries, going on in another page where one ends.
      std::uint64_t at = prp2;
      for (std::uint64_t left = more; left != 0;) {
        if ((at + 8) % page == 0 && left > 1) {
          std::uint64_t next = any_page();
          if (random.chance(1, 200)) next += 8;
          memory[at] = next;
          at = next;
          continue;
        }
        memory[at] = any_page() + (random.chance(1, 2'000) ? 4 * random.below(page / 4) : 0);
        at += 8;
        --left;
      }
    }
    if (random.chance(1, 50)) prp1 += 1 + random.below(3);
    if (random.chance(1, 50)) prp2 += 1 + random.below(7);

    const auto expected = reference(memory, prp1, prp2, bytes, page);
    const Walk result = walk(map, memory, prp1, prp2, bytes, page);
    REQUIRE((result.status == Status::kSuccess) == expected.has_value());
    if (!expected) {
      REQUIRE(result.status == Status::kPrpOffsetInvalid);
      ++bad;
      continue;
    }
    ++good;
    for (int probe = 0; probe < 8; ++probe) {
      const std::uint64_t offset = probe == 0 ? 0 : probe == 1 ? bytes - 1 : random.below(bytes);
      const std::uint64_t position = prp1 % page + offset;
      const std::uint64_t base = (*expected)[position / page];
      const std::uint64_t wanted = base / page * page + position % page;
      const PrpMap::Extent extent = map.at(offset);
      REQUIRE(extent.address == wanted);
      REQUIRE(extent.bytes == 4096 - wanted % 4096);
    }
  }
  CHECK(good > 15'000);
  CHECK(bad > 300);
}

TEST_CASE("a list is read with one request per 4 KiB page") {
  PrpMap map;
  Memory memory;
  for (std::uint64_t i = 0; i < 511; ++i) memory[0x10000 + i * 8] = 0x100000 + i * 4096;
  memory[0x10000 + 511 * 8] = 0x20000;
  for (std::uint64_t i = 0; i < 100; ++i) memory[0x20000 + i * 8] = 0x400000 + i * 4096;
  const Walk result = walk(map, memory, 0x5000, 0x10000, (1 + 511 + 100) * 4096, 4096);
  CHECK(result.status == Status::kSuccess);
  CHECK(result.fetches == 2);
  CHECK(map.at(512 * 4096).address == 0x400000);
}

TEST_CASE("a list whose pointer comes first still ends") {
  PrpMap map;
  Memory memory;
  memory[0x10FF8] = 0x20000;
  memory[0x20000] = 0x30000;
  memory[0x20008] = 0x40000;
  const Walk result = walk(map, memory, 0x5000, 0x10FF8, 3 * 4096, 4096);
  CHECK(result.status == Status::kSuccess);
  CHECK(result.fetches == 2);
  CHECK(map.at(2 * 4096).address == 0x40000);
}

TEST_CASE("PRP2 is not looked at when PRP1 covers the transfer") {
  PrpMap map;
  CHECK(map.begin(0x5000, 0x3, 4096, 4096) == Status::kSuccess);
  CHECK(map.complete());
}
