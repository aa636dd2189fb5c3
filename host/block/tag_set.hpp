// The tags that the queues of one device share: per hardware queue a bitmap of tags with one
// request each, the maps from processor to hardware queue, and those who wait for a tag.
// The lowest free tag is given out; who waits gets the next one freed, in the order of waiting.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "host/block/queue_ops.hpp"
#include "host/kernel/machine.hpp"

namespace nvmesim::host {

enum class QueueType : std::uint8_t { kDefault, kRead, kPoll };
inline constexpr std::size_t kQueueTypes = 3;

// blk_mq_queue_map. Hardware queues [offset, offset + count) serve a type.
struct QueueMap {
  std::uint16_t count = 0;
  std::uint16_t offset = 0;
  std::vector<std::uint16_t> by_cpu;  // hardware queue of each processor

  // Processor n uses queue n modulo count.
  void map_round_robin();
  // Each queue serves the processors that its vector may interrupt; queue offset + i of the map
  // has vector first_vector + i.
  void map_by_affinity(const Machine& machine, pcie::RequesterId function, unsigned first_vector);
};

// A bitmap that gives out its lowest free number.
class TagBitmap {
 public:
  TagBitmap(std::uint16_t first, std::uint16_t count);
  bool empty() const { return in_use_ == count_; }
  // Not when it is empty.
  std::uint16_t take();
  void give_back(std::uint16_t tag);
  std::uint32_t in_use() const { return in_use_; }

 private:
  std::vector<std::uint64_t> free_;  // bit set = free
  std::size_t lowest_ = 0;           // no word below it has a free bit
  std::uint16_t first_;
  std::uint32_t count_;
  std::uint32_t in_use_ = 0;
};

struct TagSetConfig {
  std::uint16_t hw_queues = 1;
  std::uint16_t depth = 1;     // tags of a hardware queue, reserved ones included
  std::uint16_t reserved = 0;  // tags [0, reserved): for allocations that ask for them
  std::uint16_t maps = 1;
  base::Time timeout = 30s;
};

class TagSet {
 public:
  TagSet(Machine& machine, QueueOps& ops, const TagSetConfig& config);
  ~TagSet();
  TagSet(const TagSet&) = delete;
  TagSet& operator=(const TagSet&) = delete;

  Machine& machine() { return machine_; }
  QueueOps& ops() { return ops_; }
  std::uint16_t hw_queues() const { return static_cast<std::uint16_t>(hw_.size()); }
  std::uint16_t depth() const { return config_.depth; }
  base::Time timeout() const { return config_.timeout; }
  std::uint16_t maps() const { return config_.maps; }

  QueueMap& map(QueueType type) { return maps_[static_cast<std::size_t>(type)]; }
  // Which hardware queue serves this; a type without queues of its own uses the default ones.
  std::uint16_t hw_queue(QueueType type, CpuId cpu) const {
    const QueueMap& chosen = maps_[static_cast<std::size_t>(type)];
    const QueueMap& used = chosen.count != 0 ? chosen : maps_[0];
    return used.by_cpu[cpu.value()];
  }

  // The request of a tag that is in use, null for any other number (blk_mq_tag_to_rq).
  Request* request_of(std::uint16_t hw_queue, std::uint16_t tag);

  // Freezes every queue of the set, waits, changes the number of hardware queues, maps again and
  // unfreezes. In a thread. All requests must be able to finish.
  void update_nr_hw_queues(std::uint16_t hw_queues);

  // Calls visit(Request&) for each request that was issued and has not ended, in the order of
  // hardware queue and tag. visit may end the request.
  template <class Visit>
  void busy_iter(Visit visit) {
    for (auto& hw : hw_) {
      for (Request& request : hw->requests) {
        if (request.allocated && request.state != RequestState::kIdle) visit(request);
      }
    }
  }

  std::uint32_t tags_in_use() const;
  std::uint64_t waiting() const { return waiting_; }
  const std::vector<RequestQueue*>& queues() const { return queues_; }

 private:
  friend class RequestQueue;
  struct Hardware {
    Hardware(std::uint16_t depth, std::uint16_t reserved_count)
        : normal(reserved_count, static_cast<std::uint16_t>(depth - reserved_count)),
          reserved(0, reserved_count),
          requests(depth) {}
    TagBitmap normal;
    TagBitmap reserved;
    std::vector<Request> requests;
    Bio* first_waiting = nullptr;
    Bio* last_waiting = nullptr;
    bool granting = false;
  };
  void set_hw_queues(std::uint16_t hw_queues);
  // Null if there is none.
  Request* take(std::uint16_t hw_queue, bool reserved);
  // Gives the tag to who waits for one.
  void give_back(Request& request);
  void wait(Bio& bio, std::uint16_t hw_queue, bool at_head);

  Machine& machine_;
  QueueOps& ops_;
  const TagSetConfig config_;
  std::array<QueueMap, kQueueTypes> maps_;
  std::vector<std::unique_ptr<Hardware>> hw_;
  std::vector<RequestQueue*> queues_;
  WaitQueue tag_freed_;  // threads that allocate a request
  std::uint64_t waiting_ = 0;
};

}  // namespace nvmesim::host
