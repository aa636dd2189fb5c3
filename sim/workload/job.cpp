#include "sim/workload/job.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nvmesim::workload {
namespace {

// A request more in one system call: its entry without the mode crossings.
constexpr std::uint32_t kBatchedSubmitNs = 199;

constexpr host::BioOp kOps[] = {host::BioOp::kRead, host::BioOp::kWrite, host::BioOp::kDiscard};

}  // namespace

Job::Job(const JobOptions& options, const JobRegion& region, std::uint16_t group,
         std::uint32_t clone, std::uint16_t cpu, std::uint64_t run_seed)
    : options_(options),
      region_(region),
      group_(group),
      cpu_(cpu),
      depth_(options.depth()),
      random_(options.seed_given ? options.seed : run_seed,
              fmt::format("workload.job.{}.{}.{}", group, options.name, clone)) {
  const auto& sizes = options_.block_bytes;
  if (!options_.random) {
    for (std::size_t i = 0; i < kDirectionCount; ++i) {
      const std::uint64_t blocks = std::max<std::uint64_t>(region_.bytes / sizes[i], 1);
      streams_[i] = std::make_unique<SequentialOffsets>(blocks);
    }
  } else {
    // Blocks as large as the largest in use, so that every one of them has room for any I/O.
    const bool used[] = {options_.reads, options_.writes, options_.trims};
    bool alike = true;
    for (std::size_t i = 0; i < kDirectionCount; ++i) {
      if (!used[i]) continue;
      alike = alike && (random_block_bytes_ == 0 || random_block_bytes_ == sizes[i]);
      random_block_bytes_ = std::max(random_block_bytes_, sizes[i]);
    }
    const std::uint64_t blocks = region_.bytes / random_block_bytes_;
    if (options_.zipf) {
      streams_[0] =
          std::make_unique<ZipfOffsets>(blocks, parse_theta(options_.zipf_theta), random_);
    } else if (options_.no_random_map || !alike) {
      streams_[0] = std::make_unique<UniformOffsets>(blocks);
    } else {
      streams_[0] = std::make_unique<ShuffledOffsets>(blocks, random_);
    }
    shared_stream_ = streams_[0].get();
  }
  direction_ = pick_direction();
}

void Job::start(base::Time now) {
  start_ = busy_until_ = now;
}

Direction Job::pick_direction() {
  if (options_.trims) return Direction::kTrim;
  if (!options_.writes) return Direction::kRead;
  if (!options_.reads) return Direction::kWrite;
  const bool read = random_.below(100) < options_.read_percent;
  const Direction drawn = read ? Direction::kRead : Direction::kWrite;
  const Direction other = read ? Direction::kWrite : Direction::kRead;
  // Near the end what was drawn may be too large for the bytes that are left.
  return !fits(drawn) && fits(other) ? other : drawn;
}

bool Job::fits(Direction direction) const {
  const std::uint64_t next = options_.block_bytes[static_cast<std::size_t>(direction)];
  return options_.time_based || issued_bytes_ + next <= budget_bytes();
}

bool Job::budget_left() const {
  if (options_.number_ios != 0 && issued_ >= options_.number_ios) return false;
  return fits(direction_);
}

bool Job::done(base::Time now) const {
  if (options_.runtime != base::kTimeZero && now >= start_ + options_.runtime) return true;
  return !flush_due_ && !budget_left();
}

// Whether there is room: below the depth, after it was full only below the lower mark.
bool Job::filling() {
  if (open_ >= depth_) full_ = true;
  if (full_ && open_ <= (options_.low_depth != 0 ? options_.low_depth : depth_) && open_ < depth_)
    full_ = false;
  return !full_;
}

// CPU time of a submission. A process that had run out of work slept, and pays for waiting. Those
// that share a system call pay its mode crossings once.
base::Time Job::cost(base::Time now) {
  base::Time cost = std::chrono::nanoseconds{options_.engine->submit_ns};
  if (now == last_call_ && in_call_ < options_.batch) {
    ++in_call_;
    cost = std::chrono::nanoseconds{kBatchedSubmitNs};
  } else {
    last_call_ = now;
    in_call_ = 1;
  }
  if (now > busy_until_) cost += std::chrono::nanoseconds{options_.engine->wait_ns};
  busy_until_ = std::max(now, busy_until_) + cost;
  return cost;
}

std::optional<IoRequest> Job::next(base::Time now) {
  if (!filling() || flush_open_ || done(now)) return std::nullopt;
  IoRequest request;
  request.cpu = cpu_;
  request.group = group_;
  request.due = now;
  request.sync = true;
  ++open_;
  if (flush_due_) {
    flush_due_ = false;
    flush_open_ = true;
    request.op = host::BioOp::kFlush;
    in_call_ = options_.batch;  // fsync is a call of its own
    request.engine_cost = cost(now);
    return request;
  }
  const auto which = static_cast<std::size_t>(direction_);
  const std::uint64_t bytes = options_.block_bytes[which];
  const std::uint64_t offset = shared_stream_ != nullptr
                                   ? shared_stream_->next(random_) * random_block_bytes_
                                   : streams_[which]->next(random_) * bytes;
  request.op = kOps[which];
  request.write_hint = options_.write_hint;
  request.sector = region_.first_sector + offset / host::kSectorBytes;
  request.sectors = static_cast<std::uint32_t>(bytes / host::kSectorBytes);
  request.engine_cost = cost(now);
  ++issued_;
  issued_bytes_ += bytes;
  if (direction_ == Direction::kWrite && options_.fsync != 0 &&
      ++writes_since_flush_ == options_.fsync) {
    writes_since_flush_ = 0;
    flush_due_ = true;
  }
  direction_ = pick_direction();
  return request;
}

void Job::ended(const EndedIo& io) {
  --open_;
  if (io.op == host::BioOp::kFlush) flush_open_ = false;
}

std::uint64_t Job::permille(base::Time now) const {
  std::uint64_t done = 0;
  if (options_.runtime != base::kTimeZero) {
    done = static_cast<std::uint64_t>((now - start_).count() /
                                      std::max<std::int64_t>(1, options_.runtime.count() / 1000));
  }
  if (!options_.time_based) {
    done = std::max(done, issued_bytes_ / std::max<std::uint64_t>(1, budget_bytes() / 1000));
  }
  if (options_.number_ios != 0) {
    done = std::max(done, issued_ / std::max<std::uint64_t>(1, options_.number_ios / 1000));
  }
  return std::min<std::uint64_t>(done, 1000);
}

}  // namespace nvmesim::workload
