// Life of a bio: submission slice, split into requests, tags, end.
#include <algorithm>

#include "host/block/request_queue.hpp"

namespace nvmesim::host {
namespace {

RequestOp request_op(BioOp op) {
  static_assert(static_cast<int>(RequestOp::kRead) == static_cast<int>(BioOp::kRead) &&
                static_cast<int>(RequestOp::kWrite) == static_cast<int>(BioOp::kWrite) &&
                static_cast<int>(RequestOp::kFlush) == static_cast<int>(BioOp::kFlush) &&
                static_cast<int>(RequestOp::kDiscard) == static_cast<int>(BioOp::kDiscard) &&
                static_cast<int>(RequestOp::kWriteZeroes) == static_cast<int>(BioOp::kWriteZeroes));
  return static_cast<RequestOp>(op);
}

}  // namespace

void RequestQueue::submit(Bio& bio) {
  bio.stages.open(scheduler_.now());
  bio.status = BlockStatus::kOk;
  bio.ended_in_block_layer = false;
  bio.queue = this;
  bio.requests_open = 0;
  bio.block_data = 0;
  bio.request = nullptr;
  bio.merged = nullptr;
  bio.waiting_for = "processor time to be submitted";
  open_bio(bio);
  base::Time cost = bio.engine_cost + block_cost_;
  // Of a gathered bio the driver hears later, if at all.
  if ((bio.op != BioOp::kFlush || limits_.write_cache) && !bio.plugged) cost += driver_cost_;
  bio.submit_cost = cost;
  machine_.cpu(bio.cpu).run(
      CpuPriority::kTask, cost,
      base::Callback::of<&RequestQueue::slice_ended>(this, reinterpret_cast<std::uint64_t>(&bio)));
}

void RequestQueue::slice_ended(std::uint64_t argument) {
  Bio& bio = *reinterpret_cast<Bio*>(argument);
  bio.stages.stamp(base::Stage::kSubmit, scheduler_.now());
  if (bio.plugged || requests_held_ != 0) [[unlikely]]
    return plugged_slice_ended(bio);
  admit(bio);
}

void RequestQueue::admit(Bio& bio) {
  if (freeze_depth_ != 0 && !dying_) {
    bio.waiting_for = "a frozen queue";
    bio.next = nullptr;
    (first_frozen_ == nullptr ? first_frozen_ : last_frozen_->next) = &bio;
    last_frozen_ = &bio;
    return;
  }
  enter(bio);
}

void RequestQueue::enter(Bio& bio) {
  bio.waiting_for = {};
  ++entered_;
  if (dying_ || !valid(bio)) return finish_bio(bio, BlockStatus::kIoError);
  switch (bio.op) {
    case BioOp::kFlush:
      if (limits_.write_cache) break;
      bio.ended_in_block_layer = true;
      ++flushes_ended_here_;
      return finish_bio(bio, BlockStatus::kOk);
    case BioOp::kDiscard:
      if (limits_.max_discard_sectors != 0) break;
      return finish_bio(bio, BlockStatus::kNotSupported);
    case BioOp::kWriteZeroes:
      if (limits_.max_write_zeroes_sectors != 0) break;
      return finish_bio(bio, BlockStatus::kNotSupported);
    case BioOp::kRead:
    case BioOp::kWrite:
      break;
  }
  bio.requests_open = 1;  // until all its requests are made
  make_requests(bio, false);
}

bool RequestQueue::valid(const Bio& bio) const {
  if (bio.op == BioOp::kFlush) return bio.sectors == 0;
  const std::uint64_t block = limits_.logical_block_bytes / kSectorBytes;
  if (bio.sectors == 0 || ((bio.sector | bio.sectors) & (block - 1)) != 0) return false;
  return bio.sectors <= capacity_sectors_ && bio.sector <= capacity_sectors_ - bio.sectors;
}

QueueType RequestQueue::type_of(const Bio& bio) {
  if (bio.polled) return QueueType::kPoll;
  return bio.op == BioOp::kRead ? QueueType::kRead : QueueType::kDefault;
}

// Sectors of the next request, at most `most`, that its pieces of memory allow: their number, and
// that those inside begin and end on the boundary.
std::uint64_t RequestQueue::sectors_in_segments(const Bio& bio, std::uint64_t most) const {
  const std::uint64_t logical = limits_.logical_block_bytes;
  std::uint64_t skip = bio.block_data * kSectorBytes;
  const std::uint64_t wanted = most * kSectorBytes;
  std::uint64_t bytes = 0;
  std::uint32_t segments = 0;
  std::uint64_t end = 0;  // address behind the piece before
  for (const IoBuffer& piece : bio.pieces) {
    if (skip >= piece.bytes) {
      skip -= piece.bytes;
      continue;
    }
    const std::uint64_t address = piece.address + skip;
    if (segments != 0 && address != end) {
      if (((address | end) & limits_.boundary_mask) != 0) break;
      if (segments == limits_.max_segments) break;
      ++segments;
    } else if (segments == 0) {
      segments = 1;
    }
    bytes += piece.bytes - skip;
    end = piece.address + piece.bytes;
    skip = 0;
    if (bytes >= wanted) return most;
  }
  return std::max(bytes / logical * logical, logical) / kSectorBytes;
}

// Sectors of the next request. A split read or write ends on a physical block.
std::uint64_t RequestQueue::next_sectors(const Bio& bio) const {
  const std::uint64_t left = bio.sectors - bio.block_data;
  if (bio.op == BioOp::kDiscard) return std::min(left, limits_.max_discard_sectors);
  if (bio.op == BioOp::kWriteZeroes) return std::min(left, limits_.max_write_zeroes_sectors);
  const std::uint64_t physical = limits_.physical_block_bytes / kSectorBytes;
  const std::uint64_t logical = limits_.logical_block_bytes / kSectorBytes;
  const std::uint64_t offset = (bio.sector + bio.block_data) & (physical - 1);
  const std::uint64_t aligned_end = (offset + limits_.max_sectors) & ~(physical - 1);
  const std::uint64_t most =
      aligned_end > offset ? aligned_end - offset : limits_.max_sectors & ~(logical - 1);
  std::uint64_t sectors = std::min(left, most);
  if (limits_.chunk_sectors != 0) {
    const std::uint64_t chunk = limits_.chunk_sectors;
    sectors = std::min(sectors, chunk - ((bio.sector + bio.block_data) & (chunk - 1)));
  }
  return bio.pieces.empty() ? sectors : sectors_in_segments(bio, sectors);
}

// Makes and issues requests until the bio is used up or there is no tag. `waited`: a tag was
// freed for it.
void RequestQueue::make_requests(Bio& bio, bool waited) {
  const std::uint16_t hw_queue = set_.hw_queue(type_of(bio), bio.cpu);
  const TagSet::Hardware& tags = *set_.hw_[hw_queue];
  Request* previous = nullptr;  // issued once it is known whether another follows
  do {
    const bool may_take = waited || previous != nullptr || tags.first_waiting == nullptr;
    Request* request = may_take ? set_.take(hw_queue, false) : nullptr;
    if (request == nullptr) {
      if (previous != nullptr) route(*previous, true);
      bio.waiting_for = "a tag";
      ++waiting_for_tag_;
      set_.wait(bio, hw_queue, waited || bio.block_data != 0);
      return;
    }
    if (previous != nullptr) {
      machine_.charge(driver_cost_);
      route(*previous, false);
    }
    prepare(*request, bio, next_sectors(bio));
    previous = request;
  } while (bio.block_data < bio.sectors);
  const bool whole = !previous->own_record;
  route(*previous, true);
  if (--bio.requests_open != 0) return;
  // All of them failed on the spot.
  if (!whole) bio.stages.stamp(base::Stage::kTagWait, scheduler_.now());
  finish_bio(bio, bio.status);
}

void RequestQueue::prepare(Request& request, Bio& bio, std::uint64_t sectors) {
  const bool whole = sectors == bio.sectors;
  if (!whole && bio.block_data == 0) ++bios_split_;
  request.queue = this;
  request.op = request_op(bio.op);
  request.bio = &bio;
  request.sector = bio.sector + bio.block_data;
  request.sectors = sectors;
  const bool data = bio.op <= BioOp::kWrite;
  request.data_offset = bio.block_data * kSectorBytes;
  request.data_address = bio.pieces.empty() ? bio.buffer.address + request.data_offset : 0;
  request.data_bytes = data ? static_cast<std::uint32_t>(sectors * kSectorBytes) : 0;
  request.fua = bio.fua && limits_.write_cache;
  request.preflush = bio.preflush;
  request.write_hint = bio.write_hint;
  request.failfast_driver = false;
  request.user_command = false;
  request.polled = bio.polled && set_.map(QueueType::kPoll).count != 0;
  if (request.polled) start_polling(request.hw_queue, bio.cpu);
  request.dont_prep = false;
  request.retries = 0;
  request.status = 0;
  request.timeout = set_.timeout();
  request.own_record = !whole;
  if (!whole) request.record = bio.stages;
  request.stages().stamp(base::Stage::kTagWait, scheduler_.now());
  bio.block_data += sectors;
  ++bio.requests_open;
  bio.request = &request;
}

// The task that waited is woken on its processor.
void RequestQueue::tag_granted(Bio& bio) {
  --waiting_for_tag_;
  bio.waiting_for = {};
  machine_.cpu(bio.cpu).charge(wake_cost_);
  make_requests(bio, true);
}

void RequestQueue::end_bio_part(Request& request, BlockStatus status) {
  Bio& bio = *request.bio;
  if (bio.merged != nullptr) [[unlikely]]
    return end_merged(request, status);
  request.stages().stamp(base::Stage::kComplete, scheduler_.now());
  if (status != BlockStatus::kOk && bio.status == BlockStatus::kOk) bio.status = status;
  if (--bio.requests_open != 0) return;
  if (request.own_record) bio.stages = request.record;
  finish_bio(bio, bio.status);
}

// Ends a bio that has entered. It may be used again, or be gone, when this returns.
void RequestQueue::finish_bio(Bio& bio, BlockStatus status) {
  bio.status = status;
  close_bio(bio);
  leave();
  bio.done();
}

void RequestQueue::leave() {
  if (--entered_ == 0 && freeze_depth_ != 0) freeze_wait_.wake_all();
}

void RequestQueue::open_bio(Bio& bio) {
  bio.next_open = nullptr;
  bio.previous_open = newest_open_;
  (newest_open_ == nullptr ? oldest_open_ : newest_open_->next_open) = &bio;
  newest_open_ = &bio;
}

void RequestQueue::close_bio(Bio& bio) {
  (bio.previous_open == nullptr ? oldest_open_ : bio.previous_open->next_open) = bio.next_open;
  (bio.next_open == nullptr ? newest_open_ : bio.next_open->previous_open) = bio.previous_open;
}

// Who waits for a polled bio looks at its queue all the time, one slice after the other, as long as
// any is open there: the first who came. One that has looked in vain for long looks less often; it
// is as busy, but costs the simulation less.
void RequestQueue::start_polling(std::uint16_t hw_queue, CpuId cpu) {
  Hardware& hw = *hw_[hw_queue];
  ++hw.polled_open;
  if (hw.looking) return;
  hw.looking = true;
  hw.looker = cpu;
  hw.empty_looks = 0;
  machine_.cpu(cpu).run(CpuPriority::kTask, poll_cost_, base::Callback::of<&Hardware::look>(&hw));
}

void RequestQueue::poll_slice(Hardware& hw) {
  hw.looking = hw.polled_open != 0;
  if (!hw.looking) return;
  const bool found = set_.ops().poll(*this, hw.index) != 0;
  hw.empty_looks = found ? 0 : hw.empty_looks + 1;
  hw.looking = hw.polled_open != 0;
  if (!hw.looking) return;
  constexpr std::uint32_t kPatience = 4096;
  constexpr base::Time kLongest = 100us;
  const base::Time cost =
      hw.empty_looks < kPatience
          ? poll_cost_
          : std::min<base::Time>(poll_cost_ * (hw.empty_looks - kPatience + 1), kLongest);
  machine_.cpu(hw.looker).run(CpuPriority::kTask, cost, base::Callback::of<&Hardware::look>(&hw));
}

}  // namespace nvmesim::host
