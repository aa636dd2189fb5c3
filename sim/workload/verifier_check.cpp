// The checks: what a read returned against the versions that it may return.
#include <fmt/format.h>

#include <algorithm>

#include "sim/base/assert.hpp"
#include "sim/workload/pattern.hpp"
#include "sim/workload/verifier.hpp"

namespace nvmesim::workload {
namespace {

std::string describe(const SectorFound& found, std::uint64_t sector) {
  switch (found.content) {
    case SectorContent::kZeroes:
      return "zeroes";
    case SectorContent::kForeign:
      return "no pattern of a write";
    case SectorContent::kPattern:
    case SectorContent::kDamaged:
      break;
  }
  const bool damaged = found.content == SectorContent::kDamaged;
  std::string text = fmt::format("{}write {}", damaged ? "damaged data of " : "", found.version);
  if (found.sector != sector) text += fmt::format(" of sector {}", found.sector);
  return text;
}

}  // namespace

void Verifier::check(const Ticket& ticket, std::uint64_t sector, std::span<const std::byte> data,
                     bool in_read_back) {
  static constexpr std::uint64_t kOnlyZeroes[] = {kZeroes};
  std::uint64_t number = ~std::uint64_t{0};
  std::uint32_t index = kNone;
  for (; !data.empty(); data = data.subspan(host::kSectorBytes), ++sector) {
    if (sector / kChunkSectors != number) {
      number = sector / kChunkSectors;
      index = find(number);
    }
    const auto bytes = data.first(host::kSectorBytes);
    if (index != kNone) {
      check_sector(ticket, chunks_[index], sector, bytes, in_read_back);
    } else if (config_.new_drive || zeroed(number)) {
      judge(kOnlyZeroes, sector, bytes, in_read_back);
    }
  }
}

void Verifier::check_sector(const Ticket& ticket, const Chunk& chunk, std::uint64_t sector,
                            std::span<const std::byte> data, bool in_read_back) {
  const auto place = static_cast<std::uint32_t>(sector % kChunkSectors);
  if (chunk.contest == kSettled) {
    judge(std::span(&chunk.settled[place], 1), sector, data, in_read_back);
    return;
  }
  boost::container::small_vector<std::uint64_t, 8> versions;
  for (const Candidate& c : contests_[chunk.contest]) {
    if ((c.mask >> place & 1U) != 0 && c.superseded > ticket.begun) versions.push_back(c.version);
  }
  judge(versions, sector, data, in_read_back);
}

void Verifier::judge(std::span<const std::uint64_t> versions, std::uint64_t sector,
                     std::span<const std::byte> data, bool in_read_back) {
  if (std::find(versions.begin(), versions.end(), kAnything) != versions.end()) return;
  ++(in_read_back ? result_.sectors_checked : result_.sectors_checked_run);
  const SectorFound found = inspect_sector(data);
  for (const std::uint64_t version : versions) {
    const bool zeroes = (version & 1) != 0;
    if (zeroes && found.content == SectorContent::kZeroes) return;
    if (!zeroes && found.content == SectorContent::kPattern && found.sector == sector &&
        found.version == version / 2) {
      return;
    }
  }
  ++result_.mismatches;
  if (result_.first_mismatches.size() >= kMaxMismatches) return;
  std::string expected;
  for (const std::uint64_t version : versions) {
    if (!expected.empty()) expected += " or ";
    expected += (version & 1) != 0 ? "zeroes" : fmt::format("write {}", version / 2);
  }
  result_.first_mismatches.push_back({sector, in_read_back, expected, describe(found, sector)});
}

std::vector<Verifier::Range> Verifier::plan_read_back() {
  NVMESIM_ASSERT(reads_.empty(), "the read-back begins while requests are open");
  std::vector<Range> ranges;
  for (const Chunk& chunk : chunks_) {
    for (std::uint32_t i = 0; i < kChunkSectors; ++i) {
      // On a new drive the neighbours of what was written must still be zeroes.
      if (!config_.new_drive && (chunk.written >> i & 1U) == 0) continue;
      const std::uint64_t sector = chunk.number * kChunkSectors + i;
      if (!ranges.empty() && ranges.back().sector + ranges.back().sectors == sector) {
        ++ranges.back().sectors;
      } else {
        ranges.push_back({sector, 1});
      }
    }
  }
  std::uint64_t room = kZeroesReadBack;
  for (const auto& [first, end] : zeroed_) {
    const std::uint64_t sectors = (end - first) * kChunkSectors;
    const std::uint64_t taken = std::min(sectors, room);
    room -= taken;
    result_.sectors_not_checked += sectors - taken;
    if (taken > 0) ranges.push_back({first * kChunkSectors, taken});
  }
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return a.sector != b.sector ? a.sector < b.sector : a.sectors < b.sectors;
  });
  std::vector<Range> merged;
  for (const Range& range : ranges) {
    if (!merged.empty() && merged.back().sector + merged.back().sectors >= range.sector) {
      const std::uint64_t end =
          std::max(merged.back().sector + merged.back().sectors, range.sector + range.sectors);
      merged.back().sectors = end - merged.back().sector;
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

}  // namespace nvmesim::workload
