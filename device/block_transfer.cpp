#include "device/block_transfer.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "device/core.hpp"
#include "models/spare.hpp"

namespace nvmesim::device {

using models::kUnitBytes;
using models::MediaOp;
using models::MediaPart;
using models::MediaStatus;
using spec::Status;

// A block as the media gave it.
struct BlockTransfer::Block {
  std::uint64_t index = 0;  // in the command
  const std::byte* data = nullptr;
  const std::byte* metadata = nullptr;
  bool written = false;
};

namespace {

constexpr std::byte kOnes{0xFF};

std::uint64_t stride_of(const Command& command) {
  const BlockWork& work = *command.work;
  return command.space->format.block_bytes() + (work.extended ? work.tuple_bytes : 0);
}

// Where the block's metadata is: in the image or in its own list.
ChunkList& metadata_list(BlockWork& work) {
  return work.extended ? work.image : work.metadata;
}
std::uint64_t metadata_place(const Command& command, std::uint64_t index) {
  const BlockWork& work = *command.work;
  if (!work.extended) return index * work.tuple_bytes;
  return index * stride_of(command) + command.space->format.block_bytes();
}

// First block of a part, counted from the first block of the media operation.
std::uint64_t first_block(const Command& command, const MediaPart& part) {
  const std::uint64_t byte = part.unit.value() * kUnitBytes + part.offset;
  return (byte - command.media.first_byte) >> command.space->format.block_shift;
}

}  // namespace

const char* rule_of_data_error(Status status) {
  switch (status) {
    case Status::kGuardCheckError:
      return "the guard does not fit the data";
    case Status::kApplicationTagCheckError:
      return "the application tag is not the one expected";
    case Status::kReferenceTagCheckError:
      return "the reference tag is not the one expected";
    case Status::kCompareFailure:
      return "the data of host and media differ";
    case Status::kDeallocatedBlock:
      return "a block that was never written or is deallocated, and DULBE is set";
    default:
      return "the media could not read or write a unit";
  }
}

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

void BlockTransfer::take_part(Command& command, MediaPart& part) {
  BlockWork& work = *command.work;
  const BlockFormat& format = command.space->format;
  const auto block_bytes = static_cast<std::uint32_t>(format.block_bytes());
  const std::uint64_t first = work.image_block + first_block(command, part);
  const std::uint64_t blocks = part.bytes / block_bytes;
  const std::byte* unit = part.data ? part.data->data() : nullptr;
  std::array<std::byte, kUnitBytes> filler;
  std::array<std::byte, models::kSpareSlotBytes> tuple;
  const std::byte unwritten = core_.config.deallocated_ones ? kOnes : std::byte{0};
  filler.fill(unwritten);
  tuple.fill(unwritten);
  if (format.protection_type != 0) {
    std::memset(tuple.data() + format.protection_offset(), 0xFF, kProtectionBytes);
  }
  for (std::uint64_t i = 0; i < blocks && work.failure == Status::kSuccess; ++i) {
    const auto at = static_cast<std::uint32_t>(part.offset + i * block_bytes);
    Block block{first + i, filler.data(), tuple.data(), false};
    if (unit != nullptr && (!core_.keep_spare || models::written_mark(unit, at) != std::byte{0})) {
      block.written = true;
      block.data = unit + at;
      if (core_.keep_spare) block.metadata = models::metadata_slot(unit, at);
    }
    work.failure = take_block(command, block);
  }
  if (work.mode == BlockMode::kRead && work.failure == Status::kSuccess) {
    send(command, part, first, blocks);
    if (++command.parts_ready == command.media.parts.size()) core_.poster.prepare(command);
  }
}

Status BlockTransfer::take_block(Command& command, const Block& block) {
  BlockWork& work = *command.work;
  if (!core_.keep_data) return Status::kSuccess;  // there is nothing to look at
  const BlockFormat& format = command.space->format;
  if (!block.written && core_.features.dulbe(command.space->id)) return Status::kDeallocatedBlock;
  if (block.written && format.protection_type != 0) {
    const Status status = check_protection(
        format, work.protection, {block.data, format.block_bytes()}, block.metadata, block.index);
    if (status != Status::kSuccess) return status;
  }
  if (work.mode == BlockMode::kVerify) return Status::kSuccess;
  if (work.mode == BlockMode::kCompare) {
    return equal(command, block) ? Status::kSuccess : Status::kCompareFailure;
  }
  work.image.put(block.index * stride_of(command), block.data, format.block_bytes());
  metadata_list(work).put(metadata_place(command, block.index), block.metadata, work.tuple_bytes);
  return Status::kSuccess;
}

// Data and metadata, but not protection information: that is checked, not compared.
bool BlockTransfer::equal(const Command& command, const Block& block) const {
  BlockWork& work = *command.work;
  const BlockFormat& format = command.space->format;
  std::array<std::byte, kUnitBytes> data;
  work.image.get(block.index * stride_of(command), data.data(), format.block_bytes());
  if (std::memcmp(data.data(), block.data, format.block_bytes()) != 0) return false;
  if (work.tuple_bytes == 0) return true;
  std::array<std::byte, models::kSpareSlotBytes> given;
  std::array<std::byte, models::kSpareSlotBytes> kept;
  metadata_list(work).get(metadata_place(command, block.index), given.data(), work.tuple_bytes);
  std::memcpy(kept.data(), block.metadata, work.tuple_bytes);
  if (format.protection_type != 0) {
    std::memset(given.data() + format.protection_offset(), 0, kProtectionBytes);
    std::memset(kept.data() + format.protection_offset(), 0, kProtectionBytes);
  }
  return std::memcmp(given.data(), kept.data(), work.tuple_bytes) == 0;
}

void BlockTransfer::send(Command& command, MediaPart& part, std::uint64_t first,
                         std::uint64_t blocks) {
  BlockWork& work = *command.work;
  pcie::FunctionPort::WriteOptions options;
  options.deferrable = true;
  options.dataless = !core_.keep_data;
  const auto write = [&](const ChunkList& from, std::uint64_t offset, std::uint64_t left,
                         auto&& extent_at) {
    while (left != 0) {
      const PrpMap::Extent extent = extent_at(offset);
      const ChunkList::Piece piece = from.piece(offset, std::min(left, extent.bytes));
      if (!extent.discard) {
        ++part.client_data;
        ++command.pieces_open;
        core_.port.dma_write(
            extent.address, {piece.data, piece.bytes}, *piece.keep, options,
            base::Callback::of<&BlockTransfer::sent>(this, reinterpret_cast<std::uint64_t>(&part)));
      }
      offset += piece.bytes;
      left -= piece.bytes;
    }
  };
  const std::uint64_t stride = stride_of(command);
  core_.mover.count_read(blocks * stride);
  write(work.image, first * stride, blocks * stride,
        [&](std::uint64_t offset) { return command.extent(offset); });
  if (!work.extended) {
    write(work.metadata, first * work.tuple_bytes, blocks * work.tuple_bytes,
          [&](std::uint64_t offset) { return work.metadata_sgl.at(offset); });
  }
}

void BlockTransfer::sent(std::uint64_t part_address) {
  MediaPart& part = *reinterpret_cast<MediaPart*>(part_address);
  Command& command = owner_of(*part.command);
  --command.pieces_open;
  if (--part.client_data == 0 && !command.ended) {
    part.stages.stamp(base::Stage::kData, core_.scheduler.now());
  }
  if (command.pieces_open == 0 && !command.media_open) finish(command);
}

void BlockTransfer::media_done(models::MediaCommand& media, MediaStatus status) {
  Command& command = owner_of(media);
  command.media_open = false;
  if (status != MediaStatus::kOk) {
    command.work->failure = status_of(status, media.op);
    core_.health.count_media_error();
  }
  if (command.pieces_open == 0) finish(command);
}

void BlockTransfer::finish(Command& command) {
  if (command.ended) {
    core_.complete(command, command.status);
    return;
  }
  core_.mover.append_stages(command);
  BlockWork& work = *command.work;
  if (work.failure != Status::kSuccess) {
    core_.reject(command, work.failure, rule_of_data_error(work.failure), "8.3");
    return;
  }
  const models::MediaCommand& media = command.media;
  if (media.op == MediaOp::kWrite && !core_.bad_blocks.empty()) {
    core_.bad_blocks.clear(media.first_byte, media.bytes);
  }
  if (work.next != nullptr) {
    work.next(core_, command);
    return;
  }
  core_.health.count_transfer(media.op, media.bytes);
  core_.complete(command, Status::kSuccess);
}

}  // namespace nvmesim::device
