// Makes free superblocks: moves the valid units of a victim to the collector's open superblock,
// then erases the victim, a few dies at a time. Its reads and programs are jobs of the dies like
// any other. One victim is read at a time; what does not fill a program waits for the next one's
// units, and its superblock with it (with homes by address it is padded). Erases of earlier victims
// may still be running. Collection for space goes at the host's pace: what is moved is to what the
// victim holds as what the host wrote is to the room that the victim gives, with a window of lead.
// When the host has been idle for gc_idle_us, or space is urgent, it goes as fast as it can. In
// turns with that, or while space is not short, it also moves what must be written anew (reads or
// retention), and, to level wear, what lies on the least worn superblock. With map_cache.write_back
// a victim is not erased before the segments of the table that name what was moved were changed
// (TableUpdates).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "models/ftl/ftl_config.hpp"
#include "models/ftl/stripe.hpp"
#include "models/nand/nand.hpp"
#include "models/object_pool.hpp"
#include "models/ring.hpp"

namespace nvmesim::models {

class Ftl;

class GarbageCollector : private DieJobOwner, private StripeOwner {
 public:
  GarbageCollector(const FtlConfig& config, const Geometry& geometry, base::Scheduler& scheduler,
                   Nand& nand, Ftl& ftl, base::StatisticsRegistry& statistics,
                   const std::string& name);

  // Looks whether there is something to do and does it. Called when space was used or freed.
  void kick();
  // The superblock is to be written anew when there is room.
  void refresh(std::uint32_t superblock);
  // Whether it waits for the host's reads: only while space is not short, so writes need not wait.
  bool gives_way() const;
  // No read of the host is open: a collection that gave way goes on.
  void host_is_quiet();
  // Power goes: nothing new is begun; then what was begun is forgotten; then power is back.
  void power_cut();
  void forget_victims();
  void power_on();
  // From a loaded state: its erase is to be done again at power_on().
  void adopt_erasing(std::uint32_t superblock) {
    erasing_.push_back({superblock, false, 0, 0, false});
  }
  // Programs that the victim, or the worst one to come, still needs.
  std::uint64_t programs_needed() const;
  // The last reader of a superblock has left it.
  void readers_left(std::uint32_t superblock);
  // Whether the host keeps to its share of the room that the present victim gives.
  bool host_within_share() const;
  void host_wrote(std::uint32_t units) {
    host_since_victim_ += units;
    last_write_ = scheduler_.now();
  }
  // The host has work for the dies.
  void host_active() {
    last_active_ = scheduler_.now();
    idle_ = false;
  }

  bool moving() const { return victim_ != kNone; }
  // Superblocks that hold nothing valid and will be free.
  std::uint32_t soon_free() const { return static_cast<std::uint32_t>(erasing_.size()); }
  std::uint64_t runs() const { return runs_; }

 private:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  enum class Cause : std::uint8_t { kSpace, kRefresh, kWear, kFold };
  static constexpr std::size_t kCauses = 4;
  struct Move : DieJob {
    std::vector<Stripe::Unit> units;
    std::uint32_t retries = 0;
    std::uint32_t epoch = 0;
    Stripe* copyback = nullptr;  // what it goes to without leaving its die
  };
  struct Erase : DieJob {
    std::uint32_t superblock = 0;
  };
  struct Wish {
    std::uint32_t superblock = 0;
    Cause cause = Cause::kRefresh;
  };
  struct Erasing {
    std::uint32_t superblock = 0;
    bool bad = false;  // a block of it failed and its die has no spare
    std::uint32_t next_die = 0;
    std::uint32_t dies_done = 0;
    bool started = false;
  };

  void array_done(DieJob& job) override;
  void job_dropped(DieJob& job) override;
  void stripe_programmed(Stripe& stripe) override;
  void stripe_dropped(Stripe& stripe) override;
  bool wanted();
  bool choose_victim();
  bool choose_wish();
  bool choose_between();
  bool choose_fold();
  void take_victim(std::uint32_t superblock, Cause cause);
  std::uint64_t programs_for(std::uint32_t superblock) const;
  bool fits(std::uint32_t superblock) const;
  std::uint32_t most_valid() const;
  void draw_retries(Move& move);
  void superblock_erased(Erasing& erasing);
  bool may_retire() const;
  void level_wear();
  void read_on();
  bool ahead();
  void settle(std::uint32_t units);
  void look_idle(std::uint64_t);
  void read_stripe(std::uint32_t stripe);
  void moved_in(std::uint64_t move);
  void plan_copyback(Move& move);
  void program_filling(std::uint32_t part);
  void program_all_filling();
  void count_causes(const Stripe& stripe);
  void tell_table(const Stripe& stripe);
  void finish_victim_if_done();
  void erase_drained();
  void flush_if_stuck();
  void start_erase(Erasing& erasing);
  void erase_next_die(Erasing& erasing);
  Erasing* find_erasing(std::uint32_t superblock);

  const Geometry& geometry_;
  base::Scheduler& scheduler_;
  Nand& nand_;
  Ftl& ftl_;
  std::uint32_t start_below_;
  std::uint32_t stop_at_;
  std::uint32_t window_units_;
  std::uint32_t erase_parallel_;
  std::uint32_t urgent_;
  bool yields_;
  base::Time idle_after_;  // 0: no pace is kept
  bool copyback_;
  std::uint32_t wear_gap_;
  std::uint32_t fold_start_;

  bool off_ = false;
  std::uint32_t epoch_ = 0;  // counts power cuts
  Cause cause_ = Cause::kSpace;
  bool running_ = false;  // between start and stop threshold
  std::uint32_t victim_ = kNone;
  std::uint32_t victim_valid_ = 0;   // at its choice
  std::uint32_t next_stripe_ = 0;    // of the victim, to be read: so many have been,
  std::uint32_t first_stripe_ = 0;   // from this one on and round
  std::uint32_t units_open_ = 0;     // read or being programmed
  std::uint32_t units_before_ = 0;   // of these, such of earlier victims
  std::uint32_t units_settled_ = 0;  // of the victim: moved, or found overwritten
  std::uint32_t moves_open_ = 0;
  std::uint64_t host_since_victim_ = 0;
  bool idle_ = false;  // the host has been, since last_active_
  base::Time last_active_{0};
  base::Time last_write_{0};
  base::Scheduler::Handle idle_timer_;
  std::vector<Stripe*> filling_;         // programs that are not full, by the home of their units
  std::uint32_t filling_units_ = 0;      // in all of them
  std::vector<std::uint32_t> draining_;  // read to the end, with units that are not programmed yet
  std::vector<Erasing> erasing_;
  Ring<Wish> wishes_;
  ObjectPool<Move> moves_;
  ObjectPool<Stripe> stripes_;
  ObjectPool<Erase> erases_;

  std::uint64_t runs_ = 0;
  std::uint64_t copied_back_ = 0;
  std::uint64_t erased_ = 0;
  std::uint64_t refreshes_ = 0;
  std::uint64_t folds_ = 0;
  std::uint64_t wear_moves_ = 0;
  std::array<std::uint64_t, kCauses> units_of_{};  // programmed, by cause
};

}  // namespace nvmesim::models
