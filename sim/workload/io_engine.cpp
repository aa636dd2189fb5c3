#include "sim/workload/io_engine.hpp"

#include <algorithm>
#include <bit>

#include "sim/base/assert.hpp"
#include "sim/workload/pattern.hpp"

namespace nvmesim::workload {
namespace {

static_assert(static_cast<int>(Operation::kRead) == static_cast<int>(host::BioOp::kRead));
static_assert(static_cast<int>(Operation::kWrite) == static_cast<int>(host::BioOp::kWrite));
static_assert(static_cast<int>(Operation::kFlush) == static_cast<int>(host::BioOp::kFlush));
static_assert(static_cast<int>(Operation::kDiscard) == static_cast<int>(host::BioOp::kDiscard));
static_assert(static_cast<int>(Operation::kWriteZeroes) ==
              static_cast<int>(host::BioOp::kWriteZeroes));

constexpr std::uint32_t kSmallestBuffer = 4096;

bool has_data(host::BioOp op) {
  return op == host::BioOp::kRead || op == host::BioOp::kWrite;
}

// Slower first; among equals the one submitted first.
bool slower(const SlowRequest& a, const SlowRequest& b) {
  if (a.stages.total() != b.stages.total()) return a.stages.total() > b.stages.total();
  return a.number < b.number;
}

}  // namespace

IoEngine::IoEngine(base::Scheduler& scheduler, host::BlockDevice& device, std::uint32_t slowest)
    : scheduler_(scheduler), device_(device), slowest_limit_(slowest) {
  slowest_.reserve(slowest);
}

// Buffers of requests still open stay with the device, which may be using them.
IoEngine::~IoEngine() {
  for (const auto& pool : buffers_) {
    for (const host::IoBuffer& buffer : pool) device_.free_buffer(buffer);
  }
}

void IoEngine::start(base::Time start, base::Time measure_from, std::size_t groups) {
  start_ = start;
  measure_from_ = measure_from;
  groups_.resize(groups);
}

std::uint32_t IoEngine::take() {
  if (free_.empty()) {
    const auto index = static_cast<std::uint32_t>(ios_.size());
    Io& io = ios_.emplace_back();
    io.bio.done = base::Callback::of<&IoEngine::ended>(this, index);
    io.bio.user_data = index;
    return index;
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  return index;
}

void IoEngine::attach_buffer(Io& io) {
  io.bio.buffer = {};
  if (!has_data(io.bio.op)) return;
  const std::uint64_t bytes = std::uint64_t{io.bio.sectors} * host::kSectorBytes;
  const std::uint64_t rounded = std::bit_ceil(std::max<std::uint64_t>(bytes, kSmallestBuffer));
  const auto size_class =
      static_cast<std::size_t>(std::countr_zero(rounded) - std::countr_zero(kSmallestBuffer));
  NVMESIM_ASSERT(size_class < kSizeClasses, "a request of more than 2 GiB");
  io.size_class = static_cast<std::uint8_t>(size_class);
  auto& pool = buffers_[size_class];
  if (pool.empty()) {
    io.bio.buffer = device_.allocate_buffer(static_cast<std::uint32_t>(rounded));
  } else {
    io.bio.buffer = pool.back();
    pool.pop_back();
  }
}

void IoEngine::submit(const IoRequest& request, IoClient& client) {
  const std::uint32_t index = take();
  Io& io = ios_[index];
  io.bio.op = request.op;
  io.bio.sector = request.sector;
  io.bio.sectors = request.sectors;
  io.bio.fua = request.fua;
  io.bio.preflush = request.preflush;
  io.bio.sync = request.sync;
  io.bio.plugged = request.plugged;
  io.bio.write_hint = request.write_hint;
  io.bio.cpu = host::CpuId{request.cpu};
  io.bio.engine_cost = request.engine_cost;
  io.bio.status = host::BlockStatus::kOk;
  io.bio.ended_in_block_layer = false;
  io.bio.submit_cost = base::kTimeZero;
  attach_buffer(io);

  const base::Time now = scheduler_.now();
  io.tag = request.tag;
  io.due = request.due;
  io.submitted = now;
  io.client = &client;
  io.group = request.group;
  io.measured = request.measured;
  io.counted = request.measured && now >= measure_from_;
  io.open = true;
  ++open_;
  if (io.measured) {
    io.number = submitted_++;
    if (io.number == 0) first_submission_ = now;
  }
  if (verifier_ != nullptr) {
    io.ticket = verifier_->begin(request.op, request.sector, request.sectors);
    if (request.op == host::BioOp::kWrite) write_pattern(io);
  }
  device_.submit(io.bio);
}

void IoEngine::write_pattern(const Io& io) {
  const std::uint64_t bytes = std::uint64_t{io.bio.sectors} * host::kSectorBytes;
  for (std::uint64_t at = 0; at < bytes; at += kPieceBytes) {
    const auto piece = std::span(piece_).first(std::min<std::uint64_t>(bytes - at, kPieceBytes));
    fill_pattern(piece, io.bio.sector + at / host::kSectorBytes, io.ticket.version);
    device_.write_buffer(io.bio.buffer, static_cast<std::uint32_t>(at), piece);
  }
}

void IoEngine::check_pattern(const Io& io) {
  const std::uint64_t bytes = std::uint64_t{io.bio.sectors} * host::kSectorBytes;
  for (std::uint64_t at = 0; at < bytes; at += kPieceBytes) {
    const auto piece = std::span(piece_).first(std::min<std::uint64_t>(bytes - at, kPieceBytes));
    device_.read_buffer(io.bio.buffer, static_cast<std::uint32_t>(at), piece);
    verifier_->check(io.ticket, io.bio.sector + at / host::kSectorBytes, piece, !io.measured);
  }
}

void IoEngine::ended(std::uint64_t index) {
  Io& io = ios_[index];
  NVMESIM_ASSERT(io.open, "a request ended twice");
  const host::Bio& bio = io.bio;
  const bool failed = bio.status != host::BlockStatus::kOk;
  const base::Time latency = scheduler_.now() - io.submitted;
  NVMESIM_ASSERT(bio.stages.total() == latency, "the stages of a request are not its latency");
  if (verifier_ != nullptr) {
    if (bio.op == host::BioOp::kRead && !failed) check_pattern(io);
    verifier_->end(io.ticket, failed);
  }
  if (io.measured) {
    ++completed_;
    failed_ += failed ? 1 : 0;
    warmup_ += io.counted ? 0 : 1;
    last_completion_ = scheduler_.now();
    if (io.counted) record(io, latency);
  }
  const base::Time processor_wait = bio.stages.spent(base::Stage::kSubmit) - bio.submit_cost;
  NVMESIM_ASSERT(processor_wait >= base::kTimeZero, "a submission took less than its cost");
  const EndedIo ended{io.tag,       bio.op,         failed,
                      io.counted,   bio.sectors,    io.due,
                      io.submitted, processor_wait, bio.stages.spent(base::Stage::kTagWait)};
  if (has_data(bio.op)) buffers_[io.size_class].push_back(bio.buffer);
  io.open = false;
  --open_;
  free_.push_back(static_cast<std::uint32_t>(index));
  io.client->io_ended(ended);
}

void IoEngine::record(const Io& io, base::Time latency) {
  const host::Bio& bio = io.bio;
  OperationResult& into = bio.ended_in_block_layer
                              ? block_layer_flushes_
                              : groups_[io.group][static_cast<std::size_t>(bio.op)];
  ++into.count;
  if (bio.status == host::BlockStatus::kOk) {
    into.bytes += std::uint64_t{bio.sectors} * host::kSectorBytes;
  } else {
    ++into.errors;
  }
  const base::Time submit = bio.stages.spent(base::Stage::kSubmit);
  into.latency_ps.add(static_cast<std::uint64_t>(latency.count()));
  into.completion_latency_ps.add(static_cast<std::uint64_t>((latency - submit).count()));
  bio.stages.add_to(into.stage_time);
  keep_slow(io, latency);
}

void IoEngine::keep_slow(const Io& io, base::Time latency) {
  if (slowest_limit_ == 0) return;
  if (slowest_.size() == slowest_limit_) {
    const SlowRequest& least = slowest_.front();
    if (latency < least.stages.total()) return;
    if (latency == least.stages.total() && io.number > least.number) return;
    std::pop_heap(slowest_.begin(), slowest_.end(), slower);
    slowest_.pop_back();
  }
  const host::Bio& bio = io.bio;
  slowest_.push_back({io.number, static_cast<Operation>(bio.op),
                      bio.status != host::BlockStatus::kOk, bio.sector, bio.sectors,
                      bio.cpu.value(), io.due - start_, io.submitted - start_, bio.stages});
  std::push_heap(slowest_.begin(), slowest_.end(), slower);
}

void IoEngine::fill(WorkloadResult& result) const {
  for (const OperationResults& group : groups_) {
    for (std::size_t i = 0; i < kOperationCount; ++i) result.operations[i].merge(group[i]);
  }
  result.block_layer_flushes = block_layer_flushes_;
  result.slowest = slowest_;
  std::sort(result.slowest.begin(), result.slowest.end(), slower);
  result.requests_submitted = submitted_;
  result.requests_completed = completed_;
  result.requests_failed = failed_;
  result.requests_warmup = warmup_;
  result.started = start_;
  result.warmup = measure_from_ - start_;
  if (submitted_ > 0) result.first_submission = first_submission_ - start_;
  if (completed_ > 0) result.last_completion = last_completion_ - start_;
}

std::vector<OpenRequest> IoEngine::open_requests() const {
  std::vector<OpenRequest> list;
  struct View {
    const std::deque<Io>* ios;
    std::vector<std::uint32_t> place;  // of a slot in the list, plus one
    std::vector<OpenRequest>* list;
  };
  View view{&ios_, std::vector<std::uint32_t>(ios_.size()), &list};
  for (std::size_t i = 0; i < ios_.size(); ++i) {
    const Io& io = ios_[i];
    if (!io.open) continue;
    OpenRequest open;
    open.number = io.number;
    open.op = io.bio.op;
    open.sector = io.bio.sector;
    open.sectors = io.bio.sectors;
    open.cpu = io.bio.cpu.value();
    open.submitted = io.submitted;
    open.stage = "not known to the block device";
    list.push_back(open);
    view.place[i] = static_cast<std::uint32_t>(list.size());
  }
  device_.for_each_open(
      [](void* context, const host::OpenBio& open) {
        auto& seen = *static_cast<View*>(context);
        if (open.bio == nullptr || open.bio->user_data >= seen.place.size()) return;
        const auto slot = static_cast<std::size_t>(open.bio->user_data);
        if (seen.place[slot] == 0 || &(*seen.ios)[slot].bio != open.bio) return;
        OpenRequest& request = (*seen.list)[seen.place[slot] - 1];
        request.stage = open.stage;
        request.queue = open.queue;
        request.command = open.command;
      },
      &view);
  std::sort(list.begin(), list.end(), [](const OpenRequest& a, const OpenRequest& b) {
    return a.submitted != b.submitted ? a.submitted < b.submitted
           : a.number != b.number     ? a.number < b.number
                                      : a.sector < b.sector;
  });
  return list;
}

}  // namespace nvmesim::workload
