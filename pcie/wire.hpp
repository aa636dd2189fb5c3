// One direction of a link as a server: when does the last byte of each transfer leave, if short
// transfers start at the next TLP boundary and long ones take turns, TLP by TLP. Arithmetic only:
// it never looks at single TLPs, and schedules nothing. A long transfer goes to the end of the line
// when its TLP has left, so one that came meanwhile is in front of it.
//
// Time is counted in bytes since the wire was last idle, so that sums do not collect rounding:
// byte position p is reached at epoch + pace(p). At most kWindow long transfers take turns; more
// wait in order of arrival. Calls come in the order of `now`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "pcie/formula.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie {

// A long transfer. The caller owns it from send_long() until take_finished() has returned it.
struct LongTransfer {
  formula::Segments segments;
  std::uint32_t remaining = 0;  // TLPs not yet begun
  base::Time end{0};            // last byte has left; valid once taken as finished
  LongTransfer* next = nullptr;
};

class Wire {
 public:
  static constexpr std::size_t kWindow = 8;

  explicit Wire(base::Pace pace);

  // Sends `bytes` in one piece from the next TLP boundary on; returns when the last byte leaves.
  base::Time send_short(base::Time now, std::uint64_t bytes) {
    if (active_ == 0 && now > free_at_) {
      epoch_ = now;
      position_ = bytes;
      free_at_ = now + pace_(bytes);
      return free_at_;
    }
    return queue_short(now, bytes);
  }
  void send_long(base::Time now, LongTransfer& transfer);

  // One more TLP behind those of `transfer`, which has not finished, and the state is at now.
  static void extend(LongTransfer& transfer, std::uint32_t last_bytes) {
    ++transfer.remaining;
    ++transfer.segments.tlps;
    transfer.segments.last_bytes = last_bytes;
  }

  // Brings the state to `now`: transfers whose last TLP has begun by then become finished.
  void advance(base::Time now) {
    if (active_ != 0 && now > free_at_) catch_up(now);
  }
  // Finished transfers, in the order of their ends; nullptr if there is none.
  LongTransfer* take_finished();
  // Of those not finished, the one that ends first if nothing else comes, and when.
  struct Forecast {
    LongTransfer* transfer = nullptr;
    base::Time end{0};
  };
  Forecast first_to_finish() const;
  // When all is sent, and `more` bytes behind it, if nothing else comes.
  base::Time drained_at(std::uint64_t more) const;
  // From now on at another pace; all must be sent.
  void set_pace(base::Pace pace);

 private:
  struct Finish {
    std::size_t index;
    std::uint64_t position;
  };
  base::Time queue_short(base::Time now, std::uint64_t bytes);
  void catch_up(base::Time now);
  Finish first_finish() const;
  void run_to_finish(const Finish& finish);
  bool run_to(std::uint64_t target);
  void retire(std::size_t index);
  void rotate(std::size_t by);
  std::uint64_t first_position_at(base::Time when) const;
  void settle();
  void join(LongTransfer& transfer, bool behind_last);

  base::Pace pace_;
  std::uint64_t unit_bytes_ = 0;  // takes exactly unit_time_: the position is kept below it
  base::Time unit_time_{0};
  base::Time epoch_{0};
  std::uint64_t position_ = 0;  // everything before it is on its way or booked
  base::Time free_at_{0};       // when position_ is reached
  base::Time turn_ends_{0};     // until then the last of the window is sending a TLP
  std::array<LongTransfer*, kWindow> window_{};  // in the order of their next TLPs
  std::size_t active_ = 0;
  LongTransfer* waiting_ = nullptr;
  LongTransfer* waiting_tail_ = nullptr;
  LongTransfer* finished_ = nullptr;
  LongTransfer* finished_tail_ = nullptr;
};

}  // namespace nvmesim::pcie
