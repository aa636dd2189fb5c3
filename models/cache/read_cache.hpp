// Which units the controller holds for reads, least recently used out first. It knows presence
// only: the bytes are always those of the data store. A slot is taken while its unit is on its way
// from the NAND (loading), then present.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/cache/read_cache_config.hpp"
#include "models/cache/unit_index.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::models {

class ReadCache {
 public:
  static constexpr std::uint32_t kNone = UnitIndex::kNone;

  ReadCache(const ReadCacheConfig& config, base::StatisticsRegistry& statistics,
            const std::string& name);

  bool enabled() const { return !slots_.empty(); }
  std::uint32_t slots() const { return static_cast<std::uint32_t>(slots_.size()); }
  // The unit's slot, or kNone.
  std::uint32_t find(std::uint64_t unit) const { return index_.find(unit); }
  bool present(std::uint32_t slot) const { return slots_[slot].state == State::kPresent; }
  // A read is served from the slot, or waits for what loads there. Counts.
  void use(std::uint32_t slot);
  // A slot for a unit that has none, from now on loading; kNone if all are.
  std::uint32_t take(std::uint64_t unit, bool ahead);
  // What was loading is there; good or not.
  void loaded(std::uint32_t slot, bool good);
  // Forgets units [first, first + count), also what is loading of them.
  void forget(std::uint64_t first, std::uint64_t count);
  void clear();

 private:
  enum class State : std::uint8_t { kFree, kLoading, kPresent };
  struct Slot {
    std::uint64_t unit = 0;
    std::uint32_t newer = kNone;
    std::uint32_t older = kNone;
    State state = State::kFree;
    bool ahead = false;  // was read ahead and not used yet
    bool stale = false;  // loading, forgotten meanwhile
  };

  void link(std::uint32_t slot);
  void unlink(std::uint32_t slot);
  void drop(std::uint32_t slot);

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  UnitIndex index_;
  std::uint32_t newest_ = kNone;
  std::uint32_t oldest_ = kNone;
  std::uint64_t hits_ = 0;
  std::uint64_t ahead_units_ = 0;
  std::uint64_t ahead_hits_ = 0;
};

}  // namespace nvmesim::models
