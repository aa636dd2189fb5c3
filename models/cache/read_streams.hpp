// Finds sequential streams among reads and says what to read ahead of them. A read that begins
// where an earlier one ended goes on with its stream; from the ahead_after-th read on the units
// behind it are wanted, ahead_units of them, asked for again when half of them are used up.
#pragma once

#include <cstdint>
#include <vector>

#include "models/cache/read_cache_config.hpp"
#include "models/media.hpp"

namespace nvmesim::models {

class ReadStreams {
 public:
  struct Range {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
  };

  explicit ReadStreams(const ReadCacheConfig& config)
      : ahead_(config.bytes < kUnitBytes ? 0 : config.ahead_units),
        after_(config.ahead_after),
        streams_(config.ahead_streams) {}

  bool enabled() const { return ahead_ != 0; }

  // The host reads [first, first + count): what to read ahead now, perhaps nothing.
  Range follow(std::uint64_t first, std::uint64_t count) {
    Stream* stream = &streams_.front();
    for (Stream& each : streams_) {
      if (each.reads != 0 && each.next == first) {
        stream = &each;
        break;
      }
      if (each.used < stream->used) stream = &each;
    }
    const bool goes_on = stream->reads != 0 && stream->next == first;
    if (!goes_on) *stream = {};
    stream->used = ++clock_;
    stream->next = first + count;
    if (++stream->reads < after_) return {};
    const std::uint64_t from = stream->asked > stream->next ? stream->asked : stream->next;
    const std::uint64_t to = stream->next + ahead_;
    if (from + ahead_ / 2 > to) return {};
    stream->asked = to;
    return {from, to - from};
  }
  void clear() { streams_.assign(streams_.size(), {}); }

 private:
  struct Stream {
    std::uint64_t next = 0;
    std::uint64_t asked = 0;  // read ahead up to here
    std::uint64_t reads = 0;
    std::uint64_t used = 0;
  };

  std::uint64_t ahead_;
  std::uint64_t after_;
  std::uint64_t clock_ = 0;
  std::vector<Stream> streams_;
};

}  // namespace nvmesim::models
