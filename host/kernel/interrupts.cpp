#include "host/kernel/interrupts.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "host/kernel/machine.hpp"
#include "pcie/host_port.hpp"

namespace nvmesim::host {
namespace {

// PCI local bus specification 3.0, 6.8.1 and 6.8.2: MSI, MSI-X capability and table.
constexpr std::uint8_t kMsiCapability = 0x05;
constexpr std::uint16_t kMsiEnable = 1u << 0;
constexpr std::uint16_t kMsi64 = 1u << 7;
constexpr unsigned kMsiAddress = 4;
constexpr std::uint8_t kMsixCapability = 0x11;
constexpr unsigned kMessageControl = 2;
constexpr unsigned kTableOffset = 4;
constexpr std::uint16_t kMsixEnable = 1u << 15;
constexpr std::uint16_t kMsixFunctionMask = 1u << 14;
constexpr unsigned kEntryBytes = 16;
constexpr unsigned kEntryData = 8;
constexpr unsigned kEntryControl = 12;
constexpr unsigned kFirstBar = 0x10;
constexpr unsigned kInterruptPin = 0x3c;  // bits 15:8; 0: none

constexpr std::uint32_t kFirstIrq = 24;  // those below belong to the I/O interrupt controller

std::uint64_t message_address(CpuId cpu) {
  return pcie::kMsiWindowBase | (std::uint64_t{cpu.value()} << 12);
}

}  // namespace

struct Interrupts::Vector {
  Vector(std::uint32_t number, Threads& threads) : irq(number), idle(threads) {}

