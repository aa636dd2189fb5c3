// The events that the persistent event log (section 5.14.1.13) tells of, oldest dropped first. They
// belong to the subsystem, survive every reset and are in the saved state.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "device/persistent_state.hpp"
#include "device/spec/logs.hpp"

namespace nvmesim::device {

struct Core;

class PersistentEvents {
 public:
  explicit PersistentEvents(std::uint32_t limit) : limit_(limit) {}

  void add(const Core& core, std::uint8_t type, std::span<const std::byte> data);
  template <class Data>
  void add(const Core& core, std::uint8_t type, const Data& data) {
    add(core, type, std::as_bytes(std::span(&data, 1)));
  }
  // The whole log page, newest event first, as it is now.
  std::vector<std::byte> page(const Core& core) const;
  std::size_t count() const { return events_.size(); }
  std::vector<PersistentEventEntry> save() const;
  // False if one of them is none; nothing changes then.
  bool restore(const std::vector<PersistentEventEntry>& list);

 private:
  struct Event {
    spec::PersistentEvent header{};
    std::vector<std::byte> data;
  };
  static Event make(std::uint8_t type, std::uint16_t cntlid, std::uint64_t timestamp,
                    std::span<const std::byte> data);
  std::uint32_t limit_;
  std::deque<Event> events_;  // oldest first
};

}  // namespace nvmesim::device
