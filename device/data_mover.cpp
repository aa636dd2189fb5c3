#include "device/data_mover.hpp"

#include <algorithm>
#include <cstring>

#include "device/core.hpp"
#include "models/spare.hpp"

namespace nvmesim::device {

using models::kUnitBytes;
using models::MediaOp;
using models::MediaPart;
using models::MediaStatus;
using spec::Status;

namespace {

// Where a part begins in the transfer: all parts but the first and last are whole units.
std::uint64_t transfer_offset(const Command& command, const MediaPart& part) {
  const auto index = static_cast<std::uint64_t>(&part - command.media.parts.data());
  return index == 0 ? 0 : command.media.parts[0].bytes + (index - 1) * kUnitBytes;
}

}  // namespace

Status status_of(MediaStatus status, MediaOp op) {
  if (status == MediaStatus::kOk) return Status::kSuccess;
  if (status == MediaStatus::kNoSpace) return Status::kWriteFault;
  return op == MediaOp::kRead ? Status::kUnrecoveredReadError : Status::kWriteFault;
}

DataMover::DataMover(Core& core)
    : core_(core), zeroes_(core.buffers.take()), scratch_(core.buffers.take()) {
  std::memset(zeroes_->data(), 0, kUnitBytes);
}

void DataMover::begin_media(Command& command, models::MediaClient& client) {
  command.media.client = &client;
  command.media.client_data = reinterpret_cast<std::uint64_t>(&command);
  command.state = CommandState::kMedia;
  command.media_open = true;
  command.record.stamp(base::Stage::kDecode, core_.scheduler.now());
  core_.media.start(command.media);
}

void DataMover::start_transfer(Command& command, MediaOp op, std::uint64_t first_byte,
                               std::uint64_t bytes, bool force_unit_access) {
  prepare_parts(command, op, first_byte, bytes, force_unit_access);
  begin_media(command, *this);
}

void DataMover::prepare_parts(Command& command, MediaOp op, std::uint64_t first_byte,
                              std::uint64_t bytes, bool force_unit_access) {
  models::MediaCommand& media = command.media;
  media.op = op;
  media.first_byte = first_byte;
  media.bytes = bytes;
  media.force_unit_access = force_unit_access;
  media.limited_retry = op == MediaOp::kRead && spec::RwControl{command.sqe.cdw12}.lr();
  if (op == MediaOp::kWrite && core_.config.management.streams != 0) [[unlikely]] {
    media.stream = core_.directives.stream_of(command);
  }
  std::uint64_t unit = first_byte / kUnitBytes;
  auto offset = static_cast<std::uint32_t>(first_byte % kUnitBytes);
  if ((first_byte | bytes) % kUnitBytes != 0) core_.health.count_unaligned();
  media.parts.resize((offset + bytes + kUnitBytes - 1) / kUnitBytes);
  for (MediaPart& part : media.parts) {
    part.command = &media;
    part.unit = models::UnitId(unit++);
    part.offset = offset;
    part.bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(kUnitBytes - offset, bytes));
    part.client_data = 0;
    bytes -= part.bytes;
    offset = 0;
  }
}

void DataMover::start_operation(Command& command, MediaOp op, std::uint64_t first_byte,
                                std::uint64_t bytes, bool force_unit_access, Command::Step next) {
  command.media.op = op;
  command.media.first_byte = first_byte;
  command.media.bytes = bytes;
  command.media.force_unit_access = force_unit_access;
  command.media.parts.clear();
  command.next_step = next;
  begin_media(command, *this);
}

void DataMover::media_ready(MediaPart& part) {
  Command& command = owner_of(*part.command);
  if (core_.dma_setup.present()) [[unlikely]] {
    ++command.pieces_open;
    core_.dma_setup.enter(
        base::Callback::of<&DataMover::set_up>(this, reinterpret_cast<std::uint64_t>(&part)));
    return;
  }
  move(command, part);
}

