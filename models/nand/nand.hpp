// The NAND array: dies behind channels. A die is a server with one queue per class of job; a
// channel carries data strictly in the order in which it is asked for.
//
// A read occupies its die for command + tR; then its data waits in the page registers for the
// channel. With cache_read the array may read the next page while one page's data waits. A
// program first takes its data in, page by page (so that reads of other dies get between; a
// ChannelPolicy says who goes first), then occupies the array for tPROG, as many times as it has
// passes. With cache_program the data of the next program goes in while one is in the array; that
// one then follows at once, and neither is suspended. A copyback programs what a read has left in
// the die, right behind it. Command cycles of reads and erases and status polls of programs and
// erases take time; with command_on_bus they also wait for the channel and occupy it.
//
// A program or an erase that is in the array may be suspended for the host's reads: after the
// suspend time the die serves all reads that wait, then goes on with what was left, plus the time
// to resume. It is left alone for suspend_gap_ns after each resume, after suspend_limit suspends,
// when it has aged beyond age_limit_us, and when less is left than a suspend costs.
//
// With independent_plane_reads a read occupies only its own planes, and reads of other planes of
// the die begin while it runs. On each plane reads keep their order; one of several planes waits
// for all of them. A program or an erase waits until no plane reads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/media_factory.hpp"
#include "models/nand/channel_policy.hpp"
#include "models/nand/die_job.hpp"
#include "models/nand/die_policy.hpp"
#include "models/nand/geometry.hpp"
#include "models/nand/nand_config.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/statistics.hpp"
#include "sim/base/timeline.hpp"

namespace nvmesim::models {

class Nand {
 public:
  // Data leaving a die: on the channel from start to end, decoded at `decoded`.
  struct Transfer {
    base::Time start;
    base::Time end;
    base::Time decoded;
  };
  // What a die has before it.
  struct Backlog {
    std::uint32_t jobs = 0;
    base::Time until{0};  // the earliest end of the present one, as far as it is known
    bool operator<(const Backlog& other) const {
      return jobs != other.jobs ? jobs < other.jobs : until < other.until;
    }
  };

  Nand(const NandConfig& config, const Geometry& geometry, base::Scheduler& scheduler,
       base::StatisticsRegistry& statistics, const std::string& name, ConstructionOrder order);

  // A copyback from array_done() of its read only.
  void submit(DieJob& job);
  // From array_done() of a read only: sends `bytes` of the page registers over the channel. The
  // first transfer of a job also carries its status poll.
  Transfer transfer_out(std::uint32_t die, std::uint32_t bytes, bool first);
  // Whatever the dies do or have before them is dropped; they are idle at once.
  void power_cut();

  // Command and address cycles of one operation.
  base::Time command_time() const { return command_; }
  // Whether DieJob::planes of reads is looked at; 0 there means all planes.
  bool independent_planes() const { return config_.independent_plane_reads; }
  base::Time busy(std::uint32_t die) const { return dies_[die].busy_at(scheduler_.now()); }
  Backlog backlog(std::uint32_t die) const;
  // Whether a program of the die has been submitted and is not in the array, or is suspended there.
  bool programs_wait(std::uint32_t die) const;
  // Whether a program's data may go in before jobs that were submitted earlier.
  bool loads_ahead() const { return config_.cache_program; }
  // Jobs that are running or waiting.
  std::uint64_t jobs_open() const { return jobs_open_; }
  std::uint64_t energy_uj() const;

