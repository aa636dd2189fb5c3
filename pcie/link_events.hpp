// What a link tells those at its ends: it went down, it came up, an error was met.
#pragma once

#include <cstdint>
#include <string_view>

#include "pcie/traffic.hpp"

namespace nvmesim::pcie {

// Of the training and status state machine (base specification 4.2.5).
enum class LinkState : std::uint8_t {
  kDetect,
  kPolling,
  kConfiguration,
  kRecovery,
  kL0,
  kDisabled,
  kHotReset,
};
std::string_view name_of(LinkState state);

enum class LinkDownCause : std::uint8_t { kSurprise, kDisabled, kHotReset };

// Met by the port that receives `direction` (base specification 6.2.7): bad TLP, bad DLLP, replay
// timeout and rollover are correctable; a malformed TLP is fatal and has been discarded; a request
// that a fault refused has been answered.
enum class LinkError : std::uint8_t {
  kBadTlp,
  kBadDllp,
  kReplayTimeout,   // of the transmitter of `direction`
  kReplayRollover,  // of the transmitter of `direction`; the link retrains
  kMalformedTlp,
  kUnsupportedRequest,
  kCompleterAbort,
};

// Called from an entry at the instant of the event. A listener may call the link.
class LinkListener {
 public:
  // What was in flight is lost; posted requests come back undelivered. Before the first call-back
  // of what comes back.
  virtual void link_down(LinkDownCause) {}
  virtual void link_up() {}
  // Every step of training, before the call-backs above.
  virtual void link_state(LinkState) {}
  virtual void link_error(LinkError, Direction /*direction*/) {}

 protected:
  ~LinkListener() = default;
};

}  // namespace nvmesim::pcie
