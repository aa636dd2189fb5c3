#include "sim/check/wire_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "device/spec/commands.hpp"
#include "device/spec/registers.hpp"
#include "pcie/tlp.hpp"

namespace nvmesim::check {
namespace {

namespace spec = device::spec;
using Bytes = std::span<const std::uint8_t>;

// Type 0 header of configuration space (PCI 3.0, 6.1) and the MSI-X capability (6.8.2).
constexpr std::uint64_t kBar0 = 0x10;
constexpr std::uint64_t kCapabilityPointer = 0x34;
constexpr std::uint8_t kMsixId = 0x11;
constexpr unsigned kMostCapabilities = 48;
constexpr std::uint64_t kVectorBytes = 16;
constexpr std::uint64_t kUsualBarBytes = 16 * 1024;  // until the host has sized it

std::uint64_t little_endian(Bytes bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = std::min<std::size_t>(bytes.size(), 8); i-- > 0;) {
    value = value << 8 | bytes[i];
  }
  return value;
}

// As a number of any length, without leading zeroes.
std::string hex(Bytes bytes) {
  std::string text;
  for (std::size_t i = bytes.size(); i-- > 0;) text += fmt::format("{:02x}", bytes[i]);
  const auto first = text.find_first_not_of('0');
  return first == text.npos ? "0" : text.substr(first);
}

Bytes data_of(const tlm::tlm_generic_payload& payload) {
  const unsigned char* data = payload.get_data_ptr();
  return {data, data == nullptr ? 0 : std::size_t{payload.get_data_length()}};
}

bool is_memory(const tlm::tlm_generic_payload& payload) {
  return pcie::tlp_of(payload).kind == pcie::TlpKind::kMemory;
}

}  // namespace

WireTrace::WireTrace(sc_core::sc_module_name name, const base::Scheduler& scheduler, Sink sink,
                     WireTraceOptions options)
    : base::Splice(name),
      scheduler_(scheduler),
      sink_(std::move(sink)),
      options_(options),
      bar0_bytes_(kUsualBarBytes) {}

tlm::tlm_sync_enum WireTrace::forward(Lane& lane, tlm::tlm_generic_payload& payload,
                                      tlm::tlm_phase& phase, sc_core::sc_time& delay) {
  if (phase == tlm::BEGIN_REQ) {
    // Before the call: what the device does in answer comes after it.
    lane.direction() == Direction::kDownstream ? to_device(payload) : from_device(payload);
  }
  return lane.pass_forward(payload, phase, delay);
}

tlm::tlm_sync_enum WireTrace::backward(Lane& lane, tlm::tlm_generic_payload& payload,
                                       tlm::tlm_phase& phase, sc_core::sc_time& delay) {
  if (phase == tlm::BEGIN_RESP) {
    lane.direction() == Direction::kDownstream ? answered_by_device(payload)
                                               : answered_to_device(payload);
  }
  return lane.pass_backward(payload, phase, delay);
}

void WireTrace::to_device(const tlm::tlm_generic_payload& payload) {
  if (is_configuration(pcie::tlp_of(payload))) {
    if (payload.is_write()) config_write(payload.get_address(), data_of(payload));
    return;
  }
  if (!is_memory(payload) || !in_bar0(payload.get_address())) return;
  const std::uint64_t offset = payload.get_address() - bar0_;
  if (payload.is_write()) register_write(offset, data_of(payload));
  if (!wanted(offset)) return;
  std::string line = fmt::format("{} MMIO {} {} @{:04x} {:<5} = ", base::to_ns(scheduler_.now()),
                                 payload.is_read() ? 'R' : 'W', payload.get_data_length(), offset,
                                 name_of(offset));
  if (payload.is_read()) {
    emit(std::move(line), &payload);
  } else {
    emit(line + hex(data_of(payload)));
  }
}

