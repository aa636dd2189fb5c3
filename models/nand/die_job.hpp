// One operation of a die: a read, a program or an erase on all its planes at once. Jobs are owned
// by who submits them and linked into the die's queues; the die calls the owner when the array has
// done its work, after which it does not touch the job again.
#pragma once

#include <array>
#include <cstdint>

#include "sim/base/stage.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::models {

// Queues of a die. Within one, jobs are served in order; a DiePolicy chooses among them.
enum class JobClass : std::uint8_t { kHostRead, kGcRead, kHostProgram, kGcProgram, kErase };
inline constexpr std::size_t kJobClasses = 5;

// What a waiting job finds the die doing.
enum class DieCause : std::uint8_t { kRead, kProgram, kErase, kGc };
inline constexpr std::size_t kDieCauses = 4;

struct DieJob;

class DieJobOwner {
 public:
  virtual ~DieJobOwner() = default;
  // A read's data is in the page registers; a program or an erase has ended.
  virtual void array_done(DieJob& job) = 0;
  // Power went before the array had done its work. The owner takes the job back.
  virtual void job_dropped(DieJob& job) = 0;
};

struct DieJob {
  // Set by the owner.
  DieJobOwner* owner = nullptr;
  JobClass job_class = JobClass::kHostRead;
  std::uint32_t die = 0;
  std::uint32_t row = 0;     // page within the block: its type decides the read time
  std::uint32_t pages = 0;   // program: pages of data that are sent in
  std::uint32_t planes = 0;  // read: a bit for each plane; used with independent_plane_reads
  bool slc = false;          // the block is used with one bit a cell
  bool copyback = false;     // program: of what the read whose array_done() this is left in the die
  base::Time ready_at{0};    // the array must not begin before

  // Set by the die.
  base::Time submitted{0};
  base::Time begun{0};
  base::Time commanded{0};                      // read: its command cycles were over
  std::array<base::Time, kDieCauses> waited{};  // from ready_at to begun
  std::uint32_t pages_in = 0;
  std::uint32_t passes = 0;          // program: begun so far
  std::uint32_t suspends = 0;        // of this job
  bool polled = false;               // program or erase: its status poll is on the channel
  base::Time left{0};                // suspended: array time still to come
  DieCause found = DieCause::kRead;  // what the die was doing at submission
  DieJob* next = nullptr;
};

constexpr bool is_read(const DieJob& job) {
  return job.job_class == JobClass::kHostRead || job.job_class == JobClass::kGcRead;
}

constexpr bool is_program(const DieJob& job) {
  return job.job_class == JobClass::kHostProgram || job.job_class == JobClass::kGcProgram;
}

constexpr DieCause cause_of(JobClass job_class) {
  switch (job_class) {
    case JobClass::kHostRead:
      return DieCause::kRead;
    case JobClass::kHostProgram:
      return DieCause::kProgram;
    case JobClass::kErase:
      return DieCause::kErase;
    default:
      return DieCause::kGc;
  }
}

constexpr base::Stage stage_of(DieCause cause) {
  switch (cause) {
    case DieCause::kRead:
      return base::Stage::kDieWaitRead;
    case DieCause::kProgram:
      return base::Stage::kDieWaitProgram;
    case DieCause::kErase:
      return base::Stage::kDieWaitErase;
    default:
      return base::Stage::kDieWaitGc;
  }
}

}  // namespace nvmesim::models
