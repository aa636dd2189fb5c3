// Vectors of a function: MSI-X, MSI or its pin, and their masks.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "host/kernel/interrupt_vector.hpp"
#include "host/kernel/machine.hpp"
#include "host/kernel/pci_registers.hpp"
#include "pcie/host_port.hpp"

namespace nvmesim::host {
namespace {

// PCI local bus specification 3.0, 6.8: MSI and MSI-X.
constexpr unsigned kMessageControl = 2;
constexpr unsigned kTableOffset = 4;
constexpr std::uint16_t kMsixEnable = 1u << 15;
constexpr std::uint16_t kMsixFunctionMask = 1u << 14;
constexpr std::uint16_t kMsiEnable = 1u << 0;
constexpr std::uint16_t kMsi64Bit = 1u << 7;
constexpr std::uint16_t kMsiMasks = 1u << 8;
constexpr unsigned kEntryBytes = 16;
constexpr unsigned kEntryData = 8;
constexpr unsigned kEntryControl = 12;

constexpr std::uint32_t kFirstIrq = 24;  // those below belong to the I/O interrupt controller

}  // namespace

std::uint64_t Interrupts::message_address(CpuId cpu) {
  return pcie::kMsiWindowBase | (std::uint64_t{cpu.value()} << 12);
}

// The first of `count` free numbers in a row, a multiple of `count` (a power of two).
std::uint32_t Interrupts::take_irqs(std::uint32_t count) {
  const auto free = [this](std::uint32_t irq) {
    return irq >= vectors_.size() || vectors_[irq] == nullptr || !vectors_[irq]->allocated;
  };
  std::uint32_t first = (kFirstIrq + count - 1) / count * count;
  for (std::uint32_t i = 0; i < count;) {
    if (free(first + i)) {
      ++i;
    } else {
      first += count;
      i = 0;
    }
  }
  if (first + count > vectors_.size()) vectors_.resize(first + count);
  for (std::uint32_t irq = first; irq < first + count; ++irq) {
    if (vectors_[irq] == nullptr) vectors_[irq] = std::make_unique<Vector>(irq, machine_.threads);
  }
  return first;
}

Interrupts::Vector& Interrupts::take_vector(std::uint32_t irq, const CpuMask& mask, CpuId cpu) {
  Vector& vector = *vectors_[irq];
  vector.allocated = true;
  vector.threaded = false;
  vector.mask = mask;
  vector.cpu = cpu;
  vector.count = {};
  vector.count.cpu = cpu;
  ++vectors_in_use_;
  return vector;
}

int Interrupts::alloc_irq_vectors(pcie::RequesterId id, unsigned minimum, unsigned maximum,
                                  const IrqAffinity& affinity, unsigned types) {
  NVMESIM_ASSERT(functions_.count(id) == 0, "a function has its vectors already");
  auto function = std::make_unique<Function>();
  function->id = id;
  int granted = -EINVAL;
  if ((types & kIrqMsix) != 0) granted = alloc_msix(*function, minimum, maximum, affinity);
  if (granted < 0 && (types & kIrqMsi) != 0) {
    granted = alloc_msi(*function, minimum, maximum, affinity);
  }
  if (granted < 0 && (types & kIrqPin) != 0) granted = alloc_pin(*function, minimum, affinity);
  if (granted > 0) functions_[id] = std::move(function);
  return granted;
}

int Interrupts::alloc_msix(Function& function, unsigned minimum, unsigned maximum,
                           const IrqAffinity& affinity) {
  const pcie::RequesterId id = function.id;
  const unsigned capability = pcie::find_capability(machine_, id, pcie::kCapabilityMsix);
  if (capability == 0) return -EINVAL;
  const std::uint16_t control = machine_.read16(id, capability + kMessageControl);
  const unsigned granted = std::min<unsigned>(maximum, (control & 0x7ffu) + 1);
  if (granted < minimum) return -ENOSPC;

  function.kind = IrqKind::kMsix;
  function.capability = capability;
  const std::uint32_t place = machine_.read32(id, capability + kTableOffset);
  const unsigned bar = pci::kFirstBar + 4 * (place & 7);
  const std::uint32_t low = machine_.read32(id, bar);
  std::uint64_t base_address = low & ~0xfu;
  if ((low & 0x6) == 0x4) base_address |= std::uint64_t{machine_.read32(id, bar + 4)} << 32;
  function.table = base_address + (place & ~7u);

  machine_.write16(id, capability + kMessageControl,
                   static_cast<std::uint16_t>(control | kMsixEnable | kMsixFunctionMask));
  const std::vector<CpuMask> masks = masks_for(granted, affinity);
  for (unsigned i = 0; i < granted; ++i) {
    Vector& vector = take_vector(take_irqs(1), masks[i], choose_cpu(masks[i]));
    function.vectors.push_back(&vector);
    const std::uint64_t entry = function.table + i * kEntryBytes;
    machine_.writel(entry + kEntryControl, 1);
    machine_.lo_hi_writeq(entry, message_address(vector.cpu));
    machine_.writel(entry + kEntryData, vector.irq);
  }
  machine_.write16(id, capability + kMessageControl,
                   static_cast<std::uint16_t>((control & ~kMsixFunctionMask) | kMsixEnable));
  return static_cast<int>(granted);
}

// The messages of a function differ in the low bits of their data and go to one address: so all of
// them to one processor, whichever ones they are for.
int Interrupts::alloc_msi(Function& function, unsigned minimum, unsigned maximum,
                          const IrqAffinity& affinity) {
  const pcie::RequesterId id = function.id;
  const unsigned capability = pcie::find_capability(machine_, id, pcie::kCapabilityMsi);
  if (capability == 0) return -EINVAL;
  const std::uint16_t control = machine_.read16(id, capability + kMessageControl);
  const unsigned granted = std::min(std::bit_floor(maximum), 1u << (control >> 1 & 7));
  if (granted < minimum || granted == 0) return -ENOSPC;

  function.kind = IrqKind::kMsi;
  function.capability = capability;
  const std::vector<CpuMask> masks = masks_for(granted, affinity);
  const CpuId cpu = choose_cpu(spread_affinity(1, machine_.cpus())[0]);
  load_[cpu.value()] += granted - 1;
  const std::uint32_t first = take_irqs(granted);
  for (unsigned i = 0; i < granted; ++i) {
    function.vectors.push_back(&take_vector(first + i, masks[i], cpu));
  }
  const bool wide = (control & kMsi64Bit) != 0;
  const std::uint64_t address = message_address(cpu);
  machine_.write32(id, capability + 4, static_cast<std::uint32_t>(address));
  if (wide) machine_.write32(id, capability + 8, static_cast<std::uint32_t>(address >> 32));
  machine_.write16(id, capability + (wide ? 12 : 8), static_cast<std::uint16_t>(first));
  if ((control & kMsiMasks) != 0) {
    function.mask_register = capability + (wide ? 16 : 12);
    function.masks = granted == 32 ? ~0u : (1u << granted) - 1;
    machine_.write32(id, function.mask_register, function.masks);
  }
  const auto log2 = static_cast<unsigned>(std::countr_zero(granted));
  machine_.write16(id, capability + kMessageControl,
                   static_cast<std::uint16_t>((control & ~0x70u) | log2 << 4 | kMsiEnable));
  return static_cast<int>(granted);
}

// Functions may share a line, and so its vector. The driver still hears how its vectors are split.
int Interrupts::alloc_pin(Function& function, unsigned minimum, const IrqAffinity& affinity) {
  const std::uint32_t registers = machine_.read32(function.id, pci::kInterruptLine);
  const unsigned line = registers & 0xFF;
  if ((registers >> 8 & 0xFF) == 0 || line == 0xFF) return -EINVAL;
  if (minimum > 1) return -ENOSPC;
  function.kind = IrqKind::kPin;
  masks_for(1, affinity);
  Vector* vector = vector_of_line(line);
  if (vector == nullptr) {
    const CpuMask all = spread_affinity(1, machine_.cpus())[0];
    vector = &take_vector(take_irqs(1), all, choose_cpu(all));
    if (line >= lines_.size()) lines_.resize(line + 1);
    lines_[line].vector = vector;
    vector->asserted = lines_[line].asserted;
  }
  ++vector->pin_users;
  function.vectors.push_back(vector);
  const std::uint16_t command = machine_.read16(function.id, pci::kCommand);
  machine_.write16(function.id, pci::kCommand,
                   static_cast<std::uint16_t>(command & ~pcie::kCommandInterruptDisable));
  return 1;
}

IrqKind Interrupts::kind_of(pcie::RequesterId id) const {
  return functions_.at(id)->kind;
}

void Interrupts::free_irq_vectors(pcie::RequesterId id) {
  const auto found = functions_.find(id);
  if (found == functions_.end()) return;
  const Function& function = *found->second;
  for (Vector* vector : function.vectors) {
    if (function.kind == IrqKind::kPin && --vector->pin_users != 0) continue;
    NVMESIM_ASSERT(vector->actions.empty(), "a vector was freed before its handler");
    vector->allocated = false;
    vector->remembered = false;
    --load_[vector->cpu.value()];
    --vectors_in_use_;
    for (Line& line : lines_) {
      if (line.vector == vector) line.vector = nullptr;
    }
  }
  if (function.kind != IrqKind::kPin) {
    const std::uint16_t control = machine_.read16(id, function.capability + kMessageControl);
    const std::uint16_t enable = function.kind == IrqKind::kMsix ? kMsixEnable : kMsiEnable;
    machine_.write16(id, function.capability + kMessageControl,
                     static_cast<std::uint16_t>(control & ~enable));
  }
  functions_.erase(found);
}

// The read (or the completion of the write) behind an interrupt's masking comes back after every
// message sent before it. A pin is shared: it has no mask.
void Interrupts::set_mask(pcie::RequesterId id, unsigned vector, bool masked) {
  Function& function = *functions_.at(id);
  if (function.kind == IrqKind::kMsix) {
    const std::uint64_t control = function.table + vector * kEntryBytes + kEntryControl;
    machine_.writel(control, masked ? 1 : 0);
    if (masked) machine_.readl(control);
  } else if (function.mask_register != 0) {
    function.masks = masked ? function.masks | 1u << vector : function.masks & ~(1u << vector);
    machine_.write32(id, function.mask_register, function.masks);
  }
}

}  // namespace nvmesim::host
