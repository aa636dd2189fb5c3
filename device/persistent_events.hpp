// The events that the persistent event log (section 5.14.1.13) tells of, oldest dropped first. They
// belong to the subsystem and survive every reset.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

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

 private:
  struct Event {
    spec::PersistentEvent header{};
    std::vector<std::byte> data;
  };
  std::uint32_t limit_;
  std::deque<Event> events_;  // oldest first
};

}  // namespace nvmesim::device
