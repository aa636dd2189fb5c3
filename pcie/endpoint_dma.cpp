// DMA of the endpoint: requests in flight, tags, the completion timeout.
#include <algorithm>
#include <bit>
#include <utility>

#include "pcie/endpoint.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::uint64_t kBoundary = 4096;              // no request crosses one (2.2.7)
constexpr std::uint64_t kGivenUp = ~std::uint64_t{0};  // a payload's tag: nobody waits for it

}  // namespace

// Device Control or Device Control 2 has changed, or everything is new.
void Endpoint::control_written() {
  request_shift_ = static_cast<unsigned>(std::countr_zero(express_.max_read_request_bytes()));
  tag_limit_ = express_.tags();
  if (config_.outstanding_reads != 0) {
    tag_limit_ = std::min(tag_limit_, config_.outstanding_reads);
  }
  relaxed_ordering_ = express_.reports(device_control::kRelaxedOrdering);
  id_based_ordering_ = express_.id_based_ordering();
  tell_latency_tolerance();
  port_power_.update();
}

TlpPayload* Endpoint::start(tlm::tlm_command command, std::uint64_t address, std::size_t bytes,
                            const base::Callback& done) {
  TlpPayload* payload = pool_.take();
  base::set_access(*payload, command, address, nullptr, bytes);
  payload->extension.requester = id_;
  payload->extension.id_based_ordering = id_based_ordering_;
  payload->on_response = done;
  payload->tag = in_flight_.size();
  in_flight_.push_back({payload, 0, base::kTimeZero});
  return payload;
}

void Endpoint::launch(TlpPayload& payload) {
  if (bus_master()) [[likely]] {
    to_link.request(payload);
  } else {
    scheduler_.at<&Endpoint::dropped_event>(scheduler_.now(), this,
                                            reinterpret_cast<std::uint64_t>(&payload));
  }
}

void Endpoint::dma_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                        base::Callback done) {
  NVMESIM_ASSERT(!into.empty() && address % kBoundary + into.size() <= kBoundary,
                 "a DMA read is empty or crosses a 4 KiB boundary");
  const std::uint32_t tags = requests_for(address, into.size());
  if (tags <= tag_limit_ - std::min(tags_used_, tag_limit_) && waiting_.empty()) [[likely]] {
    read_now(address, into, std::move(keep), done, tags);
  } else {
    queue_read(address, into, std::move(keep), done);
  }
}

void Endpoint::read_now(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                        base::Callback done, std::uint32_t tags) {
  TlpPayload* payload = start(tlm::TLM_READ_COMMAND, address, into.size(), done);
  payload->set_data_ptr(reinterpret_cast<unsigned char*>(into.data()));
  payload->buffer = std::move(keep);
  payload->extension.tag = static_cast<std::uint16_t>(payload->tag & 0x3FF);
  in_flight_.back().tags = tags;
  in_flight_.back().since = scheduler_.now();
  tags_used_ += tags;
  if (!timeout_watched_) [[unlikely]]
    watch_timeout();
  launch(*payload);
}

// Too few tags: the read goes out in parts that end, and give back their tags, by themselves. A
// part is one request, or 1/16 of all tags where these are many: so much sooner or later they come
// back.
void Endpoint::queue_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                          base::Callback done) {
  ++counters_.waited_for_tag;
  if (free_cuts_.empty()) {
    free_cuts_.push_back(cuts_.size());
    cuts_.emplace_back();
  }
  const std::size_t cut = free_cuts_.back();
  free_cuts_.pop_back();
  cuts_[cut] = CutRead{done, 0, false, DmaStatus::kOk};
  waiting_.push_back({address, into, std::move(keep), cut});
  send_waiting();
}

void Endpoint::send_waiting() {
  while (waiting_head_ < waiting_.size() && tags_used_ < tag_limit_) {
    WaitingRead& read = waiting_[waiting_head_];
    const std::uint32_t tags =
        std::min({requests_for(read.address, read.into.size()), tag_limit_ - tags_used_,
                  std::max(tag_limit_ / 16, std::uint32_t{1})});
    const std::size_t bytes = std::min<std::size_t>(
        read.into.size(), (std::size_t{tags} << request_shift_) - (read.address & 3));
    const auto part = read.into.first(bytes);
    const std::uint64_t address = read.address;
    const std::size_t cut = read.cut;
    base::BufferRef keep = read.keep;
    read.address += bytes;
    read.into = read.into.subspan(bytes);
    ++cuts_[cut].open;
    if (read.into.empty()) {
      cuts_[cut].sent = true;
      read.keep = {};
      ++waiting_head_;
    }
    read_now(address, part, std::move(keep), base::Callback::of<&Endpoint::part_ended>(this, cut),
             tags);
  }
  if (waiting_head_ == waiting_.size()) {
    waiting_.clear();
    waiting_head_ = 0;
  } else if (waiting_head_ >= 64 && waiting_head_ * 2 >= waiting_.size()) {
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(waiting_head_));
    waiting_head_ = 0;
  }
}

void Endpoint::part_ended(std::uint64_t index) {
  CutRead& cut = cuts_[index];
  if (dma_status_ != DmaStatus::kOk) cut.status = dma_status_;
  --cut.open;
  if (cut.open != 0 || !cut.sent) return;
  const CutRead ended = cut;
  free_cuts_.push_back(index);
  dma_status_ = ended.status;
  if (ended.done) ended.done();
}

