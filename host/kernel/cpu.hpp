// One processor of the host: a server with two priorities. Task slices run in order; interrupt
// slices run in order before them and delay a running task slice by their own duration.
//
// Contract. A slice's call-back runs at its end, from one entry of the Scheduler; what it finds to
// do more it adds with charge(), which needs no entry: later slices start that much later.
#pragma once

#include <cstdint>

#include "host/kernel/cpu_id.hpp"
#include "host/kernel/ring.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::host {

enum class CpuPriority : std::uint8_t { kTask, kInterrupt };

class Cpu {
 public:
  // `current` is set to this processor while one of its call-backs runs (Machine::current_cpu()).
  Cpu(CpuId id, base::Scheduler& scheduler, Cpu*& current);
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;

  CpuId id() const { return id_; }
  bool in_interrupt() const { return in_interrupt_; }

  void run(CpuPriority priority, base::Time cost, base::Callback at_end);
  // Inside one of this processor's call-backs: more time of the same kind from now on. Outside of
  // one it is task time.
  void charge(base::Time cost);

  // Time spent in slices that have ended, and charged.
  base::Time busy() const { return task_busy_ + interrupt_busy_; }
  base::Time task_busy() const { return task_busy_; }
  base::Time interrupt_busy() const { return interrupt_busy_; }
  std::uint64_t slices() const { return slices_; }
  std::uint64_t preemptions() const { return preemptions_; }
  // Slices that have not ended.
  std::size_t waiting() const { return interrupts_.size() + tasks_.size(); }

 private:
  struct Slice {
    base::Time cost{0};
    base::Callback at_end;
  };

  void start_interrupt();
  void start_task();
  void interrupt_ended();
  void task_ended();
  void hold_task(base::Time cost);

  const CpuId id_;
  base::Scheduler& scheduler_;
  Cpu*& current_;
  bool in_interrupt_ = false;  // which kind of call-back is running
  bool in_task_ = false;

  Ring<Slice> interrupts_;          // the first one is running
  Ring<Slice> tasks_;               // the first one is running
  base::Time interrupt_from_{0};    // when the running interrupt slice, or its charged tail, ends
  base::Time interrupts_until_{0};  // when all interrupt work known now ends
  base::Time task_until_{0};        // when the running task slice, or its charged tail, ends
  base::Scheduler::Handle task_end_;
  bool task_held_ = false;  // task_end_ has still to be moved to task_until_

  base::Time task_busy_{0};
  base::Time interrupt_busy_{0};
  std::uint64_t slices_ = 0;
  std::uint64_t preemptions_ = 0;
};

}  // namespace nvmesim::host
