// Interrupt coalescing (features 08h and 09h, section 7.5.1.2): holds the interrupt of an I/O
// completion queue's vector back until the aggregation threshold or time is reached. Admin
// completions are never held, and neither is a vector with coalescing disabled.
#pragma once

#include <cstdint>
#include <vector>

#include "device/queues.hpp"
#include "device/timed_stage.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/stage.hpp"

namespace nvmesim::device {

class Coalescer {
 public:
  Coalescer(Core& core, std::uint32_t vectors);

  // threshold: entries, 0's based. time: 0 = no delay.
  void configure(std::uint32_t threshold, base::Time time);
  void set_disabled(std::uint16_t vector, bool disabled) { vectors_[vector].disabled = disabled; }
  bool disabled(std::uint16_t vector) const { return vectors_[vector].disabled; }
  // Interrupt messages take time of their own to make.
  const TimedStage& unit() const { return unit_; }

  // True if an entry that is now posted in `queue` is to be followed by its interrupt at once.
  bool sends_now(const CompletionQueue& queue) const {
    if (time_ == base::kTimeZero || queue.id == 0) return true;
    const Vector& vector = vectors_[queue.vector];
    return vector.disabled || vector.held.size() + 1 > threshold_;
  }
  void send(std::uint16_t vector);
  // The interrupt of an entry just posted waits.
  void hold(const CompletionQueue& queue, base::CommandKey key);
  void reset();

  const std::uint64_t& sent_counter() const { return sent_; }
  const std::uint64_t& held_counter() const { return held_; }

 private:
  struct Vector {
    bool disabled = false;
    std::vector<base::CommandKey> held;
    base::Scheduler::Handle timer;
  };
  void expired(std::uint64_t vector);
  void late(std::uint64_t vector);  // the message of one is made

  Core& core_;
  TimedStage unit_;
  std::vector<Vector> vectors_;
  std::uint32_t threshold_ = 0;
  base::Time time_{0};
  std::uint64_t sent_ = 0;
  std::uint64_t held_ = 0;
};

}  // namespace nvmesim::device
