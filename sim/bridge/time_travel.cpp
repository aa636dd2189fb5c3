#include "sim/bridge/time_travel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/base/assert.hpp"

namespace nvmesim::bridge {
namespace {

// The protocol's operations (linux/um_timetravel.h).
enum Op : std::uint32_t {
  kAck = 0,
  kStart = 1,
  kRequest = 2,
  kWait = 3,
  kGet = 4,
  kUpdate = 5,
  kRun = 6,
  kFreeUntil = 7,
  kGetTimeOfDay = 8,
};

}  // namespace

void TimeTravel::serve(Ns now) {
  while (!update_) {
    TimeTravelMessage message;
    if (peer_.bytes().size() < sizeof message) return;
    std::memcpy(&message, peer_.bytes().data(), sizeof message);
    peer_.consume(sizeof message);
    ++messages_;
    // It says so before its next message.
    if (started_) shares_time_ = shared_.used();
    switch (message.op) {
      case kAck:
        if (unacknowledged_ == 0) throw PeerError("the kernel acknowledged what was never sent");
        --unacknowledged_;
        break;
      case kStart: {
        started_ = true;
        const int fds[] = {shared_.memory_fd(), shared_.log_fd()};
        peer_.send_struct(TimeTravelMessage{kAck, message.seq, SharedTime::kKernel}, fds);
        break;
      }
      case kRequest:
        requested_ = message.time;
        acknowledge(message);
        break;
      case kWait:
        waiting_ = true;
        free_until_ = 0;
        if (!shares_time_) acknowledge(message);
        break;
      case kGet:
        acknowledge(message, now);
        break;
      case kUpdate:
        if (message.time > now) {
          update_ = message.time;
          update_seq_ = message.seq;
        } else {
          acknowledge(message);
        }
        break;
      case kGetTimeOfDay:
        acknowledge(message, date_ + now);
        break;
      default:
        throw PeerError(
            fmt::format("the kernel sent time message {}, which it must not", message.op));
    }
  }
}

TimeTravel::Ns TimeTravel::requested() const {
  return shares_time_ ? shared_.requested().value_or(kNever) : requested_;
}

TimeTravel::Ns TimeTravel::gone_on_to() const {
  if (!shares_time_ || waiting_) return 0;
  const Ns time = shared_.current_time();
  if (time > granted_) throw PeerError("the kernel's time is ahead of what it was allowed");
  return time;
}

void TimeTravel::tell(Ns now) {
  NVMESIM_ASSERT(waiting_, "a kernel that runs was spoken to");
  if (shares_time_) shared_.take(now);
}

void TimeTravel::finish_update() {
  NVMESIM_ASSERT(update_, "an update was finished that never came");
  update_.reset();
  acknowledge({kUpdate, update_seq_, 0});
}

void TimeTravel::acknowledge(const TimeTravelMessage& message, Ns time) {
  peer_.send_struct(TimeTravelMessage{kAck, message.seq, time});
}

TimeTravelMessage TimeTravel::make(std::uint32_t op, Ns time) {
  ++unacknowledged_;
  return {op, ++next_seq_, time};
}

void TimeTravel::run(Ns now, Ns free_until) {
  NVMESIM_ASSERT(waiting_, "a kernel was run that does not wait");
  waiting_ = false;
  requested_ = kNever;
  granted_ = std::max(now, free_until);
  if (shares_time_) {
    free_until_ = granted_;
    shared_.let_run(now, granted_);
    peer_.send_struct(TimeTravelMessage{kRun, ++next_seq_, now});
  } else if (free_until > now) {
    free_until_ = free_until;
    const TimeTravelMessage both[2] = {make(kFreeUntil, free_until), make(kRun, now)};
    peer_.send(std::as_bytes(std::span(both)));
  } else {
    free_until_ = 0;
    peer_.send_struct(make(kRun, now));
  }
}

void TimeTravel::limit(Ns free_until) {
  if (free_until >= free_until_) return;
  free_until_ = free_until;
  if (shares_time_) {
    shared_.limit(free_until);
  } else {
    peer_.send_struct(make(kFreeUntil, free_until));
  }
}

}  // namespace nvmesim::bridge