void WireTrace::answered_by_device(const tlm::tlm_generic_payload& payload) {
  if (!payload.is_read()) return;
  if (is_configuration(pcie::tlp_of(payload))) {
    config_read(payload.get_address(), data_of(payload));
    return;
  }
  if (!is_memory(payload)) return;
  if (in_bar0(payload.get_address())) {
    const std::uint64_t offset = payload.get_address() - bar0_;
    const std::uint64_t value = little_endian(data_of(payload));
    // CAP.DSTRD stands in the upper half.
    if (offset == spec::kRegCap && payload.get_data_length() == 8) {
      doorbell_stride_ = spec::Cap{value}.dstrd();
    } else if (offset == spec::kRegCap + 4) {
      doorbell_stride_ = spec::Cap{value << 32}.dstrd();
    }
  }
  for (Line& line : lines_) {
    if (line.read != &payload) continue;
    line.text += hex(data_of(payload));
    line.read = nullptr;
  }
  drain();
}

void WireTrace::from_device(const tlm::tlm_generic_payload& payload) {
  if (!options_.interrupts || !is_memory(payload) || !payload.is_write()) return;
  if (payload.get_data_length() != 4) return;
  const auto data = static_cast<std::uint32_t>(little_endian(data_of(payload)));
  const auto sent_by = [&](const Vector& vector) {
    return vector.address() != 0 && vector.address() == payload.get_address() &&
           vector.data() == data;
  };
  auto found = std::find_if(vectors_.begin(), vectors_.end(), [&](const Vector& vector) {
    return !vector.masked() && sent_by(vector);
  });
  if (found == vectors_.end()) found = std::find_if(vectors_.begin(), vectors_.end(), sent_by);
  if (found == vectors_.end()) return;
  emit(fmt::format("{} MSI-X vec {} addr {:x} data {}", base::to_ns(scheduler_.now()),
                   found - vectors_.begin(), payload.get_address(), data));
}

void WireTrace::answered_to_device(const tlm::tlm_generic_payload& payload) {
  if (!payload.is_read() || !is_memory(payload)) return;
  if (payload.get_response_status() != tlm::TLM_OK_RESPONSE) return;
  admin_commands(payload.get_address(), data_of(payload));
}

void WireTrace::admin_commands(std::uint64_t address, Bytes data) {
  constexpr std::uint64_t kEntry = sizeof(spec::SubmissionEntry);
  const std::uint64_t queue = register_value(spec::kRegAsq, 8) & ~std::uint64_t{0xFFF};
  const spec::Aqa aqa{static_cast<std::uint32_t>(register_value(spec::kRegAqa, 4))};
  const std::uint64_t end = queue + (std::uint64_t{aqa.asqs()} + 1) * kEntry;
  if (queue == 0 || address < queue || address >= end) return;
  for (std::uint64_t at = (kEntry - (address - queue) % kEntry) % kEntry;
       at + kEntry <= data.size() && address + at < end; at += kEntry) {
    spec::SubmissionEntry entry;
    std::memcpy(&entry, data.data() + at, sizeof entry);
    emit(fmt::format("{} ADMIN op {:02x} cid {} nsid {:x} prp1 {:x} c10 {:x} c11 {:x}",
                     base::to_ns(scheduler_.now()), entry.opc, entry.cid, entry.nsid, entry.prp1,
                     entry.cdw10, entry.cdw11));
  }
}

void WireTrace::config_write(std::uint64_t offset, Bytes data) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::uint64_t at = offset + i;
    if (at >= kBar0 && at < kBar0 + 8) bar0_written_[at - kBar0] = data[i];
  }
  if (offset < kBar0 || offset >= kBar0 + 8) return;
  const std::uint64_t low = little_endian(Bytes(bar0_written_).first(4));
  const std::uint64_t high = bar0_is_64_bits() ? little_endian(Bytes(bar0_written_).subspan(4)) : 0;
  // All ones ask for the size; an address comes later.
  const bool asking = low == 0xFFFF'FFFF || high == 0xFFFF'FFFF;
  bar0_ = asking ? 0 : high << 32 | (low & ~std::uint64_t{0xF});
}

bool WireTrace::bar0_is_64_bits() const {
  return !config_known_[kBar0] || (config_[kBar0] & 0x6) == 0x4;
}

void WireTrace::config_read(std::uint64_t offset, Bytes data) {
  if (offset == kBar0 && data.size() == 4 &&
      little_endian(Bytes(bar0_written_).first(4)) == 0xFFFF'FFFF) {
    const std::uint64_t mask = little_endian(data) & ~std::uint64_t{0xF};
    if (mask != 0) bar0_bytes_ = (~mask + 1) & 0xFFFF'FFFF;
  }
  for (std::size_t i = 0; i < data.size() && offset + i < config_.size(); ++i) {
    config_[offset + i] = data[i];
    config_known_[offset + i] = true;
  }
  if (!msix_known_) find_msix();
}

