// A driver without a device: every request it gets ends after a latency of its own choice. It keeps
// what it saw and checks what every driver may rely on.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <vector>

#include "host/block/disk.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/host/kernel/fake_bus.hpp"

namespace nvmesim::host::test {

class FakeDriver : public QueueOps {
 public:
  struct Seen {
    base::Time when{0};
    RequestOp op;
    const Bio* bio;
    std::uint64_t sector, sectors, data_address;
    std::uint32_t data_bytes;
    std::uint16_t hw_queue, tag;
    bool fua, last;
  };

  explicit FakeDriver(base::Scheduler& scheduler) : scheduler_(scheduler) {}

  QueueResult queue_rq(Request& request, bool last) override {
    if (record) {
      seen.push_back({scheduler_.now(), request.op, request.bio, request.sector, request.sectors,
                      request.data_address, request.data_bytes, request.hw_queue, request.tag,
                      request.fua, last});
    }
    if (answer) {
      const QueueResult result = answer(request);
      if (result != QueueResult::kOk) return result;
    }
    request.stages().stamp(base::Stage::kSubmit, scheduler_.now());
    tags_used_twice += busy_at(request);
    busy_at(request) = true;
    ++in_flight;
    most_in_flight = std::max(most_in_flight, in_flight);
    request.queue->start_request(request);
    if (!hold) finish_at(request, scheduler_.now() + latency(request));
    return QueueResult::kOk;
  }
  void finish_at(Request& request, base::Time when) {
    scheduler_.at<&FakeDriver::finish>(when, this, reinterpret_cast<std::uint64_t>(&request));
  }
  void finish(std::uint64_t argument) {
    auto& request = *reinterpret_cast<Request*>(argument);
    request.stages().stamp(base::Stage::kArray, scheduler_.now());
    request.queue->complete_request(request);
  }
  void complete(Request& request) override {
    busy_at(request) = false;
    --in_flight;
    if (retry && retry(request)) return;
    request.queue->end_request(request, status(request));
  }
  void commit_rqs(RequestQueue&, std::uint16_t) override { ++commits; }
  TimeoutResult timeout(Request& request) override { return on_timeout(request); }
  int poll(RequestQueue&, std::uint16_t) override { return 0; }
  void map_queues(TagSet& set) override {
    QueueMap& map = set.map(QueueType::kDefault);
    map.count = wanted_queues;
    map.map_round_robin();
  }
  void init_request(TagSet&, Request& request, std::uint16_t) override {
    request.driver_data = this;
    ++initialised;
  }
  void exit_request(TagSet&, Request&) override { --initialised; }

  std::function<base::Time(Request&)> latency = [](Request&) { return 10us; };
  std::function<BlockStatus(Request&)> status = [](Request&) { return BlockStatus::kOk; };
  std::function<QueueResult(Request&)> answer;  // empty: always kOk
  std::function<bool(Request&)> retry;
  std::function<TimeoutResult(Request&)> on_timeout;
  std::uint16_t wanted_queues = 1;
  bool hold = false;  // requests do not end by themselves
  bool record = true;
  std::vector<Seen> seen;
  int in_flight = 0;
  int most_in_flight = 0;
  int commits = 0;
  int tags_used_twice = 0;
  int initialised = 0;

 private:
  bool& busy_at(const Request& request) {
    const std::size_t index = request.hw_queue * 4096u + request.tag;
    if (index >= busy_.size()) busy_.resize(index + 1);
    return busy_[index].value;
  }
  struct Flag {
    bool value = false;
  };
  base::Scheduler& scheduler_;
  std::vector<Flag> busy_;
};

// A host, a driver, a disk of 1 GiB, and bios that note their end.
struct BlockBench {
  struct Io {
    BlockBench& bench;
    Bio bio;
    base::Time submitted{0};
    base::Time ended{-1};
    int ends = 0;
    void submit() {
      submitted = bench.host.scheduler.now();
      bench.disk.submit(bio);
    }
    void done() {
      ended = bench.host.scheduler.now();
      ++ends;
      CHECK(bio.stages.total() == ended - submitted);
      CHECK(bio.stages.last() == ended);
      bench.order.push_back(&bio);
    }
  };

  explicit BlockBench(TagSetConfig set_config = {}, HostConfig host_config = costs())
      : host(host_config), set(host.machine, prepared(set_config), set_config) {
    disk.set_capacity(2 * base::kMiB);
    BlockLimits limits;
    limits.max_discard_sectors = 1 << 20;
    limits.max_write_zeroes_sectors = 1 << 16;
    disk.set_limits(limits);
  }

  static HostConfig costs() {
    HostConfig config;
    config.cpus = 4;
    config.block_layer_ns = 400;
    config.driver_ns = 100;
    config.context_switch_ns = 1000;
    return config;
  }
  FakeDriver& prepared(const TagSetConfig& config) {
    driver.wanted_queues = config.hw_queues;
    return driver;
  }

  Io& io(BioOp op, std::uint64_t sector, std::uint32_t sectors, unsigned cpu = 0) {
    Io& added = ios.emplace_back(Io{*this, {}});
    added.bio.op = op;
    added.bio.sector = sector;
    added.bio.sectors = sectors;
    added.bio.cpu = CpuId(static_cast<std::uint16_t>(cpu));
    added.bio.buffer = {0x1000000, sectors * kSectorBytes};
    added.bio.done = base::Callback::of<&Io::done>(&added);
    return added;
  }
  Io& io_at(base::Time when, BioOp op, std::uint64_t sector, std::uint32_t sectors,
            unsigned cpu = 0) {
    Io& added = io(op, sector, sectors, cpu);
    host.scheduler.at<&Io::submit>(when, &added);
    return added;
  }
  void expect_all_ended(BlockStatus status = BlockStatus::kOk) {
    for (const Io& one : ios) {
      CHECK(one.ends == 1);
      CHECK(one.bio.status == status);
    }
    expect_idle();
  }
  void expect_idle() {
    CHECK(set.tags_in_use() == 0);
    CHECK(disk.queue().entered() == 0);
    CHECK(disk.waiting_for_tag() == 0);
    CHECK(disk.queue().oldest_open() == nullptr);
    CHECK(driver.in_flight == 0);
    CHECK(driver.tags_used_twice == 0);
  }

  QuietHost host;
  FakeDriver driver{host.scheduler};
  TagSet set;
  Disk disk{"fake0n1", set};
  std::deque<Io> ios;
  std::vector<const Bio*> order;
};

}  // namespace nvmesim::host::test
