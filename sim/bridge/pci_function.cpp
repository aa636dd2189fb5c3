#include "sim/bridge/pci_function.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/bridge/guest/run_marks.hpp"

namespace nvmesim::bridge {
namespace {

constexpr std::uint64_t kBar0 = 0x10;
constexpr std::uint64_t kBarsEnd = 0x28;
constexpr std::uint32_t kMostBytes = 4096;  // of one access

// The next piece of [address, address + bytes) that one request may carry: naturally aligned, at
// most 4 bytes.
std::size_t piece(std::uint64_t address, std::size_t bytes) {
  std::size_t size = 4;
  while (address % size != 0 || size > bytes) size /= 2;
  return size;
}

// No command is longer than `most`.
void copy_out(std::span<const std::span<std::byte>> pieces, std::size_t most,
              std::vector<std::byte>& to) {
  to.clear();
  for (const auto& one : pieces) {
    if (one.size() > most - to.size()) throw PeerError("the kernel sent a PCI command without end");
    to.insert(to.end(), one.begin(), one.end());
  }
}

}  // namespace

PciFunction::PciFunction(sc_core::sc_module_name name, base::Scheduler& scheduler)
    : sc_core::sc_module(name), bus("bus", this, scheduler), scheduler_(scheduler) {}

void PciFunction::connect(const pcie::FunctionInfo& function, VhostUserServer& server) {
  function_ = function;
  server_ = &server;
  for (unsigned i = 0; i < bars_.size(); ++i) {
    const pcie::BarInfo& bar = function.bars[i];
    if (bar.bytes == 0) continue;
    bars_[i] = static_cast<std::uint32_t>(bar.address);
    if (bar.is_64bit) bars_[i + 1] = static_cast<std::uint32_t>(bar.address >> 32);
  }
}

void PciFunction::take() {
  while (!busy_) {
    auto chain = server_->queue(0).pop(server_->memory());
    if (!chain) return;
    busy_ = true;
    if (!start(std::move(*chain))) finish();
  }
}

// False if the command is done with: nothing has to be waited for.
bool PciFunction::start(VirtqueueChain chain) {
  chain_ = std::move(chain);
  copy_out(chain_.readable, sizeof(PcidevHeader) + kMostBytes, input_);
  output_.clear();
  PcidevHeader header;
  if (input_.size() < sizeof header) throw PeerError("the kernel sent half a PCI command");
  std::memcpy(&header, input_.data(), sizeof header);
  input_.erase(input_.begin(), input_.begin() + sizeof header);
  const auto op = static_cast<PcidevOp>(header.op);
  if (header.size == 0 || header.size > kMostBytes || header.bar >= bars_.size() ||
      header.address > ~std::uint64_t{0} - kMostBytes) {
    throw PeerError("the kernel sent a PCI command that makes no sense");
  }
  if (watch_) watch_(op, header);
  switch (op) {
    case PcidevOp::kConfigRead:
      start_read(header, pcie::TlpKind::kConfig0, header.address);
      return true;
    case PcidevOp::kMmioRead:
      start_read(header, pcie::TlpKind::kMemory, bar_address(header.bar) + header.address);
      return true;
    case PcidevOp::kConfigWrite:
      write(header, pcie::TlpKind::kConfig0, header.address);
      return true;
    case PcidevOp::kMmioWrite:
      write(header, pcie::TlpKind::kMemory, bar_address(header.bar) + header.address);
      return false;
    case PcidevOp::kMmioSet:
      input_.assign(header.size, input_.empty() ? std::byte{0} : input_.front());
      write(header, pcie::TlpKind::kMemory, bar_address(header.bar) + header.address);
      return false;
    default:
      throw PeerError(fmt::format("the kernel sent PCI command {}, which is none", header.op));
  }
}

void PciFunction::start_read(const PcidevHeader& header, pcie::TlpKind kind,
                             std::uint64_t address) {
  ++reads_;
  output_.assign(header.size, std::byte{0xFF});
  std::size_t done = 0;
  // All before the first completion, which never comes inside the call.
  while (done < header.size) {
    const std::size_t bytes = piece(address + done, header.size - done);
    const std::uint32_t none = ~std::uint32_t{0};
    pcie::TlpPayload* tlp =
        make(kind, tlm::TLM_READ_COMMAND, function_.id, address + done, &none, bytes);
    tlp->tag = done;
    ++open_;
    done += bytes;
    bus.request(*tlp);
  }
}

void PciFunction::write(const PcidevHeader& header, pcie::TlpKind kind, std::uint64_t address) {
  ++writes_;
  if (input_.size() < header.size) throw PeerError("the kernel sent a PCI write without its data");
  const bool configuration = kind == pcie::TlpKind::kConfig0;
  const auto data = std::span<const std::byte>(input_).first(header.size);
  if (configuration) {
    config_written(header.address, data);
  } else if (header.bar == 0 && commands_ != nullptr) {
    commands_->register_written(header.address, data);
  }
  std::size_t done = 0;
  while (done < data.size()) {
    const std::size_t bytes = piece(address + done, data.size() - done);
    pcie::TlpPayload* tlp =
        make(kind, tlm::TLM_WRITE_COMMAND, function_.id, address + done, data.data() + done, bytes);
    if (configuration) ++open_;
    done += bytes;
    bus.request(*tlp);
  }
}

pcie::TlpPayload* PciFunction::make(pcie::TlpKind kind, tlm::tlm_command command,
                                    pcie::RequesterId function, std::uint64_t address,
                                    const void* data, std::size_t bytes) {
  pcie::TlpPayload* payload = tlps_.take();
  payload->set_inline(data, bytes);
  payload->set_command(command);
  payload->set_address(address);
  payload->extension.kind = kind;
  payload->extension.completer = function;
  return payload;
}

pcie::TlpPayload* PciFunction::configuration(tlm::tlm_command command, pcie::RequesterId function,
                                             unsigned offset, std::uint32_t value,
                                             base::Callback answered) {
  pcie::TlpPayload* payload =
      make(pcie::TlpKind::kConfig0, command, function, offset, &value, sizeof value);
  payload->on_response = answered;
  bus.request(*payload);
  return payload;
}

void PciFunction::response(base::GenericPayload& payload) {
  auto& tlp = static_cast<pcie::TlpPayload&>(payload);
  if (tlp.on_response) {
    tlp.on_response();
    return;
  }
  const bool posted = pcie::is_posted(payload);
  if (payload.is_read() && payload.get_response_status() == pcie::kStatusSuccessful) {
    std::memcpy(output_.data() + tlp.tag, payload.get_data_ptr(), payload.get_data_length());
  }
  tlp.release();
  if (posted || --open_ != 0) return;
  finish();
  take();
}

// The kernel gets the chain back. It looks for the end of a read by itself.
void PciFunction::finish() {
  busy_ = false;
  std::size_t written = 0;
  for (const auto& room : chain_.writable) {
    const std::size_t bytes = std::min(room.size(), output_.size() - written);
    std::memcpy(room.data(), output_.data() + written, bytes);
    written += bytes;
  }
  // While it looks for the end of a read the kernel forgets the writes before it too.
  untold_writes_ = chain_.writable.empty() ? untold_writes_ + 1 : 0;
  server_->queue(0).push(chain_.head, static_cast<std::uint32_t>(written));
}

void PciFunction::config_written(std::uint64_t offset, std::span<const std::byte> data) {
  if (marks_ && offset == kInterruptLine && data.size() == 1) {
    marks_(std::to_integer<unsigned char>(data[0]));
  }
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::uint64_t at = offset + i;
    if (at < kBar0 || at >= kBarsEnd) continue;
    const auto shift = 8 * static_cast<unsigned>(at % 4);
    std::uint32_t& bar = bars_[(at - kBar0) / 4];
    bar = (bar & ~(0xFFu << shift)) | std::to_integer<std::uint32_t>(data[i]) << shift;
  }
}

std::uint64_t PciFunction::bar_address(unsigned bar) const {
  const std::uint64_t low = bars_[bar] & ~0xFu;
  const bool wide = function_.bars[bar].is_64bit && bar + 1 < bars_.size();
  return wide ? low | std::uint64_t{bars_[bar + 1]} << 32 : low;
}

void PciFunction::register_statistics(base::StatisticsRegistry& registry,
                                      const std::string& prefix) const {
  registry.add(prefix + ".reads", "1", "Reads of registers and configuration by the kernel.",
               reads_);
  registry.add(prefix + ".writes", "1", "Writes of registers and configuration by the kernel.",
               writes_);
}

}  // namespace nvmesim::bridge