  struct Action {
    IrqHandler* handler;
    std::string name;
    bool threaded;
  };
  const std::uint32_t irq;
  bool allocated = false;
  bool pin = false;
  bool threaded = false;
  bool thread_pending = false;
  bool thread_again = false;
  std::uint64_t address = 0;  // that its messages have
  CpuId cpu;
  CpuMask mask;
  std::vector<Action> actions;
  bool slice_pending = false;
  bool remembered = false;  // a message came while it was disabled
  unsigned disable_depth = 0;
  WaitQueue idle;
  VectorCount count;
};

struct Interrupts::Function {
  pcie::RequesterId id;
  IrqKind kind = IrqKind::kMsix;
  unsigned capability = 0;
  std::uint64_t table = 0;  // MSI-X: its address
  std::vector<Vector*> vectors;
};

Interrupts::Interrupts(Machine& machine) : machine_(machine), load_(machine.cpus(), 0) {}
Interrupts::~Interrupts() = default;

std::uint32_t Interrupts::take_irqs(unsigned count, bool aligned) {
  const auto is_free = [this](std::uint32_t irq) {
    return irq >= vectors_.size() || vectors_[irq] == nullptr || !vectors_[irq]->allocated;
  };
  std::uint32_t first = kFirstIrq;
  for (unsigned found = 0; found < count;) {
    const bool fits = !aligned || first % count == 0;
    if (fits && is_free(first + found)) {
      ++found;
    } else {
      first += fits ? found + 1 : 1;
      found = 0;
    }
  }
  if (first + count > vectors_.size()) vectors_.resize(first + count);
  for (std::uint32_t irq = first; irq < first + count; ++irq) {
    if (vectors_[irq] == nullptr) vectors_[irq] = std::make_unique<Vector>(irq, machine_.threads);
  }
  return first;
}

Interrupts::Vector& Interrupts::take_vector(Function& function, std::uint32_t irq,
                                            const CpuMask& mask) {
  Vector& vector = *vectors_[irq];
  vector.allocated = true;
  vector.pin = vector.threaded = false;
  vector.mask = mask;
  vector.cpu = choose_cpu(mask);
  vector.address = message_address(vector.cpu);
  vector.count = {};
  vector.count.cpu = vector.cpu;
  function.vectors.push_back(&vector);
  return vector;
}

// The least loaded processor of the mask, the lowest of equals.
CpuId Interrupts::choose_cpu(const CpuMask& mask) {
  std::size_t best = kMaxCpus;
  for (std::size_t cpu = 0; cpu < load_.size(); ++cpu) {
    if (mask.test(cpu) && (best == kMaxCpus || load_[cpu] < load_[best])) best = cpu;
  }
  ++load_[best];
  return CpuId(static_cast<std::uint16_t>(best));
}

std::vector<CpuMask> Interrupts::masks_for(unsigned vectors, const IrqAffinity& affinity) const {
  const unsigned cpus = machine_.cpus();
  std::vector<CpuMask> masks(std::min(vectors, affinity.pre_vectors), spread_affinity(1, cpus)[0]);
  const unsigned spread = vectors - static_cast<unsigned>(masks.size());
  std::vector<unsigned> sets{spread};
  if (affinity.calc_sets && machine_.config().smp) sets = affinity.calc_sets(spread);
  for (const unsigned set : sets) {
    for (const CpuMask& mask : spread_affinity(set, cpus)) {
      if (masks.size() < vectors) masks.push_back(mask);
    }
  }
  NVMESIM_ASSERT(masks.size() == vectors, "the sets of vectors are fewer than the vectors");
  return masks;
}

int Interrupts::alloc_irq_vectors(pcie::RequesterId id, unsigned minimum, unsigned maximum,
                                  const IrqAffinity& affinity) {
  NVMESIM_ASSERT(functions_.count(id) == 0, "a function has its vectors already");
  auto function = std::make_unique<Function>();
  function->id = id;
  int granted = enable_msix(*function, minimum, maximum, affinity);
  if (granted < 0) granted = enable_msi(*function, minimum, maximum, affinity);
  if (granted < 0 && minimum == 1) granted = enable_pin(*function, affinity);
  if (granted < 0) return granted;
  vectors_in_use_ += static_cast<unsigned>(granted);
  functions_[id] = std::move(function);
  return granted;
}

int Interrupts::enable_msix(Function& function, unsigned minimum, unsigned maximum,
                            const IrqAffinity& affinity) {
  const pcie::RequesterId id = function.id;
  const unsigned capability = pcie::find_capability(machine_, id, kMsixCapability);
  if (capability == 0) return -ENOSPC;
  const std::uint16_t control = machine_.read16(id, capability + kMessageControl);
  const unsigned granted = std::min<unsigned>(maximum, (control & 0x7ffu) + 1);
  if (granted < minimum) return -ENOSPC;
  function.kind = IrqKind::kMsix;
  function.capability = capability;
  const std::uint32_t place = machine_.read32(id, capability + kTableOffset);
  const unsigned bar = kFirstBar + 4 * (place & 7);
  const std::uint32_t low = machine_.read32(id, bar);
  std::uint64_t base_address = low & ~0xfu;
  if ((low & 0x6) == 0x4) base_address |= std::uint64_t{machine_.read32(id, bar + 4)} << 32;
  function.table = base_address + (place & ~7u);

  machine_.write16(id, capability + kMessageControl,
                   static_cast<std::uint16_t>(control | kMsixEnable | kMsixFunctionMask));
  const std::vector<CpuMask> masks = masks_for(granted, affinity);
  for (unsigned i = 0; i < granted; ++i) {
    const Vector& vector = take_vector(function, take_irqs(1, false), masks[i]);
    const std::uint64_t entry = function.table + i * kEntryBytes;
    machine_.writel(entry + kEntryControl, 1);
    machine_.lo_hi_writeq(entry, vector.address);
    machine_.writel(entry + kEntryData, vector.irq);
  }
  machine_.write16(id, capability + kMessageControl,
                   static_cast<std::uint16_t>((control & ~kMsixFunctionMask) | kMsixEnable));
  return static_cast<int>(granted);
}

// The vectors have one address and follow each other in the low bits of the data; the host's
// interrupt remapping gives each its own processor.
int Interrupts::enable_msi(Function& function, unsigned minimum, unsigned maximum,
                           const IrqAffinity& affinity) {
  const pcie::RequesterId id = function.id;
  const unsigned capability = pcie::find_capability(machine_, id, kMsiCapability);
  if (capability == 0) return -ENOSPC;
  const std::uint16_t control = machine_.read16(id, capability + kMessageControl);
  const unsigned offered = 1u << ((control >> 1) & 7u);
  unsigned shift = 0;
  while ((2u << shift) <= std::min(maximum, offered)) ++shift;
  const unsigned granted = 1u << shift;
  if (granted < minimum) return -ENOSPC;
  function.kind = IrqKind::kMsi;
  function.capability = capability;
  const std::uint32_t first = take_irqs(granted, true);
  const std::vector<CpuMask> masks = masks_for(granted, affinity);
  const std::uint64_t address = message_address(CpuId(0));
  for (unsigned i = 0; i < granted; ++i)
    take_vector(function, first + i, masks[i]).address = address;
  const bool wide = (control & kMsi64) != 0;
  machine_.write32(id, capability + kMsiAddress, static_cast<std::uint32_t>(address));
  if (wide) machine_.write32(id, capability + kMsiAddress + 4, 0);
  machine_.write16(id, capability + kMsiAddress + (wide ? 8 : 4),
                   static_cast<std::uint16_t>(first));
  machine_.write16(id, capability + kMessageControl,
                   static_cast<std::uint16_t>((control & ~0x70u) | shift << 4 | kMsiEnable));
  return static_cast<int>(granted);
}

int Interrupts::enable_pin(Function& function, const IrqAffinity& affinity) {
  if ((machine_.read16(function.id, kInterruptPin) >> 8) == 0) return -ENOSPC;
  function.kind = IrqKind::kPin;
  const std::vector<CpuMask> masks = masks_for(1, affinity);
  take_vector(function, take_irqs(1, false), masks[0]).pin = true;
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
    NVMESIM_ASSERT(vector->actions.empty(), "a vector was freed before its handler");
    vector->allocated = false;
    vector->remembered = false;
    --load_[vector->cpu.value()];
  }
  vectors_in_use_ -= function.vectors.size();
  if (function.kind != IrqKind::kPin) {
    const std::uint16_t enable = function.kind == IrqKind::kMsix ? kMsixEnable : kMsiEnable;
    const std::uint16_t control = machine_.read16(id, function.capability + kMessageControl);
    machine_.write16(id, function.capability + kMessageControl,
                     static_cast<std::uint16_t>(control & ~enable));
  }
  functions_.erase(found);
}

