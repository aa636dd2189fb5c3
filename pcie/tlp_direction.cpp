// The transmitter of pcie/tlp_direction.hpp; the receiver is in tlp_receiver.cpp.
#include "pcie/tlp_direction.hpp"

#include <algorithm>
#include <vector>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::uint64_t kDllpBits = 8 * 8;
constexpr std::uint32_t kMostReplays = 4;  // in a row, then the link retrains (3.6.2.1)

// What comes every `interval`: moves `due`, not after `now`, to the last time at or before `now`.
base::Time latest_due(base::Time due, base::Time interval, base::Time now) {
  return now - (now - due) % interval;
}

// What is left at `now` of something that began at `begin`.
base::Time rest_of(base::Time begin, base::Time duration, base::Time now) {
  return std::max(base::kTimeZero, begin + duration - now);
}

std::uint32_t payload_bytes(const TlpRecord& record) {
  return record.has_data() ? record.bytes : 0;
}

}  // namespace

TlpDirection::TlpDirection(TlpEnds& ends, base::Scheduler& scheduler, const TlpTiming& timing,
                           const CreditAccounts& credits, BitErrors errors)
    : ends_(ends), scheduler_(scheduler), timing_(timing), credits_(credits), errors_(errors) {}

TlpFlow& TlpDirection::take_flow(const Transfer& transfer) {
  TlpFlow* flow = nullptr;
  if (free_.empty()) {
    flow = &storage_.emplace_back();
  } else {
    flow = free_.back();
    free_.pop_back();
  }
  *flow = {};
  flow->transfer = transfer;
  flow->order = order_key(*transfer.payload, transfer.traffic);
  flow->number = next_number_++;
  flow->reported = !transfer.report_sent;
  flow->need = credits_for(payload_bytes(ends_.describe(transfer, 0)));
  flow->available = transfer.segments.tlps;
  flow->in_use = true;
  ++in_use_;
  return *flow;
}

void TlpDirection::free_flow(TlpFlow& flow) {
  flow.in_use = false;
  --in_use_;
  free_.push_back(&flow);
}

void TlpDirection::send(const Transfer& transfer) {
  if (transfer.announced_tlps != 0) {
    announce(transfer);
  } else if (TlpFlow* flow = announced(*transfer.payload)) {
    std::erase(announced_, flow);
    flow->transfer = transfer;
    flow->reported = !transfer.report_sent;
    arbiter_.complete(*flow);
  } else {
    arbiter_.add(take_flow(transfer));
  }
  const base::Time now = scheduler_.now();
  if (running_ == nullptr && now >= free_at_ && !scheduler_.pending(pump_)) {
    pump(0);
  } else {
    pump_at(std::max(now, free_at_));
  }
}

// The payload is looked at for each TLP, so it is kept.
void TlpDirection::announce(const Transfer& transfer) {
  TlpFlow* flow = announced(*transfer.payload);
  if (flow == nullptr) {
    flow = &take_flow(transfer);
    flow->announced = flow->kept = true;
    transfer.payload->acquire();
    announced_.push_back(flow);
    arbiter_.add_announced(*flow);
  }
  flow->available = transfer.announced_tlps;
}

TlpFlow* TlpDirection::announced(const tlm::tlm_generic_payload& payload) {
  for (TlpFlow* flow : announced_) {
    if (flow->transfer.payload == &payload) return flow;
  }
  return nullptr;
}

void TlpDirection::withdraw(const tlm::tlm_generic_payload& payload) {
  TlpFlow* flow = announced(payload);
  if (flow == nullptr) return;
  std::erase(announced_, flow);
  flow->withdrawn = true;
  arbiter_.complete(*flow);
  pump_at(std::max(scheduler_.now(), free_at_));
}

// The replay timer stands still during recovery.
void TlpDirection::pause() {
  paused_ = true;
  scheduler_.cancel(timer_);
}

void TlpDirection::resume(const TlpTiming& timing) {
  timing_ = timing;
  paused_ = false;
  if (!replay_.empty() && !scheduler_.pending(timer_)) {
    timer_ = scheduler_.after<&TlpDirection::timeout_event>(timing_.replay_timeout, this);
  }
  pump_at(std::max(scheduler_.now(), free_at_));
}

void TlpDirection::pump_at(base::Time when) {
  if (!scheduler_.pending(pump_)) {
    pump_ = scheduler_.at<&TlpDirection::pump>(when, this);
  } else if (scheduler_.when(pump_) > when) {
    scheduler_.move(pump_, when);
  }
}

