// The part of BlockTransfer that looks at blocks which the media gave: checks, compares, sends.
#include <algorithm>
#include <array>
#include <cstring>

#include "device/block_layout.hpp"
#include "device/block_transfer.hpp"
#include "device/core.hpp"
#include "models/spare.hpp"

namespace nvmesim::device {

using models::kUnitBytes;
using models::MediaOp;
using models::MediaPart;
using models::MediaStatus;
using spec::Status;
using namespace block_layout;

// A block as the media gave it.
struct BlockTransfer::Block {
  std::uint64_t index = 0;  // in the command
  const std::byte* data = nullptr;
  const std::byte* metadata = nullptr;
  bool written = false;
};

namespace {
constexpr std::byte kOnes{0xFF};
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
  if (work.mode != BlockMode::kRead || work.failure != Status::kSuccess) return;
  if (core_.dma_setup.present()) {
    ++command.pieces_open;
    core_.dma_setup.enter(
        base::Callback::of<&BlockTransfer::set_up>(this, reinterpret_cast<std::uint64_t>(&part)));
  } else {
    send(command, part);
  }
}

void BlockTransfer::set_up(std::uint64_t part_address) {
  MediaPart& part = *reinterpret_cast<MediaPart*>(part_address);
  Command& command = owner_of(*part.command);
  --command.pieces_open;
  if (!command.ended) send(command, part);
  if (command.pieces_open == 0 && !command.media_open) finish(command);
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

void BlockTransfer::send(Command& command, MediaPart& part) {
  BlockWork& work = *command.work;
  const std::uint64_t first = work.image_block + first_block(command, part);
  const std::uint64_t blocks = part.bytes / command.space->format.block_bytes();
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
  if (++command.parts_ready == command.media.parts.size()) core_.poster.prepare(command);
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