void DataMover::set_up(std::uint64_t part_address) {
  MediaPart& part = *reinterpret_cast<MediaPart*>(part_address);
  Command& command = owner_of(*part.command);
  --command.pieces_open;
  // The media takes no data any more if it has ended meanwhile.
  const bool wanted = !command.ended && (part.command->op == MediaOp::kRead || command.media_open);
  if (wanted) move(command, part);
  piece_ended(command);
}

void DataMover::move(Command& command, MediaPart& part) {
  if (part.command->op == MediaOp::kRead) {
    send_part(command, part);
  } else {
    fetch_part(command, part);
  }
  // The completion entry is built while the last data is on its way.
  if (++command.parts_ready == command.media.parts.size()) core_.poster.prepare(command);
}

void DataMover::send_part(Command& command, MediaPart& part) {
  const base::BufferRef& buffer = part.data ? part.data : zeroes_;
  const std::byte* from = buffer->data() + part.offset;
  std::uint64_t offset = transfer_offset(command, part);
  std::uint64_t left = part.bytes;
  pcie::FunctionPort::WriteOptions options;
  options.deferrable = true;  // the host looks at the data only behind the completion entry
  options.dataless = !core_.keep_data;
  read_bytes_ += left;
  while (left != 0) {
    const PrpMap::Extent extent = command.extent(offset);
    const std::uint64_t bytes = std::min(left, extent.bytes);
    if (!extent.discard) [[likely]] {
      ++part.client_data;
      ++command.pieces_open;
      core_.port.dma_write(
          extent.address, {from, bytes}, buffer, options,
          base::Callback::of<&DataMover::sent>(this, reinterpret_cast<std::uint64_t>(&part)));
    }
    from += bytes;
    offset += bytes;
    left -= bytes;
  }
}

void DataMover::fetch_part(Command& command, MediaPart& part) {
  const base::BufferRef& buffer = part.data ? part.data : scratch_;
  std::byte* into = buffer->data() + part.offset;
  std::uint64_t offset = transfer_offset(command, part);
  std::uint64_t left = part.bytes;
  written_bytes_ += left;
  while (left != 0) {
    const PrpMap::Extent extent = command.extent(offset);
    const std::uint64_t bytes = std::min(left, extent.bytes);
    ++part.client_data;
    ++command.pieces_open;
    core_.port.dma_read(
        extent.address, {into, bytes}, buffer,
        base::Callback::of<&DataMover::arrived>(this, reinterpret_cast<std::uint64_t>(&part)));
    into += bytes;
    offset += bytes;
    left -= bytes;
  }
}

void DataMover::sent(std::uint64_t part_address) {
  MediaPart& part = *reinterpret_cast<MediaPart*>(part_address);
  Command& command = owner_of(*part.command);
  --command.pieces_open;
  if (--part.client_data == 0 && !command.ended) {
    part.stages.stamp(base::Stage::kData, core_.scheduler.now());
  }
  piece_ended(command);
}

void DataMover::arrived(std::uint64_t part_address) {
  MediaPart& part = *reinterpret_cast<MediaPart*>(part_address);
  Command& command = owner_of(*part.command);
  --command.pieces_open;
  --part.client_data;
  if (core_.port.dma_status() != pcie::DmaStatus::kOk && !command.ended) {
    core_.report("write data could not be read from host memory", "4.3");
    core_.end_media(command, Status::kDataTransferError);
  }
  if (part.client_data == 0 && !command.ended) {
    part.stages.stamp(base::Stage::kData, core_.scheduler.now());
    if (core_.keep_spare && part.data) [[unlikely]] {
      models::mark_written(part.data->data(), part.offset, part.bytes);
    }
    core_.media.write_arrived(part);
  }
  piece_ended(command);
}

void DataMover::piece_ended(Command& command) {
  if (command.pieces_open == 0 && !command.media_open && command.state == CommandState::kMedia) {
    finish(command);
  }
}

