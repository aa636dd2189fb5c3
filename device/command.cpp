#include "device/command.hpp"

#include "sim/base/assert.hpp"

namespace nvmesim::device {

std::string_view name(CommandState state) {
  switch (state) {
    case CommandState::kFree:
      return "free";
    case CommandState::kDecoding:
      return "decoding";
    case CommandState::kPrpList:
      return "reading its PRP list";
    case CommandState::kStaged:
      return "moving data";
    case CommandState::kMedia:
      return "in the media";
    case CommandState::kParked:
      return "waiting";
    case CommandState::kFused:
      return "waiting for its fused partner";
    case CommandState::kLocked:
      return "waiting for an atomic write";
    case CommandState::kCompleting:
      return "completing";
  }
  return "?";
}

CommandPool::CommandPool(std::uint32_t io_slots, std::uint32_t admin_slots)
    : commands_(io_slots + admin_slots), io_slots_(io_slots), admin_slots_(admin_slots) {
  for (std::uint32_t i = 0; i < commands_.size(); ++i) commands_[i].index = i;
  free_.reserve(commands_.size());
  link_all();
}

void CommandPool::link_all() {
  free_.clear();
  for (std::size_t i = commands_.size(); i-- > 0;) {
    free_.push_back(static_cast<std::uint32_t>(i));
  }
  io_free_ = io_slots_;
  admin_free_ = admin_slots_;
  in_use_ = 0;
}

Command& CommandPool::take() {
  NVMESIM_ASSERT(!free_.empty(), "a command was taken that nobody reserved");
  Command& command = commands_[free_.back()];
  free_.pop_back();
  ++in_use_;
  command.media_open = command.ended = command.prepared = command.locked = command.twice = false;
  command.status = spec::Status::kSuccess;
  command.dw0 = 0;
  command.pieces_open = command.parts_ready = command.position = 0;
  command.space = nullptr;
  command.next_step = nullptr;
  command.waiter = command.next = command.partner = nullptr;
  command.work = nullptr;
  return command;
}

void CommandPool::release(Command& command) {
  NVMESIM_ASSERT(command.state != CommandState::kFree, "a command was released twice");
  NVMESIM_ASSERT(command.pieces_open == 0 && !command.media_open, "a busy command was released");
  command.state = CommandState::kFree;
  command.staged.reset();
  command.pages.clear();
  for (models::MediaPart& part : command.media.parts) part.data.reset();
  --in_use_;
  free_.push_back(command.index);
  unreserve(command.admin(), 1);
}

bool CommandPool::clean() const {
  if (in_use_ != 0 || io_free_ != io_slots_ || admin_free_ != admin_slots_) return false;
  for (const Command& command : commands_) {
    if (command.state != CommandState::kFree || command.staged || command.media_open) return false;
    for (const models::MediaPart& part : command.media.parts) {
      if (part.data) return false;
    }
  }
  return true;
}

void CommandPool::reset() {
  for (Command& command : commands_) {
    command.state = CommandState::kFree;
    command.pieces_open = 0;
    command.media_open = false;
    command.staged.reset();
    command.pages.clear();
    for (models::MediaPart& part : command.media.parts) part.data.reset();
  }
  link_all();
}

}  // namespace nvmesim::device
