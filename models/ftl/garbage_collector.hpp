// Makes free superblocks: moves the valid units of a victim to the collector's open superblock,
// then erases the victim, a few dies at a time. Its reads and programs are jobs of the dies like
// any other. One victim is moved at a time; erases of earlier ones may still be running.
#pragma once

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
  // The last reader of a superblock has left it.
  void readers_left(std::uint32_t superblock);
  // Whether the host keeps to its share of the room that the present victim gives.
  bool host_within_share() const;
  void host_wrote(std::uint32_t units) { host_since_victim_ += units; }

  bool moving() const { return victim_ != kNone; }
  // Superblocks that hold nothing valid and will be free.
  std::uint32_t soon_free() const { return static_cast<std::uint32_t>(erasing_.size()); }
  std::uint64_t runs() const { return runs_; }

 private:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  struct Move : DieJob {
    std::vector<Stripe::Unit> units;
  };
  struct Erase : DieJob {
    std::uint32_t superblock = 0;
  };
  struct Erasing {
    std::uint32_t superblock = 0;
    std::uint32_t next_die = 0;
    std::uint32_t dies_done = 0;
    bool started = false;
  };

  void array_done(DieJob& job) override;
  void stripe_programmed(Stripe& stripe) override;
  bool wanted();
  bool choose_victim();
  void read_on();
  void read_stripe(std::uint32_t stripe);
  void moved_in(std::uint64_t move);
  void program_filling();
  void finish_victim_if_done();
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

  bool running_ = false;  // between start and stop threshold
  std::uint32_t victim_ = kNone;
  std::uint32_t victim_valid_ = 0;  // at its choice
  std::uint32_t next_stripe_ = 0;   // of the victim, to be read
  std::uint32_t units_open_ = 0;    // read or being programmed
  std::uint32_t units_settled_ = 0;
  std::uint32_t moves_open_ = 0;
  std::uint64_t host_since_victim_ = 0;
  Stripe* filling_ = nullptr;
  std::vector<Erasing> erasing_;
  ObjectPool<Move> moves_;
  ObjectPool<Stripe> stripes_;
  ObjectPool<Erase> erases_;

  std::uint64_t runs_ = 0;
  std::uint64_t erased_ = 0;
};

}  // namespace nvmesim::models
