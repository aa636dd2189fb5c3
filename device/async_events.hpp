// Asynchronous events (section 5.2): outstanding requests, one pending event per source, and the
// mask that a reported event sets on its source until the host has read the log page that belongs
// to it. A source is a type of event together with its log page.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "device/command.hpp"
#include "device/spec/features.hpp"
#include "device/spec/logs.hpp"

namespace nvmesim::device {

class AsyncEvents {
 public:
  AsyncEvents(Core& core, std::uint32_t limit);

  // A request of the host; completed with AER limit exceeded if there are too many.
  void request(Command& command);
  // An Abort took this outstanding request.
  void withdraw(const Command& command);

  void raise_error(spec::AsyncErrorInfo information);
  // Looks whether a critical warning that the host wants to hear of has appeared.
  void check_health();
  // Dropped unless the host asked for this notice (feature 0Bh).
  void raise_notice(spec::AsyncNoticeInfo information);
  void raise_sanitize_completed();
  // Log page 80h has a page for the host.
  void raise_reservation();
  // Get Log Page without Retain Asynchronous Event.
  void log_read(spec::LogPageId page);
  // Feature 0Bh.
  void configure(std::uint32_t config);
  void reset();

  std::size_t outstanding() const { return requests_.size(); }
  const std::uint64_t& sent_counter() const { return sent_; }

 private:
  struct Source {
    spec::AsyncEventType type;
    spec::LogPageId page;
    bool pending = false;
    bool masked = false;
    std::uint32_t dword = 0;
  };
  void raise(spec::AsyncEventType type, unsigned information, spec::LogPageId page);
  void deliver();

  Core& core_;
  std::size_t limit_;
  std::vector<Command*> requests_;  // oldest first
  std::vector<Source> sources_;     // in the order in which they are reported
  std::uint32_t config_ = 0;
  std::uint8_t reported_warning_ = 0;
  std::uint64_t sent_ = 0;
};

}  // namespace nvmesim::device
