#include "device/fetcher.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "device/core.hpp"

namespace nvmesim::device {

namespace {
constexpr std::uint32_t kEntryBytes = sizeof(spec::SubmissionEntry);
constexpr std::uint32_t kPageBytes = 4096;
constexpr std::uint32_t kNone = ~std::uint32_t{0};
}  // namespace

Fetcher::Fetcher(Core& core)
    : core_(core),
      latency_(core.config.pipeline.cycles(core.config.pipeline.doorbell_cycles) +
               core.config.pipeline.cycles(core.config.pipeline.fetch_cycles)),
      interval_(core.config.pipeline.cycles(core.config.pipeline.fetch_interval_cycles)),
      slots_(core.config.pipeline.fetch_slots),
      waiting_(core.config.max_io_queues / 64 + 1),
      issued_(core.config.pipeline.fetch_width, -interval_) {
  for (Slot& slot : slots_) slot.buffer = core_.buffers.take();
}

void Fetcher::set_arbitration_burst(unsigned burst) {
  burst_limit_ = burst >= 7 ? ~std::uint32_t{0} : 1u << burst;
  credit_ = std::min(credit_, burst_limit_);
}

void Fetcher::set_weights(std::uint32_t high, std::uint32_t medium, std::uint32_t low) {
  weights_ = {0, 0, high, medium, low};
  round_ = weights_;
}

void Fetcher::set_waiting(std::uint32_t id, bool waiting) {
  std::uint64_t& word = waiting_[id / 64];
  const std::uint64_t bit = std::uint64_t{1} << (id % 64);
  if (((word & bit) != 0) == waiting) return;
  word ^= bit;
  waiting_queues_ += waiting ? 1u : ~std::uint32_t{0};
}

// The first queue with entries at or behind `from`, going round; kNone if there is none.
std::uint32_t Fetcher::next_waiting(std::uint32_t from) const {
  if (waiting_queues_ == 0) return kNone;
  const std::size_t words = waiting_.size();
  std::size_t word = from / 64;
  if (word >= words) {
    word = 0;
    from = 0;
  }
  std::uint64_t bits = waiting_[word] & (~std::uint64_t{0} << (from % 64));
  for (std::size_t i = 0; i <= words; ++i) {
    if (bits != 0) return static_cast<std::uint32_t>(word * 64 + std::countr_zero(bits));
    word = word + 1 == words ? 0 : word + 1;
    bits = waiting_[word];
  }
  return kNone;
}

void Fetcher::doorbell(SubmissionQueue& queue) {
  set_waiting(queue.id, true);
  if (running_ && slots_busy_ < slots_.size()) schedule(queue.seen(queue.fetch_head) + latency_);
}

void Fetcher::resume() {
  running_ = true;
  plan_next();
}

void Fetcher::wake() {
  starved_ = false;
  plan_next();
}

void Fetcher::schedule(base::Time when) {
  when = std::max({when, next_issue_, core_.scheduler.now()});
  if (decision_pending_) {
    if (decision_at_ <= when) return;
    core_.scheduler.cancel(decision_);
  }
  decision_pending_ = true;
  decision_at_ = when;
  decision_ = core_.scheduler.at<&Fetcher::decide>(when, this, 0, base::Phase::kLate);
}

// Fused pairs need their entries in order, so that the queue's fetches follow each other.
bool Fetcher::in_order(const SubmissionQueue& queue) const {
  return core_.config.fuses != 0 && queue.fetches_open != 0;
}

bool Fetcher::eligible(const SubmissionQueue& queue, base::Time now) const {
  return queue.seen(queue.fetch_head) + latency_ <= now &&
         core_.commands.available(queue.id == 0) != 0 && !in_order(queue);
}

unsigned Fetcher::class_of(const SubmissionQueue& queue) const {
  return queue.id == 0 ? kAdminClass : kUrgentClass + queue.priority;
}

SubmissionQueue* Fetcher::pick_of_class(unsigned wanted, base::Time now) {
  Turn& turn = turns_[wanted];
  const auto takes = [&](std::uint32_t id) {
    SubmissionQueue* queue = core_.queues.sq(id);
    return class_of(*queue) == wanted && eligible(*queue, now) ? queue : nullptr;
  };
  SubmissionQueue* found = nullptr;
  if (turn.credit != 0 && (waiting_[turn.current / 64] >> (turn.current % 64) & 1) != 0) {
    found = takes(turn.current);
  }
  std::uint32_t id = turn.current;
  for (std::uint32_t i = 0; i < waiting_queues_ && found == nullptr; ++i) {
    id = next_waiting(id + 1);
    found = takes(id);
    if (found != nullptr) turn = {id, burst_limit_};
  }
  if (found != nullptr) {
    picked_class_ = wanted;
    credit_ = turn.credit;
    if (wanted >= kHighClass) credit_ = std::min(credit_, round_[wanted]);
  }
  return found;
}

// Admin before urgent before the three weighted classes; these share rounds of their weights.
SubmissionQueue* Fetcher::pick_weighted(base::Time now) {
  for (const unsigned strict : {kAdminClass, kUrgentClass}) {
    if (SubmissionQueue* queue = pick_of_class(strict, now); queue != nullptr) return queue;
  }
  for (int round = 0; round < 2; ++round) {
    for (unsigned each = kHighClass; each < kClasses; ++each) {
      if (round_[each] == 0) continue;
      if (SubmissionQueue* queue = pick_of_class(each, now); queue != nullptr) return queue;
    }
    round_ = weights_;
  }
  return nullptr;
}

SubmissionQueue* Fetcher::pick(base::Time now) {
  if (weighted_) [[unlikely]]
    return pick_weighted(now);
  if (credit_ != 0 && (waiting_[current_ / 64] >> (current_ % 64) & 1) != 0) {
    SubmissionQueue* queue = core_.queues.sq(current_);
    if (eligible(*queue, now)) return queue;
  }
  std::uint32_t id = current_;
  for (std::uint32_t i = 0; i < waiting_queues_; ++i) {
    id = next_waiting(id + 1);
    SubmissionQueue* queue = core_.queues.sq(id);
    if (!eligible(*queue, now)) continue;
    current_ = id;
    credit_ = burst_limit_;
    return queue;
  }
  return nullptr;
}

// How many entries one request may read: they lie behind each other in one 4 KiB page, their
// doorbells have been seen, and each finds a command slot.
std::uint32_t Fetcher::burst_of(const SubmissionQueue& queue, base::Time now) const {
  const std::uint64_t address = queue.base + std::uint64_t{queue.fetch_head} * kEntryBytes;
  const auto in_page =
      static_cast<std::uint32_t>((kPageBytes - address % kPageBytes) / kEntryBytes);
  const std::uint32_t limit = std::min({queue.waiting(), queue.size - queue.fetch_head, in_page,
                                        credit_, core_.config.pipeline.fetch_burst_entries,
                                        core_.commands.available(queue.id == 0)});
  std::uint32_t count = 1;
  while (count < limit && queue.seen(queue.fetch_head + count) + latency_ <= now) ++count;
  return count;
}

void Fetcher::issue(SubmissionQueue& queue, base::Time now) {
  const std::uint32_t count = burst_of(queue, now);
  std::size_t index = 0;
  while (slots_[index].queue != nullptr) ++index;
  Slot& slot = slots_[index];
  slot.queue = &queue;
  slot.first = queue.fetch_head;
  slot.count = count;
  slot.sequence = fetches_++;
  slot.issued = now;
  ++slots_busy_;
  credit_ -= count;
  if (weighted_) [[unlikely]] {
    turns_[picked_class_].credit -= count;
    if (picked_class_ >= kHighClass) round_[picked_class_] -= count;
  }
  entries_ += count;
  core_.commands.reserve(queue.id == 0, count);
  ++queue.fetches_open;
  const std::uint64_t address = queue.base + std::uint64_t{queue.fetch_head} * kEntryBytes;
  queue.fetch_head += count;
  if (queue.fetch_head == queue.size) queue.fetch_head = 0;
  if (queue.fetch_head == queue.tail) set_waiting(queue.id, false);
  core_.port.dma_read(address, {slot.buffer->data(), std::size_t{count} * kEntryBytes}, slot.buffer,
                      base::Callback::of<&Fetcher::arrived>(this, index));
  if (queue.fetch_head == queue.tail && core_.shadows.active() && queue.id != 0) [[unlikely]] {
    core_.shadows.look(queue);
  }
}

void Fetcher::decide() {
  decision_pending_ = false;
  const base::Time now = core_.scheduler.now();
  while (running_ && slots_busy_ < slots_.size()) {
    SubmissionQueue* queue = pick(now);
    if (queue == nullptr) break;
    issue(*queue, now);
    issued_[oldest_] = now;
    if (++oldest_ == issued_.size()) oldest_ = 0;
    next_issue_ = issued_[oldest_] + interval_;
    if (next_issue_ > now) break;
  }
  plan_next();
}

// Schedules the next decision, if there is something to decide.
void Fetcher::plan_next() {
  if (!running_ || waiting_queues_ == 0 || slots_busy_ == slots_.size()) return;
  base::Time earliest = base::kTimeMax;
  std::uint32_t id = next_waiting(0);
  for (std::uint32_t i = 0; i < waiting_queues_; ++i) {
    const SubmissionQueue* queue = core_.queues.sq(id);
    if (core_.commands.available(id == 0) == 0) {
      if (!starved_) ++starved_count_;
      starved_ = true;
    } else if (!in_order(*queue)) {
      earliest = std::min(earliest, queue->seen(queue->fetch_head) + latency_);
    }
    id = next_waiting(id + 1);
  }
  if (earliest != base::kTimeMax) schedule(earliest);
}

void Fetcher::arrived(std::uint64_t slot_index) {
  Slot& slot = slots_[slot_index];
  SubmissionQueue& queue = *slot.queue;
  const base::Time now = core_.scheduler.now();
  slot.queue = nullptr;
  --slots_busy_;
  --queue.fetches_open;
  if (core_.port.dma_status() != pcie::DmaStatus::kOk) {
    core_.commands.unreserve(queue.id == 0, slot.count);
    core_.registers.fatal("submission entries could not be read from host memory", "4.1");
    return;
  }
  if (queue.deleting) {
    core_.commands.unreserve(queue.id == 0, slot.count);
    core_.finish_deletion(queue);
  } else {
    advance_head(queue);
    for (std::uint32_t i = 0; i < slot.count; ++i) {
      Command& command = core_.commands.take();
      std::memcpy(&command.sqe, slot.buffer->data() + std::size_t{i} * kEntryBytes, kEntryBytes);
      command.sqid = queue.id;
      command.cqid = queue.cqid;
      command.record.open(queue.arrived[slot.first + i]);
      command.record.stamp(base::Stage::kArbitration, slot.issued);
      command.record.stamp(base::Stage::kFetch, now);
      ++queue.commands_open;
      core_.dispatcher.accept(command);
    }
    if (queue.waiting() == 0) core_.dispatcher.end_of_entries(queue);
  }
  if (waiting_queues_ != 0) plan_next();
}

// Entries are consumed in order, even if their reads come back in another.
void Fetcher::advance_head(SubmissionQueue& queue) {
  queue.head = queue.fetch_head;
  if (queue.fetches_open == 0) return;
  std::uint64_t oldest = ~std::uint64_t{0};
  for (const Slot& slot : slots_) {
    if (slot.queue == &queue && slot.sequence < oldest) {
      oldest = slot.sequence;
      queue.head = slot.first;
    }
  }
}

void Fetcher::forget(SubmissionQueue& queue) {
  set_waiting(queue.id, false);
}

void Fetcher::reset() {
  if (decision_pending_) core_.scheduler.cancel(decision_);
  decision_pending_ = false;
  running_ = true;
  starved_ = false;
  current_ = 0;
  credit_ = 0;
  weighted_ = false;
  turns_ = {};
  round_ = weights_;
  waiting_queues_ = 0;
  slots_busy_ = 0;
  std::fill(waiting_.begin(), waiting_.end(), 0);
  for (Slot& slot : slots_) {
    // A dropped read may still write into the old buffer.
    if (slot.queue != nullptr) slot.buffer = core_.buffers.take();
    slot.queue = nullptr;
  }
}

}  // namespace nvmesim::device
