#include "host/block/tag_set.hpp"

#include <bit>

#include "host/block/request_queue.hpp"

namespace nvmesim::host {

void QueueMap::map_round_robin() {
  for (std::size_t cpu = 0; cpu < by_cpu.size(); ++cpu) {
    by_cpu[cpu] = static_cast<std::uint16_t>(offset + cpu % count);
  }
}

void QueueMap::map_by_affinity(const Machine& machine, pcie::RequesterId function,
                               unsigned first_vector) {
  for (std::uint16_t queue = 0; queue < count; ++queue) {
    const CpuMask& mask = machine.interrupts.affinity(function, first_vector + queue);
    for (std::size_t cpu = 0; cpu < by_cpu.size(); ++cpu) {
      if (mask.test(cpu)) by_cpu[cpu] = static_cast<std::uint16_t>(offset + queue);
    }
  }
}

TagBitmap::TagBitmap(std::uint16_t first, std::uint16_t count)
    : free_(base::ceil_div(count, 64), ~std::uint64_t{0}), first_(first), count_(count) {
  if (count % 64 != 0) free_.back() = (std::uint64_t{1} << (count % 64)) - 1;
}

std::uint16_t TagBitmap::take() {
  while (free_[lowest_] == 0) ++lowest_;
  std::uint64_t& word = free_[lowest_];
  const auto bit = static_cast<std::size_t>(std::countr_zero(word));
  word &= word - 1;
  ++in_use_;
  return static_cast<std::uint16_t>(first_ + lowest_ * 64 + bit);
}

void TagBitmap::give_back(std::uint16_t tag) {
  const std::size_t index = static_cast<std::size_t>(tag - first_);
  const std::uint64_t bit = std::uint64_t{1} << (index % 64);
  NVMESIM_ASSERT((free_[index / 64] & bit) == 0, "a tag was freed twice");
  free_[index / 64] |= bit;
  if (index / 64 < lowest_) lowest_ = index / 64;
  --in_use_;
}

TagSet::TagSet(Machine& machine, QueueOps& ops, const TagSetConfig& config)
    : machine_(machine), ops_(ops), config_(config), tag_freed_(machine.threads) {
  NVMESIM_ASSERT(config.reserved < config.depth && config.maps <= kQueueTypes,
                 "a tag set without tags, or with too many maps");
  for (QueueMap& map : maps_) map.by_cpu.resize(machine.cpus(), 0);
  set_hw_queues(config.hw_queues);
}

TagSet::~TagSet() {
  for (auto& hw : hw_) {
    for (Request& request : hw->requests) ops_.exit_request(*this, request);
  }
}

void TagSet::set_hw_queues(std::uint16_t hw_queues) {
  while (hw_.size() > hw_queues) {
    NVMESIM_ASSERT(hw_.back()->normal.in_use() == 0 && hw_.back()->reserved.in_use() == 0,
                   "a hardware queue went away with its tags in use");
    for (Request& request : hw_.back()->requests) ops_.exit_request(*this, request);
    hw_.pop_back();
  }
  while (hw_.size() < hw_queues) {
    const auto index = static_cast<std::uint16_t>(hw_.size());
    hw_.push_back(std::make_unique<Hardware>(config_.depth, config_.reserved));
    std::uint16_t tag = 0;
    for (Request& request : hw_.back()->requests) {
      request.hw_queue = index;
      request.tag = tag++;
      ops_.init_request(*this, request, index);
    }
  }
  ops_.map_queues(*this);
}

void TagSet::update_nr_hw_queues(std::uint16_t hw_queues) {
  if (hw_queues == hw_.size()) return;
  for (RequestQueue* queue : queues_) queue->freeze_start();
  for (RequestQueue* queue : queues_) queue->wait_freeze();
  set_hw_queues(hw_queues);
  for (RequestQueue* queue : queues_) queue->set_hw_queues(hw_queues);
  for (RequestQueue* queue : queues_) queue->unfreeze();
}

Request* TagSet::request_of(std::uint16_t hw_queue, std::uint16_t tag) {
  if (hw_queue >= hw_.size() || tag >= config_.depth) return nullptr;
  Request& request = hw_[hw_queue]->requests[tag];
  return request.allocated ? &request : nullptr;
}

Request* TagSet::take(std::uint16_t hw_queue, bool reserved) {
  Hardware& hw = *hw_[hw_queue];
  TagBitmap& tags = reserved ? hw.reserved : hw.normal;
  if (tags.empty()) return nullptr;
  Request& request = hw.requests[tags.take()];
  request.allocated = true;
  return &request;
}

void TagSet::give_back(Request& request) {
  Hardware& hw = *hw_[request.hw_queue];
  request.allocated = false;
  (request.tag < config_.reserved ? hw.reserved : hw.normal).give_back(request.tag);
  // A request made here may end at once and come back here: the loop goes on with its tag.
  if (hw.first_waiting != nullptr && !hw.granting) {
    hw.granting = true;
    while (hw.first_waiting != nullptr && !hw.normal.empty()) {
      Bio* bio = hw.first_waiting;
      hw.first_waiting = bio->next;
      --waiting_;
      bio->queue->tag_granted(*bio);
    }
    hw.granting = false;
  }
  if (!tag_freed_.empty()) tag_freed_.wake_all();
}

void TagSet::wait(Bio& bio, std::uint16_t hw_queue, bool at_head) {
  Hardware& hw = *hw_[hw_queue];
  ++waiting_;
  bio.next = nullptr;
  if (hw.first_waiting == nullptr) {
    hw.first_waiting = hw.last_waiting = &bio;
  } else if (at_head) {
    bio.next = hw.first_waiting;
    hw.first_waiting = &bio;
  } else {
    hw.last_waiting->next = &bio;
    hw.last_waiting = &bio;
  }
}

std::uint32_t TagSet::tags_in_use() const {
  std::uint32_t tags = 0;
  for (const auto& hw : hw_) tags += hw->normal.in_use() + hw->reserved.in_use();
  return tags;
}

}  // namespace nvmesim::host
