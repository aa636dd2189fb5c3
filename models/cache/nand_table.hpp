// The pages of the mapping table on NAND. A page that is written goes into a part of the write
// buffer that is kept for the table (two programs' worth of slots beyond write_buffer.bytes), from
// there to an open superblock of its own (a lane of the FTL behind those of the host). It is a read
// of a host's class that brings one back, or the buffer serves it.
//
// Slots and lane of their own make sure that table pages never wait for data of the host: only for
// a place, that is, for the collector.
//
// Power: what is in a protected buffer stays; a volatile one loses it, and the page lies again
// where it lay before. What it said counts as rebuilt then, like what had changed in the
// controller; so neither Flush nor a shutdown waits for table pages.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "models/cache/write_buffer.hpp"
#include "models/ftl/ftl.hpp"
#include "models/ftl/table_pages.hpp"
#include "models/object_pool.hpp"
#include "models/read_path.hpp"
#include "models/ring.hpp"

namespace nvmesim::models {

class NandTable : public TablePages, private StripeOwner {
 public:
  NandTable(const WriteBufferConfig& config, const Geometry& geometry, base::Scheduler& scheduler,
            Ftl& ftl, ReadPath& reads, WriteBuffer& buffer);

  bool present(std::uint64_t page) const override;
  void read(std::uint64_t page, base::Callback done) override;
  void write(std::uint64_t page, base::Callback done) override;
  void drop(std::uint64_t first, std::uint64_t count) override;
  bool stuck() const override { return !waiting_.empty() && !ftl_.table_may_write(); }
  void set_stuck_listener(base::Callback listener) override { stuck_ = listener; }
  void hold(std::uint32_t superblock) override { ftl_.hold(superblock); }
  void release(std::uint32_t superblock) override { ftl_.release(superblock); }

  void set_updates(TableUpdates& updates) { ftl_.set_table_updates(updates); }
  // Between the FTL's.
  void power_cut();
  void power_on();
  // The pages of a protected buffer, between power_cut() and power_on().
  void save(StateWriter& out) const;
  void load(StateReader& in);
  std::uint32_t slots_used() const { return used_; }

 private:
  // A page in the buffer: waiting for a slot, then perhaps dirty (to be programmed), perhaps being
  // programmed, more than once if it was written anew meanwhile. Each of the latter two is a slot.
  struct Held {
    std::uint32_t waiting = 0;
    std::uint32_t flushing = 0;
    bool dirty = false;
    bool wanted = true;  // not dropped
  };
  struct Write {
    std::uint64_t page = 0;
    base::Callback done;
  };

  void stripe_programmed(Stripe& stripe) override;
  void stripe_dropped(Stripe& stripe) override;
  void accept(const Write& write);
  void arrive(const Write& write);
  void make_dirty(std::uint64_t page, Held& held);
  void serve_waiting();
  void dispatch();
  void watch_idleness();
  void idle();
  void forget_if_gone(std::uint64_t page);
  std::uint64_t page_of(const Stripe::Unit& unit) const { return unit.unit.value() - first_unit_; }

  base::Scheduler& scheduler_;
  Ftl& ftl_;
  ReadPath& reads_;
  WriteBuffer& buffer_;
  std::uint64_t first_unit_;
  std::uint64_t pages_;
  std::uint32_t program_units_;
  std::uint32_t slots_;
  bool protected_;
  base::Time idle_time_;
  std::uint32_t used_ = 0;
  std::map<std::uint64_t, Held> held_;
  Ring<std::uint64_t> dirty_;  // each page once; one that was dropped leaves it when its turn comes
  std::size_t to_drain_ = 0;   // so many of them go out even if they do not fill a program
  Ring<Write> waiting_;
  ObjectPool<Stripe> stripes_;
  base::Scheduler::Handle idle_timer_;
  base::Time last_write_{0};
  base::Callback stuck_;
};

}  // namespace nvmesim::models
