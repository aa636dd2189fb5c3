// Bios that one task submits together: gathered per processor, merged where they touch, and issued
// as one batch, the last of each hardware queue as last.
#include <algorithm>
#include <utility>

#include "host/block/request_queue.hpp"

namespace nvmesim::host {
namespace {

// Nothing more is gathered behind a request of so many bytes.
constexpr std::uint64_t kFlushBytes = 128 * 1024;
constexpr std::uint32_t kNoMerges = 2;  // of HostConfig::nomerges

std::uint64_t bytes_of(const Bio& bio) {
  return std::uint64_t{bio.sectors} * kSectorBytes;
}

// Calls visit(address, bytes) for each piece of a bio's data.
template <class Visit>
void for_each_piece(const Bio& bio, Visit visit) {
  if (bio.pieces.empty()) {
    visit(bio.buffer.address, bytes_of(bio));
    return;
  }
  std::uint64_t left = bytes_of(bio);
  for (const IoBuffer& piece : bio.pieces) {
    if (left == 0) return;
    const std::uint64_t bytes = std::min<std::uint64_t>(piece.bytes, left);
    visit(piece.address, bytes);
    left -= bytes;
  }
}

// Pieces of memory, those that touch counted as one.
class SegmentCount {
 public:
  void add(const Bio& bio) {
    for_each_piece(bio, [this](std::uint64_t address, std::uint64_t bytes) {
      if (count_ == 0 || address != end_) ++count_;
      end_ = address + bytes;
    });
  }
  void add_all(const Bio* first) {
    for (; first != nullptr; first = first->merged) add(*first);
  }
  std::uint32_t count() const { return count_; }

