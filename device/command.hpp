// One command in flight in the controller, and the fixed pool of them. A slot is reserved when the
// fetch of its submission entry is issued, so that an entry that arrives always finds one; I/O and
// admin commands have slots of their own, so that a full drive still answers Abort.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "device/prp.hpp"
#include "device/sgl.hpp"
#include "device/spec/commands.hpp"
#include "models/media.hpp"
#include "sim/base/buffer.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/stage.hpp"

namespace nvmesim::device {

struct BlockWork;
struct Core;
struct Namespace;

enum class CommandState : std::uint8_t {
  kFree,
  kDecoding,    // in the decode stage
  kPrpList,     // a page of the PRP list is being read
  kStaged,      // data of a command that needs no media moves
  kMedia,       // the media works, or data of its parts moves
  kParked,      // waits for something else: an event, another command's end
  kFused,       // waits for the other half of its pair
  kLocked,      // waits until its blocks are free of an atomic write
  kCompleting,  // its status is decided
};

std::string_view name(CommandState state);

struct Command {
  using Step = void (*)(Core&, Command&);

  spec::SubmissionEntry sqe{};
  std::uint16_t sqid = 0;
  std::uint16_t cqid = 0;
  std::uint32_t index = 0;  // in the pool
  CommandState state = CommandState::kFree;
  bool media_open = false;       // the media has it
  bool ended = false;            // its status was decided while pieces were still moving
  bool prepared = false;         // completion_at is valid
  bool locked = false;           // in RangeLocks
  bool twice = false;            // a rule wants its completion posted twice
  bool sgl_of_metadata = false;  // which SGL is being read
  spec::Status status = spec::Status::kSuccess;
  std::uint32_t dw0 = 0;
  std::uint32_t pieces_open = 0;  // DMA requests under way
  std::uint32_t parts_ready = 0;
  std::uint32_t position = 0;  // of a command that works through a list
  const Namespace* space = nullptr;
  Step next_step = nullptr;
  Step then = nullptr;                 // of AdminData: behind the data
  std::uint32_t data_bytes = 0;        // of AdminData
  std::vector<base::BufferRef> pages;  // of AdminData
  Command* waiter = nullptr;           // an Abort that waits for this command's end
  Command* partner = nullptr;          // the other half of a fused pair, until the first ends
  BlockWork* work = nullptr;           // of BlockTransfer
  Command* next = nullptr;             // in a completion queue's waiting list
  base::Scheduler::Handle timer;
  base::Time completion_at{0};
  base::BufferRef staged;
  base::StageRecord record;
  std::uint64_t mapped_bytes = 0;  // that the data pointer describes
  PrpMap prps;
  SglMap sgl;
  models::MediaCommand media;

  bool admin() const { return sqid == 0; }
  bool fused() const { return sqe.fuse() != 0; }
  // Host memory of the command's data from `offset` on.
  PrpMap::Extent extent(std::uint64_t offset) const {
    if (sqe.psdt() == 0) [[likely]]
      return prps.at(offset);
    return sgl.at(offset);
  }
};

class CommandPool {
 public:
  CommandPool(std::uint32_t io_slots, std::uint32_t admin_slots);
  CommandPool(const CommandPool&) = delete;
  CommandPool& operator=(const CommandPool&) = delete;

  // Slots that a fetch may still claim.
  std::uint32_t available(bool admin) const { return admin ? admin_free_ : io_free_; }
  void reserve(bool admin, std::uint32_t count) { (admin ? admin_free_ : io_free_) -= count; }
  void unreserve(bool admin, std::uint32_t count) { (admin ? admin_free_ : io_free_) += count; }

  // A reserved slot becomes a command.
  Command& take();
  void release(Command& command);

  Command& at(std::uint64_t index) { return commands_[index]; }
  // Every slot, free ones included.
  std::vector<Command>& all() { return commands_; }
  const std::vector<Command>& all() const { return commands_; }
  std::uint32_t in_use() const { return in_use_; }
  bool clean() const;
  // Frees every slot and every reservation.
  void reset();

 private:
  void link_all();

  std::vector<Command> commands_;
  std::vector<std::uint32_t> free_;
  std::uint32_t io_slots_;
  std::uint32_t admin_slots_;
  std::uint32_t io_free_ = 0;
  std::uint32_t admin_free_ = 0;
  std::uint32_t in_use_ = 0;
};

}  // namespace nvmesim::device
