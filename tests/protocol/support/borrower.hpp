// The user of a host memory buffer, as the media's mapping table is one: it keeps a number in every
// page of what it is lent.
#pragma once

#include <cstring>

#include "models/borrowed_memory.hpp"
#include "sim/base/buffer.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::test {

class Borrower : public models::BorrowedMemoryUser {
 public:
  explicit Borrower(base::Scheduler& scheduler) : scheduler_(scheduler) {}

  void lent(models::BorrowedMemory& memory, bool intact) override {
    memory_ = &memory;
    last_intact = intact;
    ++times_lent;
  }
  void withdraw(base::Callback done) override {
    done_ = done;
    timer_ = scheduler_.after<&Borrower::give_back>(30us, this);
  }
  void dropped() override {
    scheduler_.cancel(timer_);
    memory_ = nullptr;
    ++times_dropped;
  }
  void write(std::uint64_t page) {
    buffer_ = buffers_.take();
    std::memset(buffer_->data(), 0, 8);
    std::memcpy(buffer_->data(), &page, sizeof page);
    memory_->write(page * 4096 + 8, {buffer_->data(), 8}, buffer_,
                   base::Callback::of<&Borrower::moved>(this));
  }
  void read(std::uint64_t page) {
    buffer_ = buffers_.take();
    memory_->read(page * 4096 + 8, {buffer_->data(), 8}, buffer_,
                  base::Callback::of<&Borrower::moved>(this));
  }
  std::uint64_t value() const {
    std::uint64_t result = 0;
    std::memcpy(&result, buffer_->data(), sizeof result);
    return result;
  }

  models::BorrowedMemory* memory_ = nullptr;
  bool last_intact = false;
  bool last_failed = false;
  int times_lent = 0;
  int times_dropped = 0;
  int moves = 0;

 private:
  void moved() {
    ++moves;
    last_failed = memory_->failed();
  }
  void give_back() {
    memory_ = nullptr;
    done_();
  }
  base::Scheduler& scheduler_;
  base::BufferPool buffers_{4096};
  base::BufferRef buffer_;
  base::Callback done_;
  base::Scheduler::Handle timer_;
};

}  // namespace nvmesim::test
