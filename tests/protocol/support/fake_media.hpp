// A models::Media that keeps units in a map and takes fixed times. It checks the seam's contract
// from its side (parts ascending and within the unit, no call after cancel) and can be told to fail
// units, to hold everything back, or to be slow.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "models/borrowed_memory.hpp"
#include "models/media.hpp"
#include "models/media_points.hpp"
#include "models/spare.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::test {

class FakeMedia : public models::Media {
 public:
  base::Time read_time = 10us;
  base::Time write_time = 2us;  // after the last part arrived
  bool cache = false;
  bool fail_erases = false;
  bool held = false;  // nothing that starts now ever becomes ready
  base::Time quiesce_time = 5us;

  FakeMedia(base::Scheduler& scheduler, std::uint64_t units, bool spare = false)
      : scheduler_(scheduler),
        units_(units),
        buffers_(models::kUnitBytes + (spare ? models::kSpareBytes : 0)) {}

  void start(models::MediaCommand& command) override {
    check(command);
    command.status = models::MediaStatus::kOk;
    command.stages.open(scheduler_.now());
    for (models::MediaPart& part : command.parts) part.stages.open(scheduler_.now());
    command.parts_open = static_cast<std::uint32_t>(command.parts.size());
    running_.insert(&command);
    if (command.op == models::MediaOp::kRead && command.limited_retry) ++limited_reads;
    if (command.op == models::MediaOp::kWrite) write_streams.push_back(command.stream);
    if (held) {
      waiting_.push_back(&command);
      return;
    }
    begin(command);
  }
  // What began while `held` was set goes on, too.
  void let_go() {
    held = false;
    for (models::MediaCommand* command : std::exchange(waiting_, {})) {
      if (running_.count(command) != 0) begin(*command);
    }
  }

  void write_arrived(models::MediaPart& part) override {
    models::MediaCommand& command = *part.command;
    must_run(command);
    const base::BufferRef old = find(part.unit.value());
    base::BufferRef merged = buffers_.take();
    std::memset(merged->data(), 0, buffers_.buffer_bytes());
    if (old) std::memcpy(merged->data(), old->data(), buffers_.buffer_bytes());
    std::memcpy(merged->data() + part.offset, part.data->data() + part.offset, part.bytes);
    for_spare(part.offset, part.bytes, [&](std::size_t begin, std::size_t bytes) {
      std::memcpy(merged->data() + begin, part.data->data() + begin, bytes);
    });
    stored_[part.unit.value()] = merged;
    if (--command.parts_open == 0) schedule(command, write_time);
  }

  void cancel(models::MediaCommand& command) override {
    must_run(command);
    running_.erase(&command);
    std::erase(waiting_, &command);
    ++cancelled;
    std::erase_if(events_, [&](const auto& item) { return item.second == &command; });
  }

  std::uint64_t capacity_units() const override { return units_; }
  models::MediaPoints& points() override { return points_; }
  std::uint64_t used_units() const override { return stored_.size(); }
  bool keeps_spare() const override { return buffers_.buffer_bytes() > models::kUnitBytes; }
  models::BorrowedMemoryUser* memory_user() override { return user.get(); }
  std::unique_ptr<models::BorrowedMemoryUser> user;
  bool volatile_cache() const override { return cache; }
  void quiesce(base::Callback done) override {
    quiesced_ = done;
    scheduler_.after<&FakeMedia::fire_quiesce>(quiesce_time, this);
  }

  void fail(std::uint64_t unit, models::MediaStatus status) { failing_[unit] = status; }
  base::BufferRef find(std::uint64_t unit) const {
    const auto found = stored_.find(unit);
    return found == stored_.end() ? base::BufferRef() : found->second;
  }
  // A number that changes with any stored byte.
  std::uint64_t fingerprint() const {
    std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
    for (const auto& [unit, buffer] : stored_) {
      hash = (hash ^ unit) * 0x100'0000'01B3;
      for (std::size_t i = 0; i < buffers_.buffer_bytes(); i += 8) {
        std::uint64_t word;
        std::memcpy(&word, buffer->data() + i, sizeof word);
        hash = (hash ^ word) * 0x100'0000'01B3;
      }
    }
    return hash;
  }
  std::size_t running() const { return running_.size(); }
  std::size_t buffers_in_use() const { return buffers_.in_use() - stored_.size(); }

  std::uint64_t cancelled = 0;
  std::uint64_t flushes = 0;
  std::uint64_t limited_reads = 0;
  std::vector<std::uint16_t> write_streams;  // of each write, in order
  std::uint64_t last_durable_writes = 0;

 private:
  void begin(models::MediaCommand& command) {
    if (command.op == models::MediaOp::kRead) {
      schedule(command, read_time);
    } else {
      schedule(command, command.op == models::MediaOp::kWrite ? base::Time(100ns) : write_time);
    }
  }

