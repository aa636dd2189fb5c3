// The shared memory of the time-travel protocol (Linux 6.12 and later, linux/um_timetravel.h): what
// the time is, who runs, how far it may go on by itself and when it wants to run next. It is a file
// that we make and seal, so the kernel cannot take its bytes away.
//
// The controller is client 0, the kernel client 1. Its values are the kernel's word: whoever reads
// them checks them.
#pragma once

#include <cstdint>
#include <optional>

#include "sim/bridge/connection.hpp"

namespace nvmesim::bridge {

class SharedTime {
 public:
  using Ns = std::uint64_t;
  static constexpr std::uint16_t kKernel = 1;  // its client id

  // Throws PeerError if this machine has no memory for it.
  SharedTime();
  ~SharedTime();
  SharedTime(const SharedTime&) = delete;
  SharedTime& operator=(const SharedTime&) = delete;

  // To be sent with the answer to START: the memory, and a log that nobody reads.
  int memory_fd() const { return memory_.get(); }
  int log_fd() const { return log_.get(); }

  // The kernel has taken the memory, and will use it.
  bool used() const;
  // Where the running kernel is.
  Ns current_time() const;
  // When it wants to run; nothing if it has not asked.
  std::optional<Ns> requested() const;

  // The kernel may run at `now`, and by itself before `free_until`.
  void let_run(Ns now, Ns free_until);
  void limit(Ns free_until);
  // We run, and it is `now`.
  void take(Ns now);

 private:
  struct Layout;
  Fd memory_;
  Fd log_;
  Layout* shared_ = nullptr;
};

}  // namespace nvmesim::bridge
