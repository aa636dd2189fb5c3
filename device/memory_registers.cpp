#include "device/memory_registers.hpp"

#include <algorithm>

#include "device/core.hpp"

namespace nvmesim::device {

namespace {

constexpr std::uint64_t kPageMask = 0xFFF;
constexpr std::uint64_t kCre = 1u << 0;             // CMBMSC
constexpr std::uint64_t kCmse = 1u << 1;            // CMBMSC and PMRMSC
constexpr std::uint32_t kRegionEnable = 1u << 0;    // PMRCTL
constexpr std::uint32_t kNotReady = 1u << 8;        // PMRSTS
constexpr std::uint32_t kCmbAddressBad = 1u << 0;   // CMBSTS.CBAI
constexpr std::uint32_t kPmrAddressBad = 1u << 12;  // PMRSTS.CBAI

std::uint32_t low(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}
std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}
std::uint64_t with_half(std::uint64_t whole, bool upper, std::uint32_t value) {
  return upper ? (whole & 0xFFFF'FFFF) | std::uint64_t{value} << 32
               : (whole & ~std::uint64_t{0xFFFF'FFFF}) | value;
}

}  // namespace

MemoryRegisters::MemoryRegisters(Core& core) : core_(core), pmrsts_(kNotReady) {}

bool MemoryRegisters::owns(std::uint32_t offset) {
  return offset == spec::kRegCmbloc || offset == spec::kRegCmbsz ||
         (offset >= spec::kRegCmbmsc && offset <= spec::kRegCmbswtp) ||
         (offset >= spec::kRegPmrcap && offset <= spec::kRegPmrmscu);
}

std::uint32_t MemoryRegisters::read(std::uint32_t offset) const {
  const CmbConfig& cmb = core_.config.cmb;
  const PmrConfig& pmr = core_.config.pmr;
  // CMBLOC and CMBSZ are 0 until the host asks for them.
  const bool shown = cmb.pages != 0 && (cmbmsc_ & kCre) != 0;
  const bool persistent = pmr.pages != 0;
  switch (offset) {
    case spec::kRegCmbloc:
      // Lists, data and metadata of a command may be anywhere, in any mixture (bits 5 to 7).
      return shown ? cmb.bar | 0xE0 : 0;
    case spec::kRegCmbsz:
      if (!shown) return 0;
      return cmb.pages << 12 | (cmb.submission_queues ? 1u : 0) | (cmb.completion_queues ? 2u : 0) |
             (cmb.lists ? 4u : 0) | (cmb.read_data ? 8u : 0) | (cmb.write_data ? 16u : 0);
    case spec::kRegCmbmsc:
      return low(cmbmsc_);
    case spec::kRegCmbmsc + 4:
      return high(cmbmsc_);
    case spec::kRegCmbsts:
      return cmbsts_;
    case spec::kRegCmbswtp:  // unit 2 is MB/s
      return cmb.pages != 0 ? std::min(cmb.mb_per_s, 0xFF'FFFFu) << 8 | 2u : 0;
    case spec::kRegPmrcap:
      // Reads and writes of data; a read of PMRSTS makes writes durable; CMSS.
      return persistent ? 1u << 24 | pmr.timeout_500ms << 16 | 2u << 10 | pmr.bar << 5 | 3u << 3
                        : 0;
    case spec::kRegPmrctl:
      return pmrctl_;
    case spec::kRegPmrsts:
      return persistent ? pmrsts_ : 0;
    case spec::kRegPmrswtp:
      return persistent ? std::min(cmb.mb_per_s, 0xFF'FFFFu) << 8 | 2u : 0;
    case spec::kRegPmrmscl:
      return low(pmrmsc_);
    case spec::kRegPmrmscu:
      return high(pmrmsc_);
    default:
      return 0;  // no elasticity buffer: CMBEBS and PMREBS
  }
}

void MemoryRegisters::write(std::uint32_t offset, std::uint32_t value) {
  switch (offset) {
    case spec::kRegCmbmsc:
    case spec::kRegCmbmsc + 4:
      if (core_.config.cmb.pages == 0) break;
      write_cmbmsc(with_half(cmbmsc_, offset != spec::kRegCmbmsc, value));
      return;
    case spec::kRegPmrctl:
      if (core_.config.pmr.pages == 0) break;
      write_pmrctl(value);
      return;
    case spec::kRegPmrmscl:
    case spec::kRegPmrmscu:
      if (core_.config.pmr.pages == 0) break;
      write_pmrmsc(with_half(pmrmsc_, offset == spec::kRegPmrmscu, value));
      return;
    default:
      break;
  }
  core_.report("write to a memory buffer register that is read-only or absent", "3.1.12");
}

void MemoryRegisters::write_cmbmsc(std::uint64_t value) {
  cmbmsc_ = value & (~kPageMask | kCre | kCmse);
  cmbsts_ = 0;
  core_.local->unmap(LocalMemory::kCmb);
  if ((cmbmsc_ & kCre) == 0 || (cmbmsc_ & kCmse) == 0) return;
  const std::uint64_t base = cmbmsc_ & ~kPageMask;
  if (base + core_.config.cmb.bytes() < base) {
    cmbsts_ = kCmbAddressBad;
    core_.report("CMBMSC.CBA puts the buffer over the end of the address space", "3.1.14");
    return;
  }
  core_.local->map(LocalMemory::kCmb, base);
}

void MemoryRegisters::write_pmrmsc(std::uint64_t value) {
  pmrmsc_ = value & (~kPageMask | kCmse);
  pmrsts_ &= ~kPmrAddressBad;
  core_.local->unmap(LocalMemory::kPmr);
  if ((pmrmsc_ & kCmse) == 0) return;
  const std::uint64_t base = pmrmsc_ & ~kPageMask;
  if (base + core_.config.pmr.bytes() < base) {
    pmrsts_ |= kPmrAddressBad;
    core_.report("PMRMSC.CBA puts the region over the end of the address space", "3.1.22");
    return;
  }
  core_.local->map(LocalMemory::kPmr, base);
}

void MemoryRegisters::write_pmrctl(std::uint32_t value) {
  if ((pmrctl_ & kRegionEnable) == (value & kRegionEnable)) return;
  pmrctl_ = value & kRegionEnable;
  core_.scheduler.cancel(pmr_timer_);
  pmr_timer_ = core_.scheduler.after<&MemoryRegisters::pmr_changed>(
      std::chrono::microseconds(core_.config.pmr.ready_latency_us), this);
}

void MemoryRegisters::pmr_changed() {
  if ((pmrctl_ & kRegionEnable) != 0) {
    pmrsts_ &= ~kNotReady;
  } else {
    pmrsts_ |= kNotReady;
  }
}

bool MemoryRegisters::bar_write(unsigned bar, std::uint64_t offset,
                                std::span<const std::byte> data) {
  const ControllerConfig& config = core_.config;
  if (config.cmb.pages != 0 && bar == config.cmb.bar) {
    if (!core_.local->host_write(LocalMemory::kCmb, offset, data)) {
      core_.report("write behind the end of the controller memory buffer", "3.1.13");
    }
    return true;
  }
  if (config.pmr.pages == 0 || bar != config.pmr.bar) return false;
  if ((pmrsts_ & kNotReady) != 0) {
    core_.report("write to a persistent memory region that is not ready", "3.1.20");
  } else if (!core_.local->host_write(LocalMemory::kPmr, offset, data)) {
    core_.report("write behind the end of the persistent memory region", "3.1.18");
  }
  return true;
}

bool MemoryRegisters::bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) {
  const ControllerConfig& config = core_.config;
  if (config.cmb.pages != 0 && bar == config.cmb.bar) {
    if (!core_.local->host_read(LocalMemory::kCmb, offset, data)) {
      core_.report("read behind the end of the controller memory buffer", "3.1.13");
    }
    return true;
  }
  if (config.pmr.pages == 0 || bar != config.pmr.bar) return false;
  if ((pmrsts_ & kNotReady) != 0) {
    core_.report("read of a persistent memory region that is not ready", "3.1.20");
  } else if (!core_.local->host_read(LocalMemory::kPmr, offset, data)) {
    core_.report("read behind the end of the persistent memory region", "3.1.18");
  }
  return true;
}

bool MemoryRegisters::in_cmb(std::uint64_t address) const {
  return core_.local && core_.local->contains(LocalMemory::kCmb, address);
}
// Queues and lists do not belong into persistent memory.
bool MemoryRegisters::submission_queue_ok(std::uint64_t address) const {
  if (!core_.local || !core_.local->contains(address)) return true;
  return in_cmb(address) && core_.config.cmb.submission_queues;
}
bool MemoryRegisters::completion_queue_ok(std::uint64_t address) const {
  if (!core_.local || !core_.local->contains(address)) return true;
  return in_cmb(address) && core_.config.cmb.completion_queues;
}
bool MemoryRegisters::list_ok(std::uint64_t address) const {
  if (!core_.local || !core_.local->contains(address)) return true;
  return in_cmb(address) && core_.config.cmb.lists;
}

bool MemoryRegisters::data_ok(const Command& command, std::uint64_t bytes) const {
  constexpr unsigned kToHost = 2;  // opcode bits 1:0
  const CmbConfig& cmb = core_.config.cmb;
  const bool allowed = (command.sqe.opc & 3) == kToHost ? cmb.read_data : cmb.write_data;
  if (allowed) return true;
  for (std::uint64_t offset = 0; offset < bytes;) {
    const PrpMap::Extent extent = command.extent(offset);
    if (!extent.discard && in_cmb(extent.address)) return false;
    offset += extent.bytes;
  }
  return true;
}

void MemoryRegisters::reset() {
  core_.scheduler.cancel(pmr_timer_);
  cmbmsc_ = pmrmsc_ = 0;
  cmbsts_ = pmrctl_ = 0;
  pmrsts_ = kNotReady;
  if (!core_.local) return;
  core_.local->unmap(LocalMemory::kCmb);
  core_.local->unmap(LocalMemory::kPmr);
}

}  // namespace nvmesim::device
