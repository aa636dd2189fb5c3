// An XPoint-like medium: a fixed place for each unit, written in place, nothing to erase or to
// collect, nothing volatile. Units go round channels and dies. A read occupies its die, then the
// channel, then passes ECC; a write takes the channel, then the die, and is durable when it ends.
// Flush has nothing to do. Each place records (unit, sequence), and every read checks it. Pages of
// the mapping table (map_cache) are units behind those of the host.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/delivery.hpp"
#include "models/ftl/table_pages.hpp"
#include "models/media.hpp"
#include "models/media_config.hpp"
#include "models/media_factory.hpp"
#include "models/media_points.hpp"
#include "models/object_pool.hpp"
#include "models/ring.hpp"
#include "models/store/data_store.hpp"
#include "models/store/sparse_array.hpp"
#include "sim/base/random.hpp"
#include "sim/base/timeline.hpp"

namespace nvmesim::models {

class XpointMedia : public Media {
 public:
  XpointMedia(const MediaConfig& config, base::Scheduler& scheduler, std::uint64_t seed,
              base::StatisticsRegistry& statistics, const std::string& name,
              ConstructionOrder order);

  void start(MediaCommand& command) override;
  void write_arrived(MediaPart& part) override;
  void cancel(MediaCommand& command) override;
  std::uint64_t capacity_units() const override { return units_; }
  std::uint64_t used_units() const override { return used_; }
  bool volatile_cache() const override { return false; }
  bool keeps_spare() const override { return store_.keep_spare(); }
  void quiesce(base::Callback done) override;
  void power_cut() override;
  void power_on() override;
  std::string save() const override;
  void load(std::string_view file, std::string_view source) override;
  MediaPoints& points() override { return points_; }
  // Only with map_cache.
  TablePages& table() { return table_; }

 private:
  class Table : public TablePages {
   public:
    explicit Table(XpointMedia& media) : media_(media) {}
    bool present(std::uint64_t page) const override;
    void read(std::uint64_t page, base::Callback done) override;
    void write(std::uint64_t page, base::Callback done) override;
    void drop(std::uint64_t first, std::uint64_t count) override;

   private:
    XpointMedia& media_;
  };
  struct PageWrites {
    std::uint32_t open = 0;
    bool wanted = true;  // not dropped
  };
  // One unit's way through the medium.
  struct Access {
    MediaPart* part = nullptr;        // none: cancelled, or zeroes
    MediaCommand* command = nullptr;  // none: cancelled
    UnitId unit;
    std::uint64_t place = 0;
    std::uint32_t offset = 0;
    std::uint32_t bytes = 0;
    base::BufferRef data;
    bool granted = false;       // a write that has a slot and waits for its data
    Access* sibling = nullptr;  // another piece of zeroes of the same command
    bool page = false;          // of the mapping table,
    base::Callback done;        // for whom
  };
  struct Records {
    std::array<std::uint32_t, 64> units;    // recorded at the place
    std::array<std::uint8_t, 64> written;   // sequence recorded at the place; 0: nothing
    std::array<std::uint8_t, 64> expected;  // of the unit of that number; 0: unmapped
  };
  struct Channel {
    explicit Channel(std::string name) : line(std::move(name)) {}
    base::Timeline line;
    std::vector<std::unique_ptr<base::Timeline>> dies;
  };

  Records& touch(std::uint64_t index);
  // Held data at the start.
  bool prefilled(std::uint64_t unit) const {
    return unit < units_ ? unit < prefilled_ : unit - units_ < prefilled_pages();
  }
  std::uint64_t prefilled_pages() const { return pages_ == 0 ? 0 : table_pages(prefilled_); }
  std::uint8_t expected(std::uint64_t unit) const;
  bool record(std::uint64_t unit);
  Access* take_page(std::uint64_t page, base::Callback done);
  void page_read(std::uint64_t access);
  void page_decoded(std::uint64_t access);
  void page_written(Access& access);
  base::Timeline& die_of(std::uint64_t place);
  Channel& channel_of(std::uint64_t place) { return *channels_[place % channels_.size()]; }
  base::Time read_time();
  base::Time mapping_time() const { return base::nanoseconds(config_.mapping_ns); }
  static std::uint64_t as_argument(void* pointer) {
    return reinterpret_cast<std::uint64_t>(pointer);
  }
  void start_read(MediaCommand& command);
  void start_write(MediaCommand& command);
  void start_range(MediaCommand& command);
  void array_read(std::uint64_t access);
  void read_done(std::uint64_t access);
  void deliver(std::uint64_t access);
  void read_unmapped(std::uint64_t access);
  void grant();
  void schedule_grant();
  void send_in(Access& access);
  void data_in(std::uint64_t access);
  void written(std::uint64_t access);
  void unmap(std::uint64_t unit);
  void unmap_whole_units(const MediaCommand& command);
  void write_zero_pieces(MediaCommand& command);
  void unlink_piece(MediaCommand& command, const Access& access);
  void forget(Access* access);
  void end_of_range(std::uint64_t access);
  MediaStatus check(const Access& access, std::uint64_t& found);
  Access* take(MediaPart* part, MediaCommand* command);

  base::Scheduler& scheduler_;
  std::uint64_t units_;
  std::uint64_t pages_;  // of the mapping table
  XpointConfig config_;
  MediaPoints points_;
  Delivery delivery_;
  DataStore store_;
  SparseArray<Records> records_;
  std::vector<std::unique_ptr<Channel>> channels_;
  base::Pace read_pace_;
  base::Pace write_pace_;
  base::Random random_;
  ObjectPool<Access> accesses_;
  Ring<Access*> waiting_;
  std::uint32_t free_slots_;
  bool grant_pending_ = false;
  Table table_{*this};
  std::map<std::uint64_t, PageWrites> page_writes_;

  std::uint64_t prefilled_;  // units below it held data at the start
  std::uint64_t used_ = 0;
  std::uint64_t read_commands_ = 0;
  std::uint64_t unmapped_commands_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t integrity_errors_ = 0;
};

}  // namespace nvmesim::models
