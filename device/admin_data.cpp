#include "device/admin_data.hpp"

#include <algorithm>
#include <cstring>

#include "device/core.hpp"

namespace nvmesim::device {

using models::kUnitBytes;
using spec::Status;

void AdminData::send(Command& command, std::span<const std::byte> data, std::uint64_t total) {
  command.state = CommandState::kStaged;
  command.record.stamp(base::Stage::kDecode, core_.scheduler.now());
  command.next_step = nullptr;
  base::BufferRef zeroes;
  for (std::uint64_t start = 0; start < total; start += kUnitBytes) {
    const std::uint64_t end = std::min<std::uint64_t>(total, start + kUnitBytes);
    const std::uint64_t filled =
        start < data.size() ? std::min<std::uint64_t>(data.size() - start, kUnitBytes) : 0;
    base::BufferRef buffer = filled == 0 ? zeroes : base::BufferRef();
    if (!buffer) {
      buffer = core_.buffers.take();
      std::memset(buffer->data(), 0, kUnitBytes);
      if (filled != 0) std::memcpy(buffer->data(), data.data() + start, filled);
      if (filled == 0) zeroes = buffer;
    }
    for (std::uint64_t offset = start; offset != end;) {
      const PrpMap::Extent extent = command.prps.at(offset);
      const std::uint64_t bytes = std::min(end - offset, extent.bytes);
      ++command.pieces_open;
      core_.port.dma_write(extent.address, {buffer->data() + (offset - start), bytes}, buffer, {},
                           base::Callback::of<&AdminData::sent>(this, command.index));
      offset += bytes;
    }
  }
  core_.poster.prepare(command);
}

void AdminData::sent(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  if (--command.pieces_open != 0) return;
  command.record.stamp(base::Stage::kData, core_.scheduler.now());
  core_.complete(command, command.status, command.dw0);
}

void AdminData::receive(Command& command, std::uint32_t bytes, Command::Step then) {
  command.then = then;
  command.data_bytes = bytes;
  core_.prps.map(command, bytes, begin_receive);
}

void AdminData::begin_receive(Core& core, Command& command) {
  command.state = CommandState::kStaged;
  command.record.stamp(base::Stage::kDecode, core.scheduler.now());
  command.pages.resize(base::ceil_div(command.data_bytes, kUnitBytes));
  for (base::BufferRef& page : command.pages) page = core.buffers.take();
  for (std::uint64_t offset = 0; offset != command.data_bytes;) {
    const PrpMap::Extent extent = command.prps.at(offset);
    const std::uint64_t in_page = offset % kUnitBytes;
    const std::uint64_t bytes =
        std::min({command.data_bytes - offset, extent.bytes, kUnitBytes - in_page});
    const base::BufferRef& page = command.pages[offset / kUnitBytes];
    ++command.pieces_open;
    core.port.dma_read(extent.address, {page->data() + in_page, bytes}, page,
                       base::Callback::of<&AdminData::arrived>(&core.admin_data, command.index));
    offset += bytes;
  }
}

void AdminData::arrived(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  --command.pieces_open;
  if (core_.port.dma_status() != pcie::DmaStatus::kOk && !command.ended) {
    core_.report("command data could not be read from host memory", "4.3");
    command.ended = true;
    command.status = Status::kDataTransferError;
  }
  if (command.pieces_open != 0) return;
  command.record.stamp(base::Stage::kData, core_.scheduler.now());
  if (command.ended) {
    core_.complete(command, command.status);
  } else {
    command.then(core_, command);
  }
}

std::vector<std::byte> AdminData::received(const Command& command) {
  std::vector<std::byte> data(command.data_bytes);
  for (std::size_t i = 0; i < command.pages.size(); ++i) {
    const std::size_t start = i * kUnitBytes;
    std::memcpy(data.data() + start, command.pages[i]->data(),
                std::min<std::size_t>(data.size() - start, kUnitBytes));
  }
  return data;
}

}  // namespace nvmesim::device
