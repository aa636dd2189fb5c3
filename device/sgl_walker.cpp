#include "device/sgl_walker.hpp"

#include <algorithm>
#include <cstring>

#include "device/core.hpp"

namespace nvmesim::device {

using spec::SglDescriptor;
using spec::Status;

namespace {

const char* rule_of(Status status) {
  switch (status) {
    case Status::kInvalidSglSegment:
      return "SGL segment with a wrong length, address or place";
    case Status::kInvalidSglCount:
      return "SGL segment descriptor before the end of its segment, or too many descriptors";
    case Status::kSglTypeInvalid:
      return "SGL descriptor type or subtype that is not supported";
    case Status::kSglGranularityInvalid:
      return "SGL data block that is not made of dwords";
    default:
      return "the SGL describes more or less than the command transfers";
  }
}

}  // namespace

SglMap::Rules SglWalker::rules_of(const Command& command, bool metadata) const {
  constexpr unsigned kToHost = 2;  // opcode bits 1:0
  return {(command.sqe.opc & 3) == kToHost, metadata, core_.config.sgls == spec::kSglsDwordAligned,
          core_.config.sgl_max_descriptors};
}

SglMap& SglWalker::map_of(Command& command) {
  return command.sgl_of_metadata ? command.work->metadata_sgl : command.sgl;
}

void SglWalker::map(Command& command, std::uint64_t bytes, Command::Step next) {
  command.next_step = next;
  command.sgl_of_metadata = false;
  SglDescriptor first;
  std::memcpy(&first, &command.sqe.prp1, sizeof first);
  go_on(command, command.sgl.begin(first, bytes, rules_of(command, false)));
}

void SglWalker::map_metadata(Command& command, std::uint64_t bytes, Command::Step next) {
  command.next_step = next;
  command.sgl_of_metadata = true;
  BlockWork& work = *command.work;
  const std::uint64_t mptr = command.sqe.mptr;
  if (command.sqe.psdt() != spec::kPsdtSglMetadata) {
    if ((mptr & 3) != 0) {
      core_.reject(command, Status::kInvalidField, "MPTR is not aligned to a dword", "4.2");
      return;
    }
    work.metadata_bytes_mapped = bytes;
    const SglDescriptor block =
        spec::sgl_descriptor(spec::SglType::kDataBlock, mptr, static_cast<std::uint32_t>(bytes));
    go_on(command, work.metadata_sgl.begin(block, bytes, rules_of(command, true)));
    return;
  }
  if ((mptr & 7) != 0) {
    core_.reject(command, Status::kInvalidSglSegment, "MPTR is not aligned to a qword", "4.2");
    return;
  }
  work.metadata_bytes_mapped = bytes;
  fetch(command, {mptr, sizeof(SglDescriptor)},
        base::Callback::of<&SglWalker::metadata_descriptor_arrived>(this, command.index));
}

void SglWalker::go_on(Command& command, Status status) {
  if (status != Status::kSuccess) {
    core_.reject(command, status, rule_of(status), "4.4");
    return;
  }
  const SglMap& map = map_of(command);
  if (map.complete()) {
    command.staged.reset();
    if (!command.sgl_of_metadata && core_.local &&
        !core_.memory.data_ok(command, command.mapped_bytes)) {
      core_.reject(command, Status::kInvalidUseOfCmb, "CMBSZ does not allow data there", "4.7");
      return;
    }
    command.next_step(core_, command);
    return;
  }
  if (!core_.memory.list_ok(map.next_fetch().address)) {
    core_.reject(command, Status::kInvalidUseOfCmb, "CMBSZ does not allow lists there", "4.7");
    return;
  }
  fetch(command, map.next_fetch(), base::Callback::of<&SglWalker::arrived>(this, command.index));
}

// At most two requests: what lies across a page boundary is a single descriptor.
void SglWalker::fetch(Command& command, const PrpMap::Fetch& wanted, base::Callback done) {
  command.state = CommandState::kPrpList;
  if (!command.staged) command.staged = core_.buffers.take();
  std::uint64_t address = wanted.address;
  std::uint32_t offset = 0;
  while (offset != wanted.bytes) {
    const std::uint64_t in_page = models::kUnitBytes - address % models::kUnitBytes;
    const auto bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted.bytes - offset, in_page));
    ++command.pieces_open;
    ++segment_reads_;
    core_.port.dma_read(address, {command.staged->data() + offset, bytes}, command.staged, done);
    address += bytes;
    offset += bytes;
  }
}

// False while the other half is missing, and when the command has come to an end.
bool SglWalker::piece_ok(Command& command) {
  --command.pieces_open;
  if (core_.port.dma_status() != pcie::DmaStatus::kOk && !command.ended) {
    command.ended = true;
    command.status = Status::kDataTransferError;
  }
  if (command.pieces_open != 0) return false;
  if (!command.ended) return true;
  core_.complete_ended(command);
  return false;
}

void SglWalker::arrived(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  if (!piece_ok(command)) return;
  SglMap& map = map_of(command);
  const auto* descriptors = reinterpret_cast<const SglDescriptor*>(command.staged->data());
  go_on(command, map.take({descriptors, map.next_fetch().bytes / sizeof(SglDescriptor)}));
}

void SglWalker::metadata_descriptor_arrived(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  if (!piece_ok(command)) return;
  SglDescriptor first;
  std::memcpy(&first, command.staged->data(), sizeof first);
  BlockWork& work = *command.work;
  go_on(command,
        work.metadata_sgl.begin(first, work.metadata_bytes_mapped, rules_of(command, true)));
}

}  // namespace nvmesim::device
