// One clone of a fio job: what it does next and when it is done. It submits nothing itself; the
// JobRunner asks for the next request and tells of each end.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "sim/base/random.hpp"
#include "sim/workload/io_engine.hpp"
#include "sim/workload/job_file.hpp"
#include "sim/workload/offset_stream.hpp"

namespace nvmesim::workload {

// A clone's part of the drive.
struct JobRegion {
  std::uint64_t first_sector = 0;
  std::uint64_t bytes = 0;
};

class Job {
 public:
  // `group` is the section's index in the file, `clone` counts within it.
  Job(const JobOptions& options, const JobRegion& region, std::uint16_t group, std::uint32_t clone,
      std::uint16_t cpu, std::uint64_t run_seed);

  void start(base::Time now);
  // The next request to submit at `now`; none while the depth is used up (or has not run down to
  // iodepth_low since), while it waits for a flush, or when it is done. Requests taken at one
  // instant share system calls, `iodepth_batch` of them each.
  std::optional<IoRequest> next(base::Time now);
  void ended(const EndedIo& io);
  // Requests that one system call submits at most.
  std::uint32_t batch() const { return options_.batch; }

  // Nothing more will be submitted.
  bool done(base::Time now) const;
  // Thousandths of the job that are done.
  std::uint64_t permille(base::Time now) const;

 private:
  Direction pick_direction();
  bool fits(Direction direction) const;  // into the bytes that are left
  base::Time cost(base::Time now);
  bool filling();
  bool budget_left() const;
  std::uint64_t budget_bytes() const {
    return options_.io_bytes != 0 ? options_.io_bytes : region_.bytes;
  }

  const JobOptions& options_;
  const JobRegion region_;
  const std::uint16_t group_;
  const std::uint16_t cpu_;
  const std::uint32_t depth_;
  base::Random random_;
  std::array<std::unique_ptr<OffsetStream>, kDirectionCount> streams_;
  OffsetStream* shared_stream_ = nullptr;  // random: one for all directions
  std::uint64_t random_block_bytes_ = 0;   // of its blocks

  base::Time start_{0};
  base::Time busy_until_{0};                // of the process, by its engine's costs
  Direction direction_ = Direction::kRead;  // of the next I/O
  std::uint32_t open_ = 0;
  bool full_ = false;          // and iodepth_low not reached yet
  std::uint32_t in_call_ = 0;  // requests of the system call of last_call_
  base::Time last_call_{-1};
  std::uint64_t issued_ = 0;
  std::uint64_t issued_bytes_ = 0;
  std::uint32_t writes_since_flush_ = 0;
  bool flush_due_ = false;
  bool flush_open_ = false;
};

}  // namespace nvmesim::workload
