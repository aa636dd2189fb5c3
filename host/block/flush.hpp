// Flushes of one hardware queue to a drive with a volatile cache. Requests that need a flush wait
// here; one flush command at a time is out, for all that were waiting when it was issued, so a
// storm of flushes becomes few commands. It goes to the drive as the first of them (with its tag).
//
// Steps of a request: flush before its data (PREFLUSH), the data, the end. FUA needs no step: the
// drive does it. While data of such a request is out, the next flush waits for it, 5 s at most.
#pragma once

#include "host/block/request.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::host {

class FlushQueue {
 public:
  FlushQueue(RequestQueue& queue, base::Scheduler& scheduler)
      : queue_(queue), scheduler_(scheduler) {}

  // A flush request, or a write with PREFLUSH.
  void insert(Request& request);
  // A request with a flush step has ended. True if it was the flush command: all it stood for is
  // seen to here. False: it ends as any other.
  bool ended(Request& request, BlockStatus status);
  // Flush commands sent to the drive.
  std::uint64_t commands() const { return commands_; }

 private:
  struct List {
    Request* first = nullptr;
    Request* last = nullptr;
    void push(Request& request);
    Request* pop();
  };
  void kick();
  void command_ended(BlockStatus status);

  RequestQueue& queue_;
  base::Scheduler& scheduler_;
  List pending_;
  List running_;  // those whose flush is out; the first carries it
  base::Time pending_since_{0};
  std::uint32_t data_out_ = 0;
  std::uint64_t commands_ = 0;
};

}  // namespace nvmesim::host
