#include "device/keep_alive.hpp"

#include "device/core.hpp"

namespace nvmesim::device {

std::uint32_t KeepAlive::configure(std::uint32_t milliseconds) {
  const std::uint32_t unit = core_.config.management.keep_alive_granularity_100ms * 100;
  if (unit != 0) {
    const std::uint64_t rounded = base::ceil_div(milliseconds, unit) * unit;
    milliseconds =
        rounded > 0xFFFF'FFFF ? 0xFFFF'FFFF / unit * unit : static_cast<std::uint32_t>(rounded);
  }
  milliseconds_ = milliseconds;
  restart();
  return milliseconds_;
}

void KeepAlive::restart() {
  if (runs_) core_.scheduler.cancel(timer_);
  runs_ = milliseconds_ != 0;
  if (runs_) {
    timer_ =
        core_.scheduler.after<&KeepAlive::expired>(std::chrono::milliseconds(milliseconds_), this);
  }
}

void KeepAlive::expired() {
  runs_ = false;
  core_.errors.add_event(0, spec::Status::kKeepAliveExpired);
  core_.registers.fatal("no Keep Alive command came in time", "7.12");
}

}  // namespace nvmesim::device
