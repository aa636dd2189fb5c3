// What one controller has to do with reservations: who its host is, the notifications that wait in
// log page 80h, and the asynchronous event that tells of them.
#pragma once

#include <cstdint>
#include <deque>

#include "device/reservations.hpp"

namespace nvmesim::device {

struct Core;

class ReservationLog {
 public:
  static constexpr std::size_t kMost = 255;  // pages kept; older ones go first

  explicit ReservationLog(Core& core) : core_(core) {}

  HostId host() const;
  bool has_128_bits() const;
  // Another host did this to a namespace; masked by feature 82h.
  void add(std::uint32_t nsid, spec::ReservationEvent event);
  // The oldest page; an empty one if there is none.
  spec::ReservationNotification page() const;
  // The host has read it.
  void read();
  void reset() { pages_.clear(); }

 private:
  Core& core_;
  std::deque<spec::ReservationNotification> pages_;
  std::uint64_t count_ = 0;
};

}  // namespace nvmesim::device