  models::MediaPoints points_;
  std::vector<models::MediaCommand*> waiting_;
  // Metadata slots and marks that belong to these bytes of a unit.
  template <class Visit>
  void for_spare(std::uint64_t offset, std::uint64_t bytes, Visit visit) const {
    if (!keeps_spare()) return;
    const std::size_t first = offset / models::kSpareGrain;
    const std::size_t slots = bytes / models::kSpareGrain;
    visit(models::kUnitBytes + first * models::kSpareSlotBytes, slots * models::kSpareSlotBytes);
    visit(models::kUnitBytes + models::kSpareSlots * models::kSpareSlotBytes + first, slots);
  }
  void check(const models::MediaCommand& command) const {
    if (command.client == nullptr) throw std::logic_error("a media command without a client");
    if (running_.count(const_cast<models::MediaCommand*>(&command)) != 0) {
      throw std::logic_error("a media command was started twice");
    }
    const bool data = command.op == models::MediaOp::kRead || command.op == models::MediaOp::kWrite;
    if (data == command.parts.empty()) throw std::logic_error("parts do not fit the operation");
    std::uint64_t byte = command.first_byte;
    for (const models::MediaPart& part : command.parts) {
      if (part.unit.value() >= units_ || part.offset + part.bytes > models::kUnitBytes ||
          part.unit.value() * models::kUnitBytes + part.offset != byte || part.bytes == 0) {
        throw std::logic_error("a part is not where its command is");
      }
      byte += part.bytes;
    }
    if (data && byte != command.first_byte + command.bytes) {
      throw std::logic_error("the parts do not cover their command");
    }
    if (command.first_byte + command.bytes > units_ * models::kUnitBytes) {
      throw std::logic_error("a media command beyond the capacity");
    }
  }
  void must_run(models::MediaCommand& command) const {
    if (running_.count(&command) == 0) throw std::logic_error("a call for a command not started");
  }
  void schedule(models::MediaCommand& command, base::Time delay) {
    const std::uint64_t number = next_event_++;
    events_[number] = &command;
    scheduler_.after<&FakeMedia::step>(delay, this, number);
  }

  void step(std::uint64_t number) {
    const auto found = events_.find(number);
    if (found == events_.end()) return;  // cancelled
    models::MediaCommand& command = *found->second;
    events_.erase(found);
    switch (command.op) {
      case models::MediaOp::kRead:
        read(command);
        return;
      case models::MediaOp::kWrite:
        if (command.parts_open != 0) {
          grant(command);
          return;
        }
        for (models::MediaPart& part : command.parts) {
          part.stages.stamp(base::Stage::kArray, scheduler_.now());
        }
        if (command.force_unit_access) ++last_durable_writes;
        break;
      case models::MediaOp::kFlush:
        ++flushes;
        break;
      case models::MediaOp::kDeallocate:
        if (fail_erases) command.status = models::MediaStatus::kUncorrectable;
        erase(command);
        break;
      case models::MediaOp::kWriteZeroes:
        if (command.force_unit_access) ++last_durable_writes;
        erase(command);
        break;
    }
    command.stages.stamp(base::Stage::kArray, scheduler_.now());
    done(command);
  }

  void read(models::MediaCommand& command) {
    for (models::MediaPart& part : command.parts) {
      const auto bad = failing_.find(part.unit.value());
      if (bad != failing_.end()) {
        command.status = bad->second;
        continue;
      }
      part.data = find(part.unit.value());
      part.stages.stamp(base::Stage::kArray, scheduler_.now());
      command.client->media_ready(part);
    }
    done(command);
  }
  void grant(models::MediaCommand& command) {
    for (models::MediaPart& part : command.parts) {
      const auto bad = failing_.find(part.unit.value());
      if (bad != failing_.end()) {
        command.status = bad->second;
        done(command);
        return;
      }
    }
    for (models::MediaPart& part : command.parts) {
      part.data = buffers_.take();
      part.stages.stamp(base::Stage::kBuffer, scheduler_.now());
      command.client->media_ready(part);
    }
  }
  void erase(const models::MediaCommand& command) {
    std::uint64_t byte = command.first_byte;
    const std::uint64_t end = command.first_byte + command.bytes;
    while (byte < end) {
      const std::uint64_t unit = byte / models::kUnitBytes;
      const std::uint64_t in_unit = byte % models::kUnitBytes;
      const std::uint64_t bytes = std::min(end - byte, models::kUnitBytes - in_unit);
      const auto found = stored_.find(unit);
      if (found != stored_.end()) {
        if (bytes == models::kUnitBytes) {
          stored_.erase(found);
        } else if (command.op == models::MediaOp::kWriteZeroes) {
          base::BufferRef copy = buffers_.take();
          std::memcpy(copy->data(), found->second->data(), buffers_.buffer_bytes());
          std::memset(copy->data() + in_unit, 0, bytes);
          for_spare(in_unit, bytes, [&](std::size_t begin, std::size_t count) {
            std::memset(copy->data() + begin, 0, count);
          });
          found->second = copy;
        }
      }
      byte += bytes;
    }
  }
  void done(models::MediaCommand& command) {
    running_.erase(&command);
    command.client->media_done(command, command.status);
  }
  void fire_quiesce() { quiesced_(); }

  base::Scheduler& scheduler_;
  std::uint64_t units_;
  base::BufferPool buffers_;
  std::map<std::uint64_t, base::BufferRef> stored_;
  std::map<std::uint64_t, models::MediaStatus> failing_;
  std::set<models::MediaCommand*> running_;
  std::map<std::uint64_t, models::MediaCommand*> events_;
  std::uint64_t next_event_ = 0;
  base::Callback quiesced_;
};

}  // namespace nvmesim::test