void Endpoint::dma_write(std::uint64_t address, std::span<const std::byte> from,
                         base::BufferRef keep, WriteOptions options, base::Callback sent) {
  NVMESIM_ASSERT(!from.empty() && address % kBoundary + from.size() <= kBoundary,
                 "a DMA write is empty or crosses a 4 KiB boundary");
  TlpPayload* payload = start(tlm::TLM_WRITE_COMMAND, address, from.size(), sent);
  if (keep == nullptr && from.size() <= TlpPool::kInlineBytes) {
    payload->set_inline(from.data(), from.size());
  } else {
    payload->set_data_ptr(
        const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(from.data())));
    payload->buffer = std::move(keep);
  }
  Tlp& tlp = payload->extension;
  tlp.relaxed_ordering = options.relaxed_ordering && relaxed_ordering_;
  tlp.deferrable = options.deferrable;
  tlp.dataless = options.dataless;
  // A longer one without call-back too: until it is issued drop_requests() can take it back.
  tlp.sent_awaited = static_cast<bool>(sent) || from.size() > TlpPool::kInlineBytes;
  launch(*payload);
}

void Endpoint::response_from_link(base::GenericPayload& payload) {
  auto& tlp = static_cast<TlpPayload&>(payload);
  if (tlp.tag == kGivenUp) [[unlikely]] {
    ++counters_.unexpected_completions;
    report(UncorrectableError::kUnexpectedCompletion, payload, true);
    tlp.release();
    return;
  }
  finish(tlp, payload.is_read() ? status_of(payload) : DmaStatus::kOk);
}

DmaStatus Endpoint::status_of(base::GenericPayload& payload) {
  if (payload.is_response_ok()) [[likely]] {
    if (!tlp_of(payload).poisoned) [[likely]]
      return DmaStatus::kOk;
    ++counters_.poisoned;
    report(UncorrectableError::kPoisonedTlp, payload, false);
    return DmaStatus::kPoisoned;
  }
  const bool abort = payload.get_response_status() == kStatusCompleterAbort;
  header_.received_abort(!abort);
  return abort ? DmaStatus::kCompleterAbort : DmaStatus::kUnsupportedRequest;
}

void Endpoint::dropped_event(std::uint64_t payload) {
  finish(*reinterpret_cast<TlpPayload*>(payload), DmaStatus::kDropped);
}

Endpoint::Flight Endpoint::take_from_flight(TlpPayload& payload) {
  const Flight flight = in_flight_[payload.tag];
  Flight& last = in_flight_.back();
  last.payload->tag = payload.tag;
  in_flight_[payload.tag] = last;
  in_flight_.pop_back();
  tags_used_ -= flight.tags;
  return flight;
}

void Endpoint::finish(TlpPayload& payload, DmaStatus status) {
  take_from_flight(payload);
  if (payload.on_response) {
    dma_status_ = status;
    payload.on_response();
  }
  payload.release();
  if (!waiting_.empty()) [[unlikely]]
    send_waiting();
}

void Endpoint::drop_requests() {
  for (const Flight& flight : in_flight_) {
    TlpPayload& payload = *flight.payload;
    payload.on_response = {};
    // Short writes without call-back are on the wire already, and arrive.
    const bool issued = payload.is_write() && !payload.extension.sent_awaited;
    if (!issued) payload.extension.cancelled = true;
  }
  waiting_.clear();
  waiting_head_ = 0;
  cuts_.clear();
  free_cuts_.clear();
  release_pin();
}

// The completion timeout (2.8). One entry for all reads, and only about one in each timeout while
// there are any: it looks at all of them and comes again when the oldest is due.

void Endpoint::watch_timeout() {
  const base::Time limit = express_.completion_timeout();
  if (limit == base::kTimeZero) return;
  timeout_watched_ = true;
  timeout_ = scheduler_.after<&Endpoint::check_timeout>(limit, this);
}

void Endpoint::check_timeout() {
  timeout_watched_ = false;
  const base::Time limit = express_.completion_timeout();
  if (limit == base::kTimeZero) return;
  const base::Time now = scheduler_.now();
  // A call-back may start and drop requests: after each one the search begins anew.
  for (;;) {
    const auto due = std::find_if(in_flight_.begin(), in_flight_.end(), [&](const Flight& flight) {
      return flight.tags != 0 && flight.since + limit <= now;
    });
    if (due == in_flight_.end()) break;
    TlpPayload& payload = *due->payload;
    take_from_flight(payload);
    payload.tag = kGivenUp;
    payload.extension.cancelled = true;  // if it has not arrived, it shall not any more
    const base::Callback done = payload.on_response;
    payload.on_response = {};
    if (done) {  // without one it was dropped by a reset: nobody misses it
      ++counters_.timeouts;
      report(UncorrectableError::kCompletionTimeout, payload, false);
      dma_status_ = DmaStatus::kTimeout;
      done();
    }
    if (!waiting_.empty()) send_waiting();
  }
  base::Time oldest = base::kTimeMax;
  for (const Flight& flight : in_flight_) {
    if (flight.tags != 0) oldest = std::min(oldest, flight.since);
  }
  if (oldest == base::kTimeMax || timeout_watched_) return;
  timeout_watched_ = true;
  timeout_ = scheduler_.at<&Endpoint::check_timeout>(oldest + limit, this);
}

}  // namespace nvmesim::pcie
