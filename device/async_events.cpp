#include "device/async_events.hpp"

#include <algorithm>

#include "device/core.hpp"

namespace nvmesim::device {

using spec::AsyncEventType;
using spec::Status;

AsyncEvents::AsyncEvents(Core& core, std::uint32_t limit) : core_(core), limit_(limit) {
  requests_.reserve(limit);
}

void AsyncEvents::request(Command& command) {
  if (requests_.size() == limit_) {
    core_.reject(command, Status::kAsyncEventLimitExceeded, "more requests than AERL allows",
                 "5.2");
    return;
  }
  command.state = CommandState::kParked;
  command.record.stamp(base::Stage::kDecode, core_.scheduler.now());
  requests_.push_back(&command);
  deliver();
}

void AsyncEvents::withdraw(const Command& command) {
  requests_.erase(std::remove(requests_.begin(), requests_.end(), &command), requests_.end());
}

void AsyncEvents::raise_error(spec::AsyncErrorInfo information) {
  raise(AsyncEventType::kError,
        spec::async_event_dword(AsyncEventType::kError, static_cast<unsigned>(information),
                                static_cast<unsigned>(spec::LogPageId::kErrorInformation)));
}

void AsyncEvents::check_health() {
  const std::uint8_t wanted = core_.health.critical_warning() & smart_mask_;
  if ((wanted & ~reported_warning_) != 0) {
    raise(
        AsyncEventType::kSmart,
        spec::async_event_dword(AsyncEventType::kSmart,
                                static_cast<unsigned>(spec::AsyncSmartInfo::kTemperatureThreshold),
                                static_cast<unsigned>(spec::LogPageId::kSmart)));
  }
  reported_warning_ = wanted;
}

// While its type is masked an event is dropped: its log page, which the host has yet to read, tells
// of it.
void AsyncEvents::raise(AsyncEventType type, std::uint32_t dword) {
  Type& state = types_[static_cast<std::size_t>(type)];
  if (state.masked || state.pending) return;
  state.pending = true;
  state.dword = dword;
  deliver();
}

void AsyncEvents::deliver() {
  for (Type& state : types_) {
    if (!state.pending || requests_.empty()) continue;
    state.pending = false;
    state.masked = true;
    Command* command = requests_.front();
    requests_.erase(requests_.begin());
    ++sent_;
    core_.complete(*command, Status::kSuccess, state.dword);
  }
}

void AsyncEvents::log_read(spec::LogPageId page) {
  const auto clear = [this](AsyncEventType type) {
    Type& state = types_[static_cast<std::size_t>(type)];
    state.masked = state.pending = false;
  };
  if (page == spec::LogPageId::kErrorInformation) clear(AsyncEventType::kError);
  if (page == spec::LogPageId::kSmart) clear(AsyncEventType::kSmart);
}

void AsyncEvents::configure(std::uint32_t config) {
  smart_mask_ = static_cast<std::uint8_t>(config & spec::kAsyncConfigSmartMask);
  check_health();
}

void AsyncEvents::reset() {
  requests_.clear();
  types_ = {};
  smart_mask_ = 0;
  reported_warning_ = 0;
}

}  // namespace nvmesim::device