void DataMover::media_done(models::MediaCommand& media, MediaStatus status) {
  Command& command = owner_of(media);
  command.media_open = false;
  if (status != MediaStatus::kOk) {
    command.status = status_of(status, media.op);
    if (sct_of(command.status) == spec::kSctMedia) core_.health.count_media_error();
  }
  if (command.pieces_open == 0) finish(command);
}

// Media and pieces are done.
void DataMover::finish(Command& command) {
  if (command.ended) {  // cancelled: what its parts did until then has no meaning
    core_.complete(command, command.status);
    return;
  }
  append_stages(command);
  if (command.media.parts.empty()) {
    if (command.next_step != nullptr && command.status == Status::kSuccess) {
      command.next_step(core_, command);
      return;
    }
  } else if (command.status == Status::kSuccess) {
    core_.health.count_transfer(command.media.op, command.media.bytes);
    if (!core_.bad_blocks.empty() && command.media.op == MediaOp::kWrite) [[unlikely]] {
      core_.bad_blocks.clear(command.media.first_byte, command.media.bytes);
    }
  }
  core_.complete(command, command.status);
}

void DataMover::append_stages(Command& command) {
  if (command.media.parts.empty()) {
    command.record.append(command.media.stages);
    return;
  }
  const base::StageRecord* last = &command.media.parts.front().stages;
  for (const MediaPart& part : command.media.parts) {
    if (part.stages.last() >= last->last()) last = &part.stages;
  }
  if (last->last() <= core_.scheduler.now()) command.record.append(*last);
}

void DataMover::send_staged(Command& command, std::uint64_t total) {
  command.state = CommandState::kStaged;
  command.record.stamp(base::Stage::kDecode, core_.scheduler.now());
  command.next_step = nullptr;
  std::uint64_t offset = 0;
  while (offset != total) {
    const base::BufferRef& buffer = offset < kUnitBytes ? command.staged : zeroes_;
    const std::uint64_t in_buffer = offset % kUnitBytes;
    const PrpMap::Extent extent = command.extent(offset);
    const std::uint64_t bytes = std::min({total - offset, extent.bytes, kUnitBytes - in_buffer});
    if (!extent.discard) {
      ++command.pieces_open;
      core_.port.dma_write(extent.address, {buffer->data() + in_buffer, bytes}, buffer, {},
                           base::Callback::of<&DataMover::staged_moved>(this, command.index));
    }
    offset += bytes;
  }
  if (command.pieces_open == 0) {  // all of it went into bit buckets
    core_.complete(command, command.status, command.dw0);
    return;
  }
  core_.poster.prepare(command);
}

void DataMover::receive_staged(Command& command, std::uint32_t bytes, Command::Step next) {
  command.state = CommandState::kStaged;
  command.record.stamp(base::Stage::kDecode, core_.scheduler.now());
  command.next_step = next;
  command.staged = core_.buffers.take();
  std::uint64_t offset = 0;
  while (offset != bytes) {
    const PrpMap::Extent extent = command.extent(offset);
    const std::uint64_t piece = std::min(bytes - offset, extent.bytes);
    ++command.pieces_open;
    core_.port.dma_read(extent.address, {command.staged->data() + offset, piece}, command.staged,
                        base::Callback::of<&DataMover::staged_moved>(this, command.index));
    offset += piece;
  }
}

void DataMover::staged_moved(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  --command.pieces_open;
  if (core_.port.dma_status() != pcie::DmaStatus::kOk && !command.ended &&
      command.next_step != nullptr) {
    command.ended = true;
    command.status = Status::kDataTransferError;
  }
  if (command.pieces_open != 0) return;
  command.record.stamp(base::Stage::kData, core_.scheduler.now());
  if (command.ended) {
    core_.complete_ended(command);
  } else if (command.next_step == nullptr) {
    core_.complete(command, command.status, command.dw0);
  } else {
    command.next_step(core_, command);
  }
}

}  // namespace nvmesim::device