 private:
  enum class Phase : std::uint8_t { kIdle, kDataIn, kReading, kArray, kStatus, kSuspending };
  // A plane that reads by itself.
  struct Plane {
    DieJob* job = nullptr;  // also on the other planes of the job
    base::Time begun{0};
    base::Time out_newest{0};  // as of a die
    base::Time out_older{0};
    base::Scheduler::Handle event;               // on the job's first plane
    std::array<base::Time, kDieCauses> spent{};  // by reads that have ended
  };
  struct Die {
    std::array<DieJob*, kJobClasses> heads{};
    std::array<DieJob*, kJobClasses> tails{};
    std::uint32_t waiting = 0;
    DieJob* current = nullptr;
    DieJob* suspended = nullptr;
    DieJob* loading = nullptr;    // the program behind the current one: its data goes in already,
    bool loaded = false;          // or is in
    DieJob* follow_up = nullptr;  // a copyback behind the current read
    Phase phase = Phase::kIdle;
    DieCause cause = DieCause::kRead;  // of the current job
    base::Time begun{0};
    base::Time array_begin{0};  // program or erase in the array, from here
    base::Time array_end{0};    // to here
    base::Time undisturbed{0};  // no suspend before
    base::Time in_since{0};     // data to be programmed waits for the channel
    base::Time loaded_at{0};
    base::Scheduler::Handle event;
    base::Scheduler::Handle load_event;
    base::Scheduler::Handle retry;               // looks again whether to suspend
    std::array<base::Time, kDieCauses> spent{};  // by jobs that have ended
    base::Time out_newest{0};  // when the registers of the last read will be empty,
    base::Time out_older{0};   // and those of the read before it
    // With independent_plane_reads; else there are no planes.
    std::vector<Plane> planes;
    std::uint32_t reading = 0;        // a bit for each plane that reads
    const DieJob* sending = nullptr;  // the read whose array_done() is running
    base::Time reading_since{0};
    base::Time read_by_planes{0};  // time when some plane was reading, up to reading_since

    bool busy() const { return current != nullptr || reading != 0; }
    base::Time spent_at(std::size_t cause_index, base::Time when) const;
    base::Time busy_at(base::Time when) const;
  };
  struct Channel {
    explicit Channel(std::string name) : line(std::move(name)) {}
    base::Timeline line;
    std::uint64_t bytes = 0;
  };

  Channel& channel_of(std::uint32_t die) { return *channels_[die % geometry_.channels]; }
  void add_statistics(base::StatisticsRegistry& statistics, const std::string& name);
  void begin(std::uint32_t number, DieJob& job);
  void account_wait(const Die& die, DieJob& job) const;
  void command_in(std::uint64_t number);
  void commanded(std::uint32_t number, base::Time when);
  base::Time polled_inside() const { return config_.command_on_bus ? base::kTimeZero : status_; }
  bool poll_status(std::uint32_t number);
  void load_next(std::uint32_t number);
  void take_loaded(std::uint32_t number);
  void finish_current(std::uint32_t number);
  void start_array(std::uint32_t number, base::Time begin, base::Time duration,
                   base::Time undisturbed);
  base::Time read_time(const DieJob& job) const;
  base::Time program_time(const DieJob& job) const;
  void page_in(std::uint64_t number);
  void array_done(std::uint64_t number);
  void serve_next(std::uint32_t number);
  void consider_suspend(std::uint64_t number);
  void suspended(std::uint64_t number);
  void resume(std::uint32_t number);
  void drop(DieJob* job);
  std::uint32_t planes_of(const DieJob& job) const;
  base::Time spent_before(const Die& die, const DieJob& job, std::size_t cause,
                          base::Time when) const;
  void begin_on_planes(std::uint32_t number, DieJob& job);
  void command_in_on_planes(std::uint64_t number_and_plane);
  void commanded_on_planes(std::uint32_t number, std::uint32_t plane, base::Time when);
  void planes_done(std::uint64_t number_and_plane);
  bool begin_free_read(std::uint32_t number, std::size_t queue, std::uint32_t& claimed);
  void serve_planes(std::uint32_t number);
  void drop_plane_reads(Die& die);

  const Geometry& geometry_;
  base::Scheduler& scheduler_;
  const NandConfig config_;
  std::vector<base::Time> read_;
  std::vector<base::Time> program_;
  base::Time erase_;
  base::Time slc_read_;
  base::Time slc_program_;
  base::Time command_;
  base::Time status_;
  base::Time ecc_;
  base::Time age_limit_;
  base::Pace pace_;
  bool suspends_;
  std::unique_ptr<DiePolicy> policy_;
  std::unique_ptr<ChannelPolicy> channel_policy_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::vector<Die> dies_;
  std::uint64_t jobs_open_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t programs_ = 0;
  std::uint64_t erases_ = 0;
  std::uint64_t program_suspends_ = 0;
  std::uint64_t erase_suspends_ = 0;
  std::uint64_t reads_beside_ = 0;
  std::uint64_t cache_programs_ = 0;
  std::uint64_t copybacks_ = 0;
};

}  // namespace nvmesim::models
