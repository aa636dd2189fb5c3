// Power states (section 8.4): the one that the host set, autonomous transitions when the drive is
// idle (APST, 8.4.2), what entering and leaving one costs an I/O command, and limits of the data
// rate, by state and by thermal throttling. Without any of them an I/O passes a single branch.
#pragma once

#include <array>
#include <cstdint>

#include "device/controller_config.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::device {

struct Core;

enum class Throttle : std::uint8_t { kNone, kLight, kHeavy };

class Power {
 public:
  static constexpr std::size_t kApstEntries = 32;
  using ApstTable = std::array<std::uint64_t, kApstEntries>;

  explicit Power(Core& core);

  // Feature 02h; the state exists. Takes its entry latency.
  void set_state(unsigned state);
  // Feature 0Ch: entry n is for power state n; ITPS 7:3, ITPT (ms) 31:8.
  void set_apst(bool enabled, const ApstTable& table);
  void set_throttle(Throttle throttle);
  void reset();

  // Something here concerns I/O commands.
  bool concerns_io() const { return concerns_io_; }
  // When an I/O command of `bytes` that arrives now may go on; wakes the drive.
  base::Time admit(std::uint64_t bytes);
  // The last open I/O command has ended, at now().
  void idle();

  unsigned state() const { return state_; }
  unsigned states() const { return static_cast<unsigned>(core_states_) + 1; }
  bool operational(unsigned state) const;
  // Watts that the drive draws now, as the thermal model sees it.
  std::uint32_t idle_centiwatts() const;
  std::uint32_t active_centiwatts() const;
  const std::uint64_t& changes_counter() const { return changes_; }
  const std::uint64_t& autonomous_counter() const { return autonomous_; }

 private:
  void enter(unsigned state);
  void idle_time_over();
  void start_idle_timer();
  std::uint32_t rate_limit() const;  // MB/s; 0 = none
  void update();

  Core& core_;
  const std::size_t core_states_;  // beside PS0
  unsigned state_ = 0;
  unsigned operational_state_ = 0;  // where an I/O command brings the drive back to
  base::Time settled_at_{0};        // the last transition is over
  bool apst_ = false;
  ApstTable table_{};
  base::Scheduler::Handle timer_;
  bool timer_runs_ = false;
  Throttle throttle_ = Throttle::kNone;
  base::Time rate_free_at_{0};
  bool concerns_io_ = false;
  std::uint64_t changes_ = 0;
  std::uint64_t autonomous_ = 0;
};

}  // namespace nvmesim::device