unsigned Interrupts::vectors_of(pcie::RequesterId id) const {
  const auto found = functions_.find(id);
  return found == functions_.end() ? 0 : static_cast<unsigned>(found->second->vectors.size());
}

Interrupts::Vector& Interrupts::vector_of(pcie::RequesterId id, unsigned vector) const {
  const auto found = functions_.find(id);
  NVMESIM_ASSERT(found != functions_.end() && vector < found->second->vectors.size(),
                 "a vector that was not allocated");
  return *found->second->vectors[vector];
}

// The read behind an interrupt's masking comes back after every message sent before it.
void Interrupts::set_mask(pcie::RequesterId id, unsigned vector, bool masked) {
  const Function& function = *functions_.at(id);
  if (function.kind != IrqKind::kMsix) return;  // disabled ones are remembered by the host itself
  const std::uint64_t control = function.table + vector * kEntryBytes + kEntryControl;
  machine_.writel(control, masked ? 1 : 0);
  if (masked) machine_.readl(control);
}

int Interrupts::request_irq(pcie::RequesterId id, unsigned number, IrqHandler& handler,
                            std::string name, bool threaded) {
  if (number >= vectors_of(id)) return -EINVAL;
  Vector& vector = vector_of(id, number);
  if (vector.actions.empty()) vector.count.name = name;
  vector.actions.push_back({&handler, std::move(name), threaded});
  vector.threaded |= threaded;
  ++handlers_in_use_;
  if (vector.actions.size() == 1) set_mask(id, number, false);
  return 0;
}

void Interrupts::free_irq(pcie::RequesterId id, unsigned number, IrqHandler& handler) {
  Vector& vector = vector_of(id, number);
  if (vector.actions.size() == 1) set_mask(id, number, true);
  disable_irq(id, number);
  const auto removed = std::erase_if(
      vector.actions, [&](const Vector::Action& action) { return action.handler == &handler; });
  NVMESIM_ASSERT(removed == 1, "an interrupt handler was freed that is not there");
  --handlers_in_use_;
  if (vector.actions.empty()) vector.remembered = false;
  enable_irq(id, number);
}

void Interrupts::disable_irq(pcie::RequesterId id, unsigned number) {
  machine_.threads.assert_may_sleep();
  Vector& vector = vector_of(id, number);
  ++vector.disable_depth;
  vector.idle.wait([&vector] { return !vector.slice_pending && !vector.thread_pending; });
}

