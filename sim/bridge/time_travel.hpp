// The controller of a User-Mode Linux kernel's time (time-travel=ext). The kernel asks to run at a
// time and waits; the controller lets it run when the simulation has come so far. Times are counted
// in ns of the kernel's clock, which starts at 0.
//
// It holds the protocol and the state; who advances the simulation asks it what the kernel wants.
// A kernel that can (6.12) shares memory for the time: then of all messages only its WAIT and our
// RUN are left, both without acknowledgement.
#pragma once

#include <cstdint>
#include <optional>

#include "sim/bridge/shared_time.hpp"

namespace nvmesim::bridge {

// A message in both directions; the other side acknowledges each.
struct TimeTravelMessage {
  std::uint32_t op;
  std::uint32_t seq;
  std::uint64_t time;
};
static_assert(sizeof(TimeTravelMessage) == 16);

class TimeTravel {
 public:
  using Ns = std::uint64_t;
  static constexpr Ns kNever = ~Ns{0} >> 1;

  // date: what the kernel's real-time clock shows at its time 0, in ns since 1970.
  TimeTravel(Fd connection, Ns date) : peer_(std::move(connection), "the kernel"), date_(date) {}

  int fd() const { return peer_.fd(); }
  // Messages that were handled: the same in every run, however they came.
  std::uint64_t messages() const { return messages_; }
  bool receive() { return peer_.receive(); }
  // Handles what was received, at the kernel's time `now`, up to a message with which the
  // simulation has to advance first: then update() is set.
  void serve(Ns now);

  // The kernel stands still until it is run().
  bool waiting() const { return waiting_; }
  // When it wants to run; kNever if it has not asked.
  Ns requested() const;
  bool shares_time() const { return shares_time_; }
  // The kernel has gone on to this time by itself and waits for an acknowledgement.
  std::optional<Ns> update() const { return update_; }
  void finish_update();
  // A kernel that shares the time and runs: how far it has gone on by itself. Else 0. Throws
  // PeerError if it went farther than it was allowed to.
  Ns gone_on_to() const;
  // The kernel, which waits, is about to be spoken to at `now`.
  void tell(Ns now);

  // Lets the waiting kernel go on at `now`, and, without asking, up to `free_until`.
  void run(Ns now, Ns free_until);
  // Takes back a part of that. Until it is acknowledged() the kernel must be held.
  void limit(Ns free_until);
  Ns free_until() const { return free_until_; }
  bool acknowledged() const { return unacknowledged_ == 0; }

 private:
  void acknowledge(const TimeTravelMessage& message, Ns time = 0);
  TimeTravelMessage make(std::uint32_t op, Ns time);

  Connection peer_;
  SharedTime shared_;
  const Ns date_;
  std::uint64_t messages_ = 0;
  bool started_ = false;
  bool shares_time_ = false;
  Ns granted_ = 0;  // the kernel's time is not beyond
  bool waiting_ = false;
  Ns requested_ = kNever;
  Ns free_until_ = 0;  // 0: it has to ask
  std::optional<Ns> update_;
  std::uint32_t update_seq_ = 0;
  std::uint32_t next_seq_ = 0;
  unsigned unacknowledged_ = 0;
};

}  // namespace nvmesim::bridge
