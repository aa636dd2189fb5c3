#include "host/kernel/cpu.hpp"

#include <algorithm>
#include <utility>

namespace nvmesim::host {

Cpu::Cpu(CpuId id, base::Scheduler& scheduler, Cpu*& current)
    : id_(id), scheduler_(scheduler), current_(current) {}

void Cpu::run(CpuPriority priority, base::Time cost, base::Callback at_end) {
  if (priority == CpuPriority::kTask) {
    tasks_.push({cost, at_end});
    // Inside a call-back the next slice starts when that is over and has charged what it will.
    if (tasks_.size() == 1 && !in_task_ && !in_interrupt_) start_task();
    return;
  }
  interrupts_.push({cost, at_end});
  interrupts_until_ = std::max(interrupts_until_, scheduler_.now()) + cost;
  hold_task(cost);
  if (interrupts_.size() == 1 && !in_interrupt_) start_interrupt();
}

// Whatever the task lane is doing ends later by `cost` of interrupt work.
void Cpu::hold_task(base::Time cost) {
  if (task_until_ <= scheduler_.now()) return;
  task_until_ += cost;
  if (!scheduler_.pending(task_end_)) return;
  ++preemptions_;
  if (in_interrupt_) {
    task_held_ = true;  // until the call-back has charged all that it will
  } else {
    scheduler_.move(task_end_, task_until_);
  }
}

void Cpu::start_interrupt() {
  interrupt_from_ = std::max(interrupt_from_, scheduler_.now()) + interrupts_.front().cost;
  scheduler_.at<&Cpu::interrupt_ended>(interrupt_from_, this);
}

void Cpu::interrupt_ended() {
  const Slice slice = interrupts_.pop();
  interrupt_busy_ += slice.cost;
  ++slices_;
  in_interrupt_ = true;
  current_ = this;
  slice.at_end();
  current_ = nullptr;
  in_interrupt_ = false;
  if (std::exchange(task_held_, false)) scheduler_.move(task_end_, task_until_);
  if (!interrupts_.empty()) start_interrupt();
  if (!tasks_.empty() && !scheduler_.pending(task_end_)) start_task();
}

void Cpu::start_task() {
  task_until_ = std::max({task_until_, interrupts_until_, scheduler_.now()}) + tasks_.front().cost;
  task_end_ = scheduler_.at<&Cpu::task_ended>(task_until_, this);
}

void Cpu::task_ended() {
  const Slice slice = tasks_.pop();
  task_busy_ += slice.cost;
  ++slices_;
  in_task_ = true;
  current_ = this;
  slice.at_end();
  current_ = nullptr;
  in_task_ = false;
  if (!tasks_.empty()) start_task();
}

void Cpu::charge(base::Time cost) {
  if (in_interrupt_) {
    interrupt_busy_ += cost;
    interrupt_from_ = std::max(interrupt_from_, scheduler_.now()) + cost;
    interrupts_until_ = std::max(interrupts_until_, scheduler_.now()) + cost;
    hold_task(cost);
    return;
  }
  task_busy_ += cost;
  if (scheduler_.pending(task_end_)) {
    task_until_ += cost;
    scheduler_.move(task_end_, task_until_);
  } else {
    task_until_ = std::max({task_until_, interrupts_until_, scheduler_.now()}) + cost;
  }
}

}  // namespace nvmesim::host