// The wire is free: what comes next?
void TlpDirection::pump(std::uint64_t) {
  const base::Time now = scheduler_.now();
  if (now < free_at_) {
    pump_at(free_at_);
    return;
  }
  end_running();
  // What was reported as sent may have sent more, and begun it.
  if (paused_ || running_ != nullptr || now < free_at_) return;
  TlpFlow* flow = nullptr;
  if (!replaying() && room_to_replay()) {
    flow = arbiter_.next(credits_);
  }
  const bool has_tlp = replaying() || flow != nullptr;
  const bool idle_info = !has_tlp && (opposite_->ack_due_ || opposite_->credits_due_);
  if (!has_tlp && !opposite_->nak_due_ && !opposite_->credits_urgent_) {
    if (!idle_info) return;
    if (now < next_dllp_ && timing_.dllp_time != base::kTimeZero) {
      pump_at(next_dllp_);
      return;
    }
  }
  const base::Time start = overhead(now);
  free_at_ = start;
  if (replaying()) {
    ++counters_.replays;
    replay_[replay_next_].record.replayed = true;
    transmit(replay_[replay_next_++], start);
  } else if (flow != nullptr) {
    transmit_new(*flow, start);
  }
  pump_at(free_at_);
}

// The TLP that was on the wire has left it.
void TlpDirection::end_running() {
  if (running_ == nullptr) return;
  TlpFlow& flow = *running_;
  running_ = nullptr;
  const bool report = running_last_ && !flow.reported;
  flow.reported |= report;
  arbiter_.end(flow);
  if (report) ends_.sent(*flow.transfer.payload);
}

// What goes before the next TLP: SKP, DLLPs for the other direction. When that has left. What was
// due while the wire was idle has gone out then.
base::Time TlpDirection::overhead(base::Time now) {
  base::Time start = now;
  if (timing_.skip_time != base::kTimeZero && now >= next_skip_) {
    const base::Time due = latest_due(next_skip_, timing_.skip_interval, now);
    start += rest_of(std::max(due, free_at_), timing_.skip_time, now);
    next_skip_ = due + timing_.skip_interval;
  }
  return send_dllps(start);
}

// A NAK and credits that are waited for go at once; an ACK and an UpdateFC each interval, even if
// they say nothing new, as the closed form of the bandwidth has it.
base::Time TlpDirection::send_dllps(base::Time start) {
  TlpDirection& receiver = *opposite_;
  const base::Time now = scheduler_.now();
  bool slot = receiver.ack_due_ || receiver.credits_due_;
  if (timing_.dllp_time != base::kTimeZero) {
    const bool news = slot;
    slot = now >= next_dllp_;
    if (slot) {
      const base::Time due = latest_due(next_dllp_, timing_.dllp_interval, now);
      next_dllp_ = due + timing_.dllp_interval;
      if (!news) {
        start += rest_of(std::max(due, free_at_), 2 * timing_.dllp_time, now);
        slot = false;
      }
    }
  }
  const auto dllp = [&](bool nak, bool has_credits) {
    start += timing_.dllp_time;
    const CreditsByClass granted = has_credits ? receiver.credits_.advertise() : CreditsByClass{};
    receiver.carry_dllp(
        {receiver.expected_, granted, nak, errors_.send(kDllpBits) != 0, has_credits}, start);
  };
  if (receiver.credits_urgent_) {
    receiver.credits_urgent_ = false;
    receiver.credits_due_ = false;
    ++receiver.counters_.credit_updates;
    dllp(false, true);
  }
  if (receiver.nak_due_) {
    receiver.nak_due_ = false;
    receiver.ack_due_ = false;
    ++receiver.counters_.naks;
    dllp(true, false);
  }
  if (slot) {
    receiver.ack_due_ = false;
    receiver.credits_due_ = false;
    ++receiver.counters_.acks;
    ++receiver.counters_.credit_updates;
    dllp(false, false);
    dllp(false, true);
  }
  return start;
}

void TlpDirection::transmit_new(TlpFlow& flow, base::Time start) {
  const formula::Segments& segments = flow.transfer.segments;
  const bool last = flow.issued + 1 == segments.tlps;
  Sent sent{&flow, next_sequence_++, last ? segments.last_bytes : segments.full_bytes,
            ends_.describe(flow.transfer, flow.issued), flow.need};
  sent.record.when = start;
  credits_.consume(flow.transfer.traffic, sent.credits);
  arbiter_.begin(flow);
  ++flow.issued;
  // Completions from an odd address are of many lengths.
  if (!last && !credits_.infinite()) {
    flow.need = credits_for(payload_bytes(ends_.describe(flow.transfer, flow.issued)));
  }
  running_ = &flow;
  running_last_ = last;
  replay_.push_back(sent);
  replay_next_ = replay_.size();
  transmit(sent, start);
}

