// Where the time of one I/O went. A record is stamped whenever the I/O passes from one stage to
// the next: the time since the last stamp goes to the stage that just ended. So stages add up to
// the whole by construction, and there is no remainder.
//
// Host and device each stamp their own record; the StageJoin brings the two together by the key
// (function, queue, command id with its generation) when the host sees the completion.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string_view>

#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::base {

enum class Stage : std::uint8_t {
  // host, on the way down
  kSubmit,   // submission software: system call, block layer, driver
  kTagWait,  // waiting for a tag or for room in the submission queue
  kRequeue,  // waiting to be sent again after an error or a reset
  // wire and device
  kDoorbell,        // from the doorbell write at the CPU to its arrival in the controller
  kArbitration,     // waiting until the controller picked this queue
  kFetch,           // reading the submission entry from host memory
  kDecode,          // command processing in the controller
  kMapping,         // looking up or updating the mapping table
  kBuffer,          // waiting for room in the write buffer, or serving from it
  kDieWaitRead,     // waiting for a die that was reading,
  kDieWaitProgram,  // ... programming,
  kDieWaitErase,    // ... erasing,
  kDieWaitGc,       // ... or working for garbage collection
  kChannelWait,     // waiting for the channel
  kArray,           // the array itself: tR, tPROG
  kChannel,         // command, address and data cycles on the channel
  kEcc,             // decoding
  kData,            // data transfer between device and host memory
  kCompletion,      // building and sending the completion entry
  kCoalescing,      // held back by interrupt coalescing
  kInterrupt,       // from the completion entry leaving the device to the handler running on a CPU
  // host, on the way up
  kComplete,  // completion software
};
inline constexpr std::size_t kStageCount = static_cast<std::size_t>(Stage::kComplete) + 1;

// snake_case, as in reports: "die_wait_read".
std::string_view name(Stage stage);
std::string_view description(Stage stage);

class StageRecord {
 public:
  // Begins at `start` with all stages empty.
  void open(Time start) {
    spent_ = {};
    start_ = last_ = start;
  }
  // The stage `stage` ended at `when`; it began at the last stamp.
  void stamp(Stage stage, Time when) {
    NVMESIM_ASSERT(when >= last_, "a stage ended before it began");
    spent_[static_cast<std::size_t>(stage)] += when - last_;
    last_ = when;
  }
  // Takes over what `part` did between this record's last stamp and its own: `part` must have been
  // opened at this record's last stamp.
  void append(const StageRecord& part) {
    NVMESIM_ASSERT(part.start_ == last_ && &part != this,
                   "a part's record does not continue this one");
    add(spent_, part.spent_);
    last_ = part.last_;
  }

  // Adds what each stage took to its sum.
  void add_to(std::array<Time, kStageCount>& sums) const { add(sums, spent_); }

  Time start() const { return start_; }
  Time last() const { return last_; }
  Time total() const { return last_ - start_; }
  Time spent(Stage stage) const { return spent_[static_cast<std::size_t>(stage)]; }

 private:
  Time start_{0};
  Time last_{0};
  // Even, so that the compiler adds two at a time.
  static constexpr std::size_t kSpent = (kStageCount + 1) / 2 * 2;
  using Spent = std::array<Time, kSpent>;
  // The two do not overlap.
  template <std::size_t kSums>
  static void add(std::array<Time, kSums>& __restrict__ sums, const Spent& __restrict__ more) {
    for (std::size_t i = 0; i < kSums; ++i) sums[i] += more[i];
  }

  Spent spent_{};
};

// Names one command in flight in the whole system. device/spec says how the fields are formed.
struct CommandKey {
  std::uint16_t function = 0;  // PCI bus/device/function
  std::uint16_t queue = 0;     // submission queue id
  std::uint16_t command = 0;   // CID: tag and generation
  constexpr std::uint64_t packed() const {
    return (std::uint64_t{function} << 32) | (std::uint64_t{queue} << 16) | command;
  }
};

// What the device says of a command that it completed: when its doorbell arrived, and its stages
// from then to the moment the completion entry (and interrupt) left the device.
class StageJoin {
 public:
  // Device side: hands in the record of a completed command. `record.start()` is the arrival of
  // its doorbell.
  void completed(CommandKey key, const StageRecord& record) {
    records_.insert_or_assign(key.packed(), record);
  }

  // Device side: the command's completion entry was held back in `stage` (interrupt coalescing)
  // until `when`. Does nothing if the host has seen it already.
  void amend(CommandKey key, Stage stage, Time when) {
    const auto found = records_.find(key.packed());
    if (found != records_.end()) found->second.stamp(stage, when);
  }

  // Host side: appends the device's part to a host record whose last stamp is the doorbell write,
  // and the interrupt stage up to `seen`. False if the device has said nothing of that command.
  bool join(CommandKey key, StageRecord& host, Time seen);

  std::size_t waiting() const { return records_.size(); }
  void clear() { records_.clear(); }

 private:
  boost::unordered_flat_map<std::uint64_t, StageRecord> records_;
};

}  // namespace nvmesim::base
