// A block device in memory, on a Scheduler: every request takes its engine's cost (all at once, or
// one after the other as on one processor), then waits for a tag, then takes `latency` plus a
// random part; data moves at a random instant within. So requests overtake each other, the same way
// in every run. It can be told to misbehave.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "host/block/bio.hpp"
#include "sim/base/random.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::test {

using Sector = std::array<std::byte, host::kSectorBytes>;

struct FakeConfig {
  std::uint64_t capacity_sectors = 1 << 20;
  base::Time latency = 10us;
  base::Time jitter{0};    // up to so much more
  std::uint32_t tags = 0;  // 0 = as many as it takes
  std::uint32_t cpus = 4;
  std::uint32_t logical_block_bytes = 512;
  bool write_cache = true;
  bool one_processor = false;  // submissions take turns
  bool new_drive = false;      // never-written sectors read as zeroes, else as anything
  // The write, read or request (counted from 1, in the order of submission) that goes wrong.
  std::uint64_t drop_write = 0;
  std::uint64_t flip_in_write = 0;
  std::uint64_t misdirect_write = 0;
  std::uint64_t fail_write = 0;  // ends with an error, half of it written
  std::uint64_t stale_read = 0;  // sees what the sectors held before their last write
  std::uint64_t fail_read = 0;
  std::uint64_t lose_request = 0;  // never ends
};

class FakeDevice final : public host::BlockDevice {
 public:
  struct Seen {
    host::BioOp op;
    std::uint64_t sector;
    std::uint32_t sectors;
    base::Time at;
    std::uint16_t cpu;
    bool fua;
    bool preflush;
    bool plugged;
    base::Time engine_cost;
    std::uint64_t open;  // with it
  };

  FakeDevice(base::Scheduler& scheduler, const FakeConfig& config);

  std::string_view name() const override { return "fake0"; }
  std::uint64_t capacity_sectors() const override { return config_.capacity_sectors; }
  const host::BlockLimits& limits() const override { return limits_; }
  std::uint32_t cpus() const override { return config_.cpus; }
  void submit(host::Bio& bio) override;
  void unplug(host::CpuId cpu) override { unplugged_.push_back(cpu.value()); }
  host::IoBuffer allocate_buffer(std::uint32_t bytes) override;
  void free_buffer(const host::IoBuffer& buffer) override;
  void write_buffer(const host::IoBuffer& buffer, std::uint32_t offset,
                    std::span<const std::byte> bytes) override;
  void read_buffer(const host::IoBuffer& buffer, std::uint32_t offset,
                   std::span<std::byte> bytes) const override;
  std::uint64_t waiting_for_tag() const override { return waiting_.size(); }
  void for_each_open(void (*visit)(void* context, const host::OpenBio& open),
                     void* context) const override;

  const std::vector<Seen>& seen() const { return seen_; }
  std::size_t buffers() const { return buffers_.size(); }
  std::uint64_t open_max() const { return open_max_; }
  const std::vector<std::uint16_t>& unplugged() const { return unplugged_; }

 private:
  struct Job {
    host::Bio* bio = nullptr;
    std::uint64_t number = 0;  // among all
    std::uint64_t write = 0;   // among the writes; 0 = none
    std::uint64_t read = 0;
    bool open = false;
  };

  // Sectors by number; a place of 0 is zeroes.
  struct Store {
    boost::unordered_flat_map<std::uint64_t, std::uint32_t> places;
    std::deque<Sector> sectors{1};
    void put(std::uint64_t number, const Sector* content);  // null: zeroes
    const Sector* get(std::uint64_t number) const;          // null: never written
  };

  void arrived(std::uint64_t job);
  void begin(std::uint64_t job);
  void move_data(std::uint64_t job);
  void end(std::uint64_t job);
  void write(const Job& job);
  void read(const Job& job);
  std::byte* memory(const host::IoBuffer& buffer, std::uint32_t offset);
  base::Time draw(base::Time most);

  base::Scheduler& scheduler_;
  const FakeConfig config_;
  host::BlockLimits limits_;
  base::Random random_;
  std::deque<Job> jobs_;
  std::deque<std::uint64_t> waiting_;
  std::uint32_t busy_ = 0;
  std::uint64_t open_ = 0;
  std::uint64_t open_max_ = 0;
  base::Time processor_until_{0};
  std::uint64_t writes_ = 0;
  std::uint64_t reads_ = 0;
  Store now_;
  Store before_;  // what the last write of a sector replaced; for stale reads only
  std::map<std::uint64_t, std::vector<std::byte>> buffers_;  // by address
  std::vector<std::uint16_t> unplugged_;
  std::vector<Seen> seen_;
};

}  // namespace nvmesim::test