 private:
  std::uint32_t count_ = 0;
  std::uint64_t end_ = 0;
};

Bio& last_of(const Request& request) {
  Bio* bio = request.bio;
  while (bio->merged != nullptr) bio = bio->merged;
  return *bio;
}

}  // namespace

void RequestQueue::unplug(CpuId cpu) {
  machine_.cpu(cpu).run(CpuPriority::kTask, base::kTimeZero,
                        base::Callback::of<&RequestQueue::flush_plug_of>(this, cpu.value()));
}

// A bio that is gathered, or one that may end a gathering.
void RequestQueue::plugged_slice_ended(Bio& bio) {
  Plug& plug = plugs_[bio.cpu.value()];
  const std::uint32_t paid = bio.plugged ? 0 : 1;  // of it the driver's time is paid
  if (plug.list.empty() && !bio.plugged) return admit(bio);
  const bool stopped = freeze_depth_ != 0 || dying_;
  bool gathered = false;
  if (!stopped && may_be_gathered(bio)) {
    gathered = merge(plug, bio);
    if (!gathered && full(plug)) flush_plug(plug, 0);
    if (!gathered) gathered = hold(plug, bio);
  }
  if (gathered) {
    if (!bio.plugged) flush_plug(plug, paid);
    return;
  }
  // It goes by itself, behind what was gathered before it.
  flush_plug(plug, 0);
  if (bio.plugged) machine_.charge(driver_cost_);
  admit(bio);
}

bool RequestQueue::full(const Plug& plug) const {
  return !plug.list.empty() && (plug.requests >= plug_rules_.most_requests ||
                                plug.list.last->sectors * kSectorBytes >= kFlushBytes);
}

// One request can carry it, and nothing about it wants to be seen to at once.
bool RequestQueue::may_be_gathered(const Bio& bio) const {
  const bool kind =
      bio.op <= BioOp::kWrite || (bio.op == BioOp::kDiscard && limits_.max_discard_sectors != 0);
  if (!kind || bio.fua || bio.preflush || bio.polled || !valid(bio)) return false;
  return next_sectors(bio) == bio.sectors;
}

// Makes a request that waits in the plug; false if there is no tag.
bool RequestQueue::hold(Plug& plug, Bio& bio) {
  const std::uint16_t hw_queue = set_.hw_queue(type_of(bio), bio.cpu);
  if (set_.hw_[hw_queue]->first_waiting != nullptr) return false;
  Request* request = set_.take(hw_queue, false);
  if (request == nullptr) return false;
  ++entered_;
  bio.waiting_for = {};
  prepare(*request, bio, bio.sectors);
  plug.list.push_back(*request);
  ++plug.requests;
  ++requests_held_;
  return true;
}

bool RequestQueue::merge(Plug& plug, Bio& bio) {
  if (plug.list.empty() || !limits_.mergeable || nomerges() == kNoMerges) return false;
  // The newest that fits.
  Request* found = nullptr;
  Request* from = plug_rules_.newest_only ? plug.list.last : plug.list.first;
  for (Request* request = from; request != nullptr; request = request->next)
    if (mergeable(*request, bio)) found = request;
  if (found == nullptr) return false;
  merge_into(*found, bio);
  ++entered_;
  ++bios_merged_;
  bio.waiting_for = {};
  bio.requests_open = 1;
  bio.block_data = bio.sectors;
  bio.request = found;
  return true;
}

bool RequestQueue::mergeable(const Request& request, const Bio& bio) const {
  const Bio& with = *request.bio;
  if (with.op != bio.op || with.write_hint != bio.write_hint || with.failover != bio.failover)
    return false;
  if (bio.op == BioOp::kDiscard) {
    std::uint32_t ranges = 1;
    for (const Bio* each = request.bio; each != nullptr; each = each->merged) ++ranges;
    return ranges <= limits_.max_discard_segments &&
           request.sectors + bio.sectors <= limits_.max_discard_sectors;
  }
  if (request.sector + request.sectors == bio.sector) return within_limits(request, bio, false);
  if (bio.sector + bio.sectors == request.sector) return within_limits(request, bio, true);
  return false;
}

// Whether one request may carry both.
bool RequestQueue::within_limits(const Request& request, const Bio& bio, bool in_front) const {
  const std::uint64_t sectors = request.sectors + bio.sectors;
  if (sectors > limits_.max_sectors) return false;
  const std::uint64_t first = in_front ? bio.sector : request.sector;
  const std::uint64_t chunk = limits_.chunk_sectors;
  if (chunk != 0 && first / chunk != (first + sectors - 1) / chunk) return false;
  const bool fit = in_front ? pieces_fit(bio, *request.bio) : pieces_fit(last_of(request), bio);
  if (!fit) return false;
  SegmentCount segments;
  if (in_front) segments.add(bio);
  segments.add_all(request.bio);
  if (!in_front) segments.add(bio);
  return segments.count() <= limits_.max_segments;
}

// Whether the data of the first bio ends, and that of the second begins, on the boundary that
// pieces of one request need; pieces that touch are one.
bool RequestQueue::pieces_fit(const Bio& first, const Bio& second) const {
  std::uint64_t end = 0;
  for_each_piece(first,
                 [&end](std::uint64_t address, std::uint64_t bytes) { end = address + bytes; });
  const std::uint64_t begin =
      second.pieces.empty() ? second.buffer.address : second.pieces.front().address;
  return begin == end || ((begin | end) & limits_.boundary_mask) == 0;
}

void RequestQueue::merge_into(Request& request, Bio& bio) {
  const bool in_front = bio.op != BioOp::kDiscard && bio.sector < request.sector;
  const bool data = bio.op != BioOp::kDiscard;
  // One contiguous buffer stays one.
  std::uint64_t address = 0;
  if (data && bio.pieces.empty() && request.data_address != 0) {
    if (in_front && bio.buffer.address + bytes_of(bio) == request.data_address)
      address = bio.buffer.address;
    if (!in_front && request.data_address + request.data_bytes == bio.buffer.address)
      address = request.data_address;
  }
  request.data_address = address;
  if (in_front) {
    bio.merged = request.bio;
    request.bio = &bio;
    request.sector = bio.sector;
  } else {
    last_of(request).merged = &bio;
  }
  request.sectors += bio.sectors;
  if (data) request.data_bytes += static_cast<std::uint32_t>(bytes_of(bio));
}

// Issues what was gathered. The driver's time of `paid` requests was part of a slice already.
void RequestQueue::flush_plug(Plug& plug, std::uint32_t paid) {
  if (plug.list.empty()) return;
  List list;
  std::swap(list, plug.list);
  requests_held_ -= std::exchange(plug.requests, 0);
  ++plug_flushes_;
  // By hardware queue, in the order of coming: what follows in the same one is not the last.
  while (!list.empty()) {
    const std::uint16_t hw_queue = list.first->hw_queue;
    List others;
    Request* previous = nullptr;
    while (!list.empty()) {
      Request& request = list.pop();
      if (request.hw_queue != hw_queue) {
        others.push_back(request);
        continue;
      }
      if (paid != 0) {
        --paid;
      } else {
        machine_.charge(driver_cost_);
      }
      open_merged(request);
      if (previous != nullptr) route(*previous, false);
      previous = &request;
    }
    route(*previous, true);
    list = others;
  }
}

// Until now it was being submitted. From here on bios that share a request share their stages too.
void RequestQueue::open_merged(Request& request) {
  const base::Time now = scheduler_.now();
  for (Bio* bio = request.bio; bio != nullptr; bio = bio->merged)
    bio->stages.stamp(base::Stage::kSubmit, now);
  if (request.bio->merged == nullptr) return;
  request.own_record = true;
  request.record.open(now);
}

void RequestQueue::end_merged(Request& request, BlockStatus status) {
  request.record.stamp(base::Stage::kComplete, scheduler_.now());
  for (Bio* bio = request.bio; bio != nullptr;) {
    Bio& ending = *bio;
    bio = bio->merged;
    ending.requests_open = 0;
    ending.stages.append(request.record);
    finish_bio(ending, status);
  }
}

}  // namespace nvmesim::host