// Walks the capabilities as far as the host has read them.
void WireTrace::find_msix() {
  const auto known = [this](std::size_t at, std::size_t bytes) {
    return at + bytes <= config_.size() &&
           std::all_of(config_known_.begin() + static_cast<std::ptrdiff_t>(at),
                       config_known_.begin() + static_cast<std::ptrdiff_t>(at + bytes),
                       [](bool is) { return is; });
  };
  if (!known(kCapabilityPointer, 1)) return;
  std::size_t at = config_[kCapabilityPointer] & 0xFCu;
  for (unsigned i = 0; i < kMostCapabilities && at >= 0x40 && known(at, 2); ++i) {
    if (config_[at] == kMsixId) {
      if (!known(at + 2, 10)) return;
      const Bytes config(config_);
      const std::uint64_t table = little_endian(config.subspan(at + 4, 4));
      const std::uint64_t pending = little_endian(config.subspan(at + 8, 4));
      const std::uint64_t control = little_endian(config.subspan(at + 2, 2));
      msix_known_ = true;
      if ((table & 7) == 0) {  // in BAR0
        msix_table_ = table;
        vectors_.resize((control & 0x7FF) + 1);
      }
      if ((pending & 7) == 0) msix_pending_ = pending;
      return;
    }
    at = config_[at + 1] & 0xFCu;
  }
}

void WireTrace::register_write(std::uint64_t offset, Bytes data) {
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::uint64_t at = offset + i;
    if (at < registers_.size()) registers_[at] = data[i];
    const std::uint64_t in_table = at - msix_table_;
    if (at >= msix_table_ && in_table / kVectorBytes < vectors_.size()) {
      vectors_[in_table / kVectorBytes].bytes[in_table % kVectorBytes] = data[i];
    }
  }
}

std::uint64_t WireTrace::register_value(std::uint64_t offset, std::size_t bytes) const {
  return little_endian(Bytes(registers_).subspan(offset, bytes));
}

std::uint64_t WireTrace::Vector::address() const {
  return little_endian(Bytes(bytes).first(8));
}
std::uint32_t WireTrace::Vector::data() const {
  return static_cast<std::uint32_t>(little_endian(Bytes(bytes).subspan(8, 4)));
}

bool WireTrace::in_bar0(std::uint64_t address) const {
  return bar0_ != 0 && address >= bar0_ && address - bar0_ < bar0_bytes_;
}

bool WireTrace::in_msix(std::uint64_t offset) const {
  const std::uint64_t pending_bytes = (vectors_.size() + 63) / 64 * 8;
  return (offset >= msix_table_ && offset - msix_table_ < vectors_.size() * kVectorBytes) ||
         (offset >= msix_pending_ && offset - msix_pending_ < pending_bytes);
}

bool WireTrace::wanted(std::uint64_t offset) const {
  if (in_msix(offset)) return options_.msix_table;
  return offset < spec::kDoorbellBase || options_.doorbells;
}

std::string WireTrace::name_of(std::uint64_t offset) const {
  if (in_msix(offset)) return "MSIX";
  return spec::register_name(static_cast<std::uint32_t>(offset), doorbell_stride_);
}

void WireTrace::emit(std::string text, const tlm::tlm_generic_payload* read) {
  if (read == nullptr && lines_.empty()) {
    sink_(text);
    return;
  }
  // The payload is sent again: what it asked before was never answered.
  for (Line& line : lines_) {
    if (read != nullptr && line.read == read) give_up(line);
  }
  lines_.push_back({std::move(text), read});
  drain();
}

void WireTrace::give_up(Line& line) {
  line.text += '?';
  line.read = nullptr;
}

void WireTrace::drain() {
  while (!lines_.empty() && lines_.front().read == nullptr) {
    sink_(lines_.front().text);
    lines_.pop_front();
  }
}

void WireTrace::finish() {
  for (Line& line : lines_) {
    if (line.read != nullptr) give_up(line);
  }
  drain();
}

}  // namespace nvmesim::check
