// Which TLP goes on the wire next, where each is simulated: the same policy as pcie/direction.hpp
// (short transfers in the order of send(), long ones take turns, nothing behind a long posted write
// without relaxed ordering), with credits. What lacks credits is passed by what may pass it
// (pcie/ordering.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "pcie/credits.hpp"
#include "pcie/direction.hpp"
#include "pcie/ordering.hpp"

namespace nvmesim::pcie {

// A transfer on its way, until all of its TLPs have arrived or were lost.
struct TlpFlow {
  Transfer transfer;
  OrderKey order;
  std::uint64_t number = 0;     // in the order of send()
  std::uint32_t issued = 0;     // TLPs that have been on the wire
  std::uint32_t arrived = 0;    // TLPs that the receiver has taken or discarded for good
  std::uint32_t available = 0;  // TLPs that may be issued; fewer than all while announced
  std::uint32_t passed = 0;     // how often a younger one was preferred for want of credits
  bool lost = false;            // a TLP was
  bool refused = false;         // by a fault, with Unsupported Request or...
  bool aborted = false;         // ...with Completer Abort
  Credits need;                 // of its next TLP
  bool reported = false;        // as sent, or nobody waits for that
  bool in_use = false;
  // Behind a switch, and the transfer itself has not come; or will not.
  bool announced = false;
  bool withdrawn = false;
  bool kept = false;  // was announced: the payload is acquired, and its place is an extra one
  bool is_barrier() const {
    return !announced && !transfer.is_short && transfer.traffic == TrafficClass::kPosted &&
           !transfer.relaxed_ordering;
  }
  bool last_issued() const { return issued == transfer.segments.tlps; }
};

class TlpArbiter {
 public:
  // A posted write that waits for credits is passed so often by its class at most.
  static constexpr std::uint32_t kMostPassed = 64;

  void add(TlpFlow& flow);
  // One that is announced waits for no barrier and no place; later all of it is there.
  void add_announced(TlpFlow& flow);
  void complete(TlpFlow& flow);
  // The flow whose next TLP may go now; nullptr if there is none.
  TlpFlow* next(const CreditAccounts& credits);
  // The next TLP of `flow`, from next(), has begun, or has ended: then a long one goes to the end
  // of the line.
  void begin(TlpFlow& flow);
  void end(TlpFlow& flow);
  void clear();

  // Nothing waits, credits or not.
  bool empty() const { return shorts_.empty() && window_.empty() && held_.empty(); }

 private:
  // The posted writes, sent before the one that is looked at, that want for credits.
  struct Blocked {
    TlpFlow* oldest = nullptr;
    bool several_senders = false;
  };
  static bool may_pass_blocked(const TlpFlow& flow, const Blocked& blocked);
  static bool may_go(const TlpFlow& flow, const Blocked& blocked, const CreditAccounts& credits);

  static constexpr std::size_t kWindow = Wire::kWindow;
  std::deque<TlpFlow*> shorts_;
  std::vector<TlpFlow*> window_;  // in the order of their turns
  std::size_t away_ = 0;          // of the window: its TLP is on the wire
  std::size_t extra_ = 0;         // of both: announced ones, which may have nothing to send
  std::deque<TlpFlow*> waiting_;  // for a place in the window
  std::deque<TlpFlow*> held_;     // behind the barrier
  std::uint32_t barriers_ = 0;
};

}  // namespace nvmesim::pcie