void Interrupts::enable_irq(pcie::RequesterId id, unsigned number) {
  Vector& vector = vector_of(id, number);
  NVMESIM_ASSERT(vector.disable_depth != 0, "an interrupt was enabled more often than disabled");
  if (--vector.disable_depth != 0 || !vector.remembered) return;
  vector.remembered = false;
  if (!vector.pin || pins_asserted_ != 0) raise(vector);
}

const CpuMask& Interrupts::affinity(pcie::RequesterId id, unsigned vector) const {
  return vector_of(id, vector).mask;
}

CpuId Interrupts::cpu_of(pcie::RequesterId id, unsigned vector) const {
  return vector_of(id, vector).cpu;
}

void Interrupts::message(std::uint64_t address, std::uint32_t data) {
  Vector* vector = data < vectors_.size() ? vectors_[data].get() : nullptr;
  if (vector == nullptr || vector->actions.empty() || address != vector->address || vector->pin) {
    ++spurious_;
    return;
  }
  ++vector->count.messages;
  if (vector->disable_depth != 0) {
    vector->remembered = true;
    return;
  }
  raise(*vector);
}

// A level: it interrupts again and again until the device has taken it back.
void Interrupts::pin(unsigned line, bool asserted) {
  const std::uint64_t bit = std::uint64_t{1} << (line & 63);
  pins_asserted_ = asserted ? pins_asserted_ | bit : pins_asserted_ & ~bit;
  if (!asserted) return;
  for (const auto& [id, function] : functions_) {
    if (function->kind != IrqKind::kPin || function->vectors[0]->actions.empty()) continue;
    Vector& vector = *function->vectors[0];
    ++vector.count.messages;
    if (vector.disable_depth != 0)
      vector.remembered = true;
    else
      raise(vector);
  }
}

void Interrupts::raise(Vector& vector) {
  if (vector.slice_pending) {
    ++vector.count.merged;
    return;
  }
  vector.slice_pending = true;
  const HostConfig& config = machine_.config();
  // A threaded handler pays for its switches when it runs.
  const std::int64_t switches = vector.threaded ? 0 : config.context_switch_ns;
  machine_.cpu(vector.cpu)
      .run(CpuPriority::kInterrupt,
           std::chrono::nanoseconds(std::int64_t{config.interrupt_ns} + switches),
           base::Callback::of<&Interrupts::slice_ended>(this, vector.irq));
}

// To the handler's thread, and from there to the waiting task.
void Interrupts::wake_thread(Vector& vector) {
  if (vector.thread_pending) {
    vector.thread_again = true;
    return;
  }
  vector.thread_pending = true;
  machine_.cpu(vector.cpu)
      .run(CpuPriority::kTask,
           std::chrono::nanoseconds(2 * std::int64_t{machine_.config().context_switch_ns}),
           base::Callback::of<&Interrupts::thread_ended>(this, vector.irq));
}

void Interrupts::thread_ended(std::uint64_t irq) {
  Vector& vector = *vectors_[irq];
  vector.thread_pending = false;
  for (std::size_t i = 0; i < vector.actions.size(); ++i) {
    if (vector.actions[i].threaded) vector.actions[i].handler->handle_irq();
  }
  if (std::exchange(vector.thread_again, false)) wake_thread(vector);
  if (!vector.thread_pending && !vector.idle.empty()) vector.idle.wake_all();
}

void Interrupts::slice_ended(std::uint64_t irq) {
  Vector& vector = *vectors_[irq];
  vector.slice_pending = false;
  bool handled = false;
  for (std::size_t i = 0; i < vector.actions.size(); ++i) {
    const Vector::Action& action = vector.actions[i];
    if (!action.threaded) {
      handled |= action.handler->handle_irq() == IrqReturn::kHandled;
    } else if (action.handler->irq_check()) {
      handled = true;
      wake_thread(vector);
    }
  }
  ++(handled ? vector.count.handled : vector.count.none);
  if (vector.pin && pins_asserted_ != 0 && !vector.actions.empty()) {
    if (vector.disable_depth != 0)
      vector.remembered = true;
    else
      raise(vector);
  }
  if (!vector.idle.empty()) vector.idle.wake_all();
}

std::vector<Interrupts::VectorCount> Interrupts::counts() const {
  std::vector<VectorCount> counts;
  for (const auto& vector : vectors_) {
    if (vector != nullptr && vector->allocated) counts.push_back(vector->count);
  }
  return counts;
}

}  // namespace nvmesim::host
