// One direction of a link, every TLP simulated: sequence numbers, replay buffer and replay timer of
// the data link layer, flow control credits, ACK, NAK and UpdateFC packets (DLLPs) that travel on
// the other direction's wire, SKP ordered sets. The same order and the same wire times as
// pcie/direction.hpp, which computes with whole transfers.
//
// An object holds both ends of its direction: the transmitter, and the receiver at the far end. It
// needs its opposite for the way back. Arrival is the end on the wire plus a constant delay.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "pcie/bit_errors.hpp"
#include "pcie/link_events.hpp"
#include "pcie/link_points.hpp"
#include "pcie/tlp_arbiter.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::pcie {

// What Link does at the ends of a direction whose TLPs are simulated.
class TlpEnds : public DirectionEnds {
 public:
  // Will never be delivered. reported: sent() was called, or is not to be.
  virtual void lost(const Transfer& transfer, bool reported) = 0;
  // A request arrived, and a fault refuses it (Completer Abort, or Unsupported Request).
  virtual void refused(const Transfer& transfer, bool abort) = 0;
  virtual TlpRecord describe(const Transfer& transfer, std::uint32_t index) const = 0;
  // A transmission begins: log it, and ask what shall happen to it.
  virtual TlpFault examine(const TlpRecord& record) = 0;
  virtual void error(LinkError error) = 0;

 protected:
  ~TlpEnds() = default;
};

struct TlpTiming {
  base::Pace pace;              // of TLP bytes, DLLPs and SKP apart
  base::Time delay{0};          // from the end on the wire to the arrival
  base::Time dllp_time{0};      // of one; 0: they ride in every flit and cost nothing
  base::Time dllp_interval{0};  // a busy transmitter sends an ACK and an UpdateFC each
  base::Time skip_time{0};      // of an SKP ordered set; 0: none
  base::Time skip_interval{0};
  base::Time replay_timeout{0};
  base::Time credit_update_latency{0};   // from a TLP's arrival until its place is free again
  std::uint32_t replay_buffer_tlps = 0;  // most that may be unacknowledged
};

class TlpDirection {
 public:
  TlpDirection(TlpEnds& ends, base::Scheduler& scheduler, const TlpTiming& timing,
               const CreditAccounts& credits, BitErrors errors);
  TlpDirection(const TlpDirection&) = delete;
  TlpDirection& operator=(const TlpDirection&) = delete;
  void connect(TlpDirection& opposite) { opposite_ = &opposite; }

  void send(const Transfer& transfer);
  // What was announced and has not been sent will not be; its place on the wire is taken.
  void withdraw(const tlm::tlm_generic_payload& payload);
  // Everything sent has arrived or is lost, and was acknowledged.
  bool idle() const { return in_use_ == 0 && replay_.empty(); }
  // When the wire was or will be free.
  base::Time free_at() const { return free_at_; }

  // The transmitter stops at the next TLP boundary (recovery), and goes on.
  void pause();
  void resume(const TlpTiming& timing);
  // Link down: forgets everything; what was not delivered is lost, oldest first.
  void reset();

  struct Counters {
    std::uint64_t tlps = 0;      // transmissions, replays included
    std::uint64_t bits = 0;      // of these
    std::uint64_t replays = 0;   // TLPs sent again
    std::uint64_t bad_tlps = 0;  // found by the receiver's LCRC
    std::uint64_t bad_dllps = 0;
    std::uint64_t naks = 0;  // sent by this direction's receiver
    std::uint64_t replay_timeouts = 0;
    std::uint64_t replay_rollovers = 0;
    std::uint64_t duplicates = 0;  // arrived again after a lost ACK
    std::uint64_t acks = 0;        // DLLPs sent by this direction's receiver
    std::uint64_t credit_updates = 0;
    std::uint64_t dropped = 0;  // by a fault
    std::uint64_t malformed = 0;
    std::uint64_t refused = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Sent {  // in the replay buffer
    TlpFlow* flow;
    std::uint64_t sequence;
    std::uint32_t wire_bytes;
    TlpRecord record;
    // What it was sent with, and so what the receiver frees: a payload that was withdrawn may say
    // something else by now.
    Credits credits;
  };
  struct Flight {  // between the wire and the receiver
    TlpFlow* flow;
    std::uint64_t sequence;
    TlpFault fault;
    Credits credits;
  };
  // A DLLP on the opposite wire, for this direction's transmitter.
  struct Dllp {
    std::uint64_t acknowledged;  // everything before this sequence number
    CreditsByClass granted;
    bool nak;
    bool corrupt;
    bool has_credits;
  };
  struct Released {
    TrafficClass traffic;
    Credits credits;
  };

  void pump_at(base::Time when);
  void pump(std::uint64_t);
  void end_running();
  bool replaying() const { return replay_next_ < replay_.size(); }
  bool room_to_replay() const { return replay_.size() < timing_.replay_buffer_tlps; }
  base::Time overhead(base::Time now);
  void transmit_new(TlpFlow& flow, base::Time start);
  void transmit(const Sent& sent, base::Time start);
  void want_dllp();
  base::Time send_dllps(base::Time start);
  void carry_dllp(const Dllp& dllp, base::Time end);

  void arrival(std::uint64_t epoch);
  void accept(const Flight& flight);
  void finish(TlpFlow& flow);
  void ask_for_replay();
  void release_event(std::uint64_t epoch);
  void release(const Released& released);
  void refresh_credits(std::uint64_t epoch);

  void dllp_event(std::uint64_t epoch);
  void acknowledge(std::uint64_t before);
  void start_replay();
  void timeout_event();

  TlpFlow& take_flow(const Transfer& transfer);
  void free_flow(TlpFlow& flow);
  void announce(const Transfer& transfer);
  TlpFlow* announced(const tlm::tlm_generic_payload& payload);

  TlpEnds& ends_;
  base::Scheduler& scheduler_;
  TlpTiming timing_;
  TlpDirection* opposite_ = nullptr;
  std::uint64_t epoch_ = 0;  // entries of an older one are void
  Counters counters_;

  // Transmitter.
  TlpArbiter arbiter_;
  CreditAccounts credits_;
  BitErrors errors_;
  base::Time free_at_{0};
  base::Time next_dllp_{0};
  base::Time next_skip_{0};
  base::Scheduler::Handle pump_;
  TlpFlow* running_ = nullptr;  // its TLP is on the wire
  bool running_last_ = false;   // that is its last
  bool paused_ = false;
  std::deque<Sent> replay_;
  std::size_t replay_next_ = 0;  // the next to be sent again
  std::uint64_t next_sequence_ = 0;
  base::Scheduler::Handle timer_;
  std::uint32_t replays_in_a_row_ = 0;
  std::deque<Dllp> dllps_;  // on their way to this transmitter

  // Receiver.
  std::deque<Flight> flights_;
  std::deque<Released> released_;  // places that will be free after the latency
  std::uint64_t expected_ = 0;
  bool nak_scheduled_ = false;  // since the last TLP in sequence
  bool nak_due_ = false;
  bool ack_due_ = false;
  bool credits_due_ = false;
  bool credits_urgent_ = false;

  std::deque<TlpFlow> storage_;
  std::deque<TlpFlow*> free_;
  std::vector<TlpFlow*> announced_;
  std::uint64_t next_number_ = 0;
  std::size_t in_use_ = 0;
};

}  // namespace nvmesim::pcie
