#include "device/block_transfer.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "device/block_layout.hpp"
#include "device/core.hpp"
#include "models/spare.hpp"

namespace nvmesim::device {

using models::kUnitBytes;
using models::MediaOp;
using models::MediaPart;
using models::MediaStatus;
using spec::Status;
using namespace block_layout;

BlockTransfer::BlockTransfer(Core& core) : core_(core) {}

bool BlockTransfer::needed(const Namespace& space) const {
  return !space.format.plain() || core_.config.deallocated_ones || core_.features.dulbe(space.id);
}

BlockWork& BlockTransfer::open(Command& command, BlockMode mode, bool host_image) {
  if (free_.empty()) {
    free_.reserve(works_.size() + 1);
    free_.push_back(&works_.emplace_back());
  }
  BlockWork& work = *free_.back();
  free_.pop_back();
  command.work = &work;
  const BlockFormat& format = command.space->format;
  work.mode = mode;
  work.filling = false;
  work.image_block = work.done_blocks = work.all_blocks = 0;
  work.failure = Status::kSuccess;
  work.protection = protection_fields(command.sqe);
  work.tuple_bytes = format.metadata_bytes;
  work.extended = format.extended;
  // With PRACT and no other metadata none is transferred (8.3.1).
  const bool whole = format.protection_type != 0 && format.metadata_bytes == kProtectionBytes;
  if (host_image && whole && work.protection.action()) work.tuple_bytes = 0;
  return work;
}

void BlockTransfer::close(Command& command) {
  command.work->image.clear();
  command.work->metadata.clear();
  free_.push_back(command.work);
  command.work = nullptr;
}

void BlockTransfer::reset() {
  free_.clear();
  for (BlockWork& work : works_) {
    work.image.clear();
    work.metadata.clear();
    free_.push_back(&work);
  }
}

std::uint64_t BlockTransfer::host_bytes(const Command& command, std::uint64_t blocks) const {
  return blocks * stride_of(command);
}

void BlockTransfer::make_room(Command& command, std::uint64_t blocks) {
  BlockWork& work = *command.work;
  work.image.assign(core_.buffers, blocks * stride_of(command));
  if (!work.extended) work.metadata.assign(core_.buffers, blocks * work.tuple_bytes);
}

void BlockTransfer::map(Command& command, std::uint64_t blocks, Command::Step next) {
  command.work->next = next;
  command.work->all_blocks = blocks;
  core_.prps.map(command, host_bytes(command, blocks), map_metadata_step);
}

void BlockTransfer::map_metadata_step(Core& core, Command& command) {
  BlockWork& work = *command.work;
  core.blocks.make_room(command, work.all_blocks);
  if (work.extended || work.tuple_bytes == 0) {
    work.next(core, command);
  } else {
    core.sgls.map_metadata(command, work.all_blocks * work.tuple_bytes, work.next);
  }
}

void BlockTransfer::fetch(Command& command, std::uint64_t blocks, Command::Step next) {
  BlockWork& work = *command.work;
  command.state = CommandState::kStaged;
  command.record.stamp(base::Stage::kDecode, core_.scheduler.now());
  command.next_step = next;
  work.fetch_blocks = blocks;
  ++command.pieces_open;  // the set-up
  if (core_.dma_setup.present()) {
    core_.dma_setup.enter(base::Callback::of<&BlockTransfer::fetch_now>(this, command.index));
  } else {
    fetch_now(command.index);
  }
}

void BlockTransfer::fetch_now(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  BlockWork& work = *command.work;
  const std::uint64_t blocks = work.fetch_blocks;
  --command.pieces_open;
  if (command.ended) {
    core_.complete_ended(command);
    return;
  }
  const auto read = [&](ChunkList& into, std::uint64_t total, auto&& extent_at) {
    for (std::uint64_t offset = 0; offset != total;) {
      const PrpMap::Extent extent = extent_at(offset);
      const ChunkList::Piece piece = into.piece(offset, std::min(total - offset, extent.bytes));
      ++command.pieces_open;
      core_.port.dma_read(extent.address, {piece.data, piece.bytes}, *piece.keep,
                          base::Callback::of<&BlockTransfer::fetched>(this, command.index));
      offset += piece.bytes;
    }
  };
  const std::uint64_t bytes = host_bytes(command, blocks);
  core_.mover.count_written(bytes);
  read(work.image, bytes, [&](std::uint64_t offset) { return command.extent(offset); });
  if (!work.extended) {
    read(work.metadata, blocks * work.tuple_bytes,
         [&](std::uint64_t offset) { return work.metadata_sgl.at(offset); });
  }
}

void BlockTransfer::fetched(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  --command.pieces_open;
  if (core_.port.dma_status() != pcie::DmaStatus::kOk && !command.ended) {
    command.ended = true;
    command.status = Status::kDataTransferError;
  }
  if (command.pieces_open != 0) return;
  command.record.stamp(base::Stage::kData, core_.scheduler.now());
  if (command.ended) {
    core_.complete_ended(command);
  } else {
    command.next_step(core_, command);
  }
}

void BlockTransfer::start(Command& command, std::uint64_t lba, std::uint64_t blocks, bool durable,
                          Command::Step next) {
  const unsigned shift = command.space->format.block_shift;
  const BlockMode mode = command.work->mode;
  const bool write = mode == BlockMode::kWrite || mode == BlockMode::kZeroes;
  command.work->next = next;
  command.parts_ready = 0;
  core_.mover.prepare_parts(command, write ? MediaOp::kWrite : MediaOp::kRead,
                            command.space->first_byte + (lba << shift), blocks << shift, durable);
  core_.mover.begin_media(command, *this);
}

// One block out of the image, as the media shall have it.
void BlockTransfer::block_of_image(const Command& command, std::uint64_t index, std::byte* data,
                                   std::byte* metadata) const {
  BlockWork& work = *command.work;
  const BlockFormat& format = command.space->format;
  const std::uint64_t block = format.block_bytes();
  std::memset(metadata, 0, models::kSpareSlotBytes);
  if (work.mode == BlockMode::kZeroes) {
    std::memset(data, 0, block);
  } else {
    work.image.get(index * stride_of(command), data, block);
    metadata_list(work).get(metadata_place(command, index), metadata, work.tuple_bytes);
  }
  if (format.protection_type != 0 && work.protection.action()) {
    make_protection(format, work.protection, {data, block}, metadata, index);
  }
}

Status BlockTransfer::check_image(Command& command, std::uint64_t blocks) const {
  const BlockFormat& format = command.space->format;
  const ProtectionFields& fields = command.work->protection;
  if (format.protection_type == 0 || fields.action() || !core_.keep_data) return Status::kSuccess;
  std::array<std::byte, kUnitBytes> data;
  std::array<std::byte, models::kSpareSlotBytes> metadata;
  for (std::uint64_t i = 0; i < blocks; ++i) {
    block_of_image(command, i, data.data(), metadata.data());
    const Status status =
        check_protection(format, fields, {data.data(), format.block_bytes()}, metadata.data(), i);
    if (status != Status::kSuccess) return status;
  }
  return Status::kSuccess;
}

void BlockTransfer::media_ready(MediaPart& part) {
  Command& command = owner_of(*part.command);
  BlockWork& work = *command.work;
  if (part.command->op == MediaOp::kRead) {
    take_part(command, part);
    return;
  }
  // The medium may be in the middle of granting: its parts are filled from an entry.
  part.client_data = 1;
  if (work.filling) return;
  work.filling = true;
  ++command.pieces_open;
  command.timer =
      core_.scheduler.at<&BlockTransfer::fill_parts>(core_.scheduler.now(), this, command.index);
}

void BlockTransfer::fill_parts(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  command.work->filling = false;
  --command.pieces_open;
  if (!command.ended && command.media_open) {
    for (MediaPart& part : command.media.parts) {
      if (part.client_data == 0) continue;
      part.client_data = 0;
      fill(command, part);
      core_.media.write_arrived(part);
    }
  }
  if (command.pieces_open == 0 && !command.media_open) finish(command);
}

void BlockTransfer::fill(Command& command, MediaPart& part) {
  if (!part.data) return;  // the run keeps no data
  const BlockFormat& format = command.space->format;
  std::array<std::byte, models::kSpareSlotBytes> metadata;
  std::byte* unit = part.data->data();
  std::uint64_t index = command.work->image_block + first_block(command, part);
  const auto block = static_cast<std::uint32_t>(format.block_bytes());
  for (std::uint32_t at = part.offset; at < part.offset + part.bytes; at += block, ++index) {
    block_of_image(command, index, unit + at, metadata.data());
    if (!core_.keep_spare) continue;
    std::memcpy(models::metadata_slot(unit, at), metadata.data(), metadata.size());
    models::mark_written(unit, at, block);
  }
}

}  // namespace nvmesim::device