void TlpDirection::transmit(const Sent& sent, base::Time start) {
  TlpRecord record = sent.record;
  record.when = start;
  free_at_ = start + timing_.pace(sent.wire_bytes);
  const std::uint64_t bits = std::uint64_t{sent.wire_bytes} * 8;
  ++counters_.tlps;
  counters_.bits += bits;
  const std::uint64_t epoch = epoch_;
  TlpFlow* const flow = sent.flow;
  const std::uint64_t sequence = sent.sequence;
  const Credits credits = sent.credits;
  TlpFault fault = ends_.examine(record);
  if (epoch != epoch_) return;  // who looked has taken the link down
  fault.corrupt |= errors_.send(bits) != 0;
  flights_.push_back({flow, sequence, fault, credits});
  scheduler_.at<&TlpDirection::arrival>(free_at_ + timing_.delay, this, epoch_);
  if (!scheduler_.pending(timer_)) {
    timer_ = scheduler_.at<&TlpDirection::timeout_event>(free_at_ + timing_.replay_timeout, this);
  }
}

// The receiver of this direction has something to say: its wire is the opposite one.
void TlpDirection::want_dllp() {
  TlpDirection& wire = *opposite_;
  wire.pump_at(std::max(scheduler_.now(), wire.free_at_));
}

void TlpDirection::dllp_event(std::uint64_t epoch) {
  if (epoch != epoch_) return;
  const Dllp dllp = dllps_.front();
  dllps_.pop_front();
  if (dllp.corrupt) {
    ++counters_.bad_dllps;
    ends_.error(LinkError::kBadDllp);
    return;
  }
  if (dllp.has_credits && !credits_.infinite() && credits_.update(dllp.granted)) {
    pump_at(std::max(scheduler_.now(), free_at_));
  }
  acknowledge(dllp.acknowledged);
  if (dllp.nak) start_replay();
}

void TlpDirection::acknowledge(std::uint64_t before) {
  if (replay_.empty() || replay_.front().sequence >= before) return;
  const bool was_full = !room_to_replay();
  while (!replay_.empty() && replay_.front().sequence < before) {
    replay_.pop_front();
    if (replay_next_ != 0) --replay_next_;
  }
  replays_in_a_row_ = 0;
  if (replay_.empty()) {
    scheduler_.cancel(timer_);
  } else if (scheduler_.pending(timer_)) {
    scheduler_.move(timer_, scheduler_.now() + timing_.replay_timeout);
  }
  if (was_full) pump_at(std::max(scheduler_.now(), free_at_));
}

void TlpDirection::start_replay() {
  if (replay_.empty()) return;
  replay_next_ = 0;
  const base::Time timeout = scheduler_.now() + timing_.replay_timeout;
  if (scheduler_.pending(timer_)) scheduler_.move(timer_, timeout);
  if (++replays_in_a_row_ >= kMostReplays) {
    replays_in_a_row_ = 0;
    ++counters_.replay_rollovers;
    ends_.error(LinkError::kReplayRollover);
  }
  pump_at(std::max(scheduler_.now(), free_at_));
}

void TlpDirection::timeout_event() {
  if (replay_.empty()) return;
  timer_ =
      scheduler_.at<&TlpDirection::timeout_event>(scheduler_.now() + timing_.replay_timeout, this);
  ++counters_.replay_timeouts;
  ends_.error(LinkError::kReplayTimeout);
  start_replay();
}

void TlpDirection::reset() {
  ++epoch_;
  scheduler_.cancel(pump_);
  scheduler_.cancel(timer_);
  arbiter_.clear();
  credits_.reset();
  replay_.clear();
  replay_next_ = 0;
  next_sequence_ = expected_ = 0;
  dllps_.clear();
  flights_.clear();
  released_.clear();
  running_ = nullptr;
  paused_ = nak_scheduled_ = nak_due_ = ack_due_ = credits_due_ = credits_urgent_ = false;
  replays_in_a_row_ = 0;
  free_at_ = scheduler_.now();
  std::vector<TlpFlow*> open;
  for (TlpFlow& flow : storage_) {
    if (flow.in_use) open.push_back(&flow);
  }
  std::sort(open.begin(), open.end(),
            [](const TlpFlow* a, const TlpFlow* b) { return a->number < b->number; });
  for (TlpFlow* flow : open) {
    const TlpFlow was = *flow;
    free_flow(*flow);
    const bool came = announced(*was.transfer.payload) == nullptr && !was.withdrawn;
    if (came) ends_.lost(was.transfer, was.reported);
    if (was.kept) was.transfer.payload->release();
  }
  announced_.clear();
}

}  // namespace nvmesim::pcie
