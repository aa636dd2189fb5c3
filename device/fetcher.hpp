// Arbitration among submission queues and the fetch of their entries. Round robin with the
// arbitration burst of feature 01h (section 4.13): decided in the late phase of an instant, by
// queue index, so that the order in which doorbells of one instant came does not matter. One fetch
// reads up to `fetch_burst_entries` entries with one DMA request.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "device/queues.hpp"
#include "sim/base/buffer.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::device {

class Fetcher {
 public:
  explicit Fetcher(Core& core);

  // A doorbell of `queue` arrived; its new slots are stamped.
  void doorbell(SubmissionQueue& queue);
  // Command slots became free.
  void slots_freed() {
    if (starved_) wake();
  }
  // 2^burst commands in a row from one queue; 7 = no limit.
  void set_arbitration_burst(unsigned burst);
  // Commands of each class in a round, for weighted round robin with urgent priority class
  // (4.13.2).
  void set_weights(std::uint32_t high, std::uint32_t medium, std::uint32_t low);
  void set_weighted(bool weighted) { weighted_ = weighted; }
  // Something that may have held a queue back is over.
  void look_again() { plan_next(); }
  // No fetch is issued any more until the next reset.
  void start() { running_ = true; }
  void stop() { running_ = false; }
  // Goes on after stop() with what waits.
  void resume();
  void reset();
  // `queue` is being deleted.
  void forget(SubmissionQueue& queue);

  std::uint64_t fetches() const { return fetches_; }
  const std::uint64_t& fetches_counter() const { return fetches_; }
  const std::uint64_t& entries_counter() const { return entries_; }
  const std::uint64_t& starved_counter() const { return starved_count_; }
  std::uint32_t slots_busy() const { return slots_busy_; }

 private:
  struct Slot {
    base::BufferRef buffer;
    SubmissionQueue* queue = nullptr;  // nullptr while free
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint64_t sequence = 0;
    base::Time issued{0};
  };

  void wake();
  void schedule(base::Time when);
  void decide();
  // The classes of weighted arbitration, in their order; with round robin all are in one.
  static constexpr unsigned kAdminClass = 0;
  static constexpr unsigned kUrgentClass = 1;
  static constexpr unsigned kHighClass = 2;  // and medium and low
  static constexpr unsigned kClasses = 5;
  struct Turn {
    std::uint32_t current = 0;  // queue that has the turn
    std::uint32_t credit = 0;   // commands that it may still send
  };
  SubmissionQueue* pick(base::Time now);
  SubmissionQueue* pick_weighted(base::Time now);
  SubmissionQueue* pick_of_class(unsigned wanted, base::Time now);
  unsigned class_of(const SubmissionQueue& queue) const;
  bool in_order(const SubmissionQueue& queue) const;
  bool eligible(const SubmissionQueue& queue, base::Time now) const;
  std::uint32_t burst_of(const SubmissionQueue& queue, base::Time now) const;
  void issue(SubmissionQueue& queue, base::Time now);
  void plan_next();
  void arrived(std::uint64_t slot_index);
  void advance_head(SubmissionQueue& queue);
  std::uint32_t next_waiting(std::uint32_t from) const;
  void set_waiting(std::uint32_t id, bool waiting);

  Core& core_;
  const base::Time latency_;   // doorbell and fetch set-up
  const base::Time interval_;  // of two fetches
  std::vector<Slot> slots_;
  std::vector<std::uint64_t> waiting_;  // bit per submission queue with entries to fetch
  std::uint32_t waiting_queues_ = 0;
  std::uint32_t slots_busy_ = 0;
  std::uint32_t current_ = 0;  // queue that has the turn
  std::uint32_t credit_ = 0;   // commands that it may still send
  bool weighted_ = false;
  unsigned picked_class_ = 0;
  std::array<Turn, kClasses> turns_{};
  std::array<std::uint32_t, kClasses> weights_{};
  std::array<std::uint32_t, kClasses> round_{};  // commands left to a class in this round
  std::uint32_t burst_limit_ = 1;
  bool running_ = true;
  bool starved_ = false;  // a queue waits for command slots only
  bool decision_pending_ = false;
  base::Time decision_at_{0};
  base::Time next_issue_{0};
  std::vector<base::Time> issued_;  // the last fetch_width fetches; the oldest is next
  std::size_t oldest_ = 0;
  base::Scheduler::Handle decision_;
  std::uint64_t fetches_ = 0;
  std::uint64_t entries_ = 0;
  std::uint64_t starved_count_ = 0;
};

}  // namespace nvmesim::device
