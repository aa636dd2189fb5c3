#include "host/kernel/interrupts.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "host/kernel/machine.hpp"
#include "pcie/host_port.hpp"

namespace nvmesim::host {
namespace {

// PCI local bus specification 3.0, 6.8.2: MSI-X capability and table.
constexpr std::uint8_t kMsixCapability = 0x11;
constexpr unsigned kMessageControl = 2;
constexpr unsigned kTableOffset = 4;
constexpr std::uint16_t kMsixEnable = 1u << 15;
constexpr std::uint16_t kMsixFunctionMask = 1u << 14;
constexpr unsigned kEntryBytes = 16;
constexpr unsigned kEntryData = 8;
constexpr unsigned kEntryControl = 12;
constexpr unsigned kFirstBar = 0x10;

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
  };
  const std::uint32_t irq;
  bool allocated = false;
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
  unsigned capability = 0;
  std::uint64_t table = 0;  // its address
  std::vector<Vector*> vectors;
};

Interrupts::Interrupts(Machine& machine) : machine_(machine), load_(machine.cpus(), 0) {}
Interrupts::~Interrupts() = default;

std::uint32_t Interrupts::take_irq() {
  std::uint32_t irq = kFirstIrq;
  while (irq < vectors_.size() && vectors_[irq] != nullptr && vectors_[irq]->allocated) ++irq;
  if (irq >= vectors_.size()) vectors_.resize(irq + 1);
  if (vectors_[irq] == nullptr) vectors_[irq] = std::make_unique<Vector>(irq, machine_.threads);
  return irq;
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
  if (affinity.calc_sets) sets = affinity.calc_sets(spread);
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
  const unsigned capability = pcie::find_capability(machine_, id, kMsixCapability);
  if (capability == 0) return -EINVAL;
  const std::uint16_t control = machine_.read16(id, capability + kMessageControl);
  const unsigned granted = std::min<unsigned>(maximum, (control & 0x7ffu) + 1);
  if (granted < minimum) return -ENOSPC;

  auto function = std::make_unique<Function>();
  function->id = id;
  function->capability = capability;
  const std::uint32_t place = machine_.read32(id, capability + kTableOffset);
  const unsigned bar = kFirstBar + 4 * (place & 7);
  const std::uint32_t low = machine_.read32(id, bar);
  std::uint64_t base_address = low & ~0xfu;
  if ((low & 0x6) == 0x4) base_address |= std::uint64_t{machine_.read32(id, bar + 4)} << 32;
  function->table = base_address + (place & ~7u);

  machine_.write16(id, capability + kMessageControl,
                   static_cast<std::uint16_t>(control | kMsixEnable | kMsixFunctionMask));
  const std::vector<CpuMask> masks = masks_for(granted, affinity);
  for (unsigned i = 0; i < granted; ++i) {
    Vector& vector = *vectors_[take_irq()];
    vector.allocated = true;
    vector.mask = masks[i];
    vector.cpu = choose_cpu(masks[i]);
    vector.count = {};
    vector.count.cpu = vector.cpu;
    function->vectors.push_back(&vector);
    const std::uint64_t entry = function->table + i * kEntryBytes;
    machine_.writel(entry + kEntryControl, 1);
    machine_.lo_hi_writeq(entry, message_address(vector.cpu));
    machine_.writel(entry + kEntryData, vector.irq);
  }
  vectors_in_use_ += granted;
  machine_.write16(id, capability + kMessageControl,
                   static_cast<std::uint16_t>((control & ~kMsixFunctionMask) | kMsixEnable));
  functions_[id] = std::move(function);
  return static_cast<int>(granted);
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
  const std::uint16_t control = machine_.read16(id, function.capability + kMessageControl);
  machine_.write16(id, function.capability + kMessageControl,
                   static_cast<std::uint16_t>(control & ~kMsixEnable));
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
  const std::uint64_t control = functions_.at(id)->table + vector * kEntryBytes + kEntryControl;
  machine_.writel(control, masked ? 1 : 0);
  if (masked) machine_.readl(control);
}

int Interrupts::request_irq(pcie::RequesterId id, unsigned number, IrqHandler& handler,
                            std::string name) {
  if (number >= vectors_of(id)) return -EINVAL;
  Vector& vector = vector_of(id, number);
  if (vector.actions.empty()) vector.count.name = name;
  vector.actions.push_back({&handler, std::move(name)});
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
  vector.idle.wait([&vector] { return !vector.slice_pending; });
}

void Interrupts::enable_irq(pcie::RequesterId id, unsigned number) {
  Vector& vector = vector_of(id, number);
  NVMESIM_ASSERT(vector.disable_depth != 0, "an interrupt was enabled more often than disabled");
  if (--vector.disable_depth != 0 || !vector.remembered) return;
  vector.remembered = false;
  raise(vector);
}

const CpuMask& Interrupts::affinity(pcie::RequesterId id, unsigned vector) const {
  return vector_of(id, vector).mask;
}

CpuId Interrupts::cpu_of(pcie::RequesterId id, unsigned vector) const {
  return vector_of(id, vector).cpu;
}

void Interrupts::message(std::uint64_t address, std::uint32_t data) {
  Vector* vector = data < vectors_.size() ? vectors_[data].get() : nullptr;
  if (vector == nullptr || vector->actions.empty() || address != message_address(vector->cpu)) {
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

void Interrupts::raise(Vector& vector) {
  if (vector.slice_pending) {
    ++vector.count.merged;
    return;
  }
  vector.slice_pending = true;
  const HostConfig& config = machine_.config();
  machine_.cpu(vector.cpu)
      .run(CpuPriority::kInterrupt,
           std::chrono::nanoseconds(std::int64_t{config.interrupt_ns} + config.context_switch_ns),
           base::Callback::of<&Interrupts::slice_ended>(this, vector.irq));
}

void Interrupts::slice_ended(std::uint64_t irq) {
  Vector& vector = *vectors_[irq];
  vector.slice_pending = false;
  bool handled = false;
  for (std::size_t i = 0; i < vector.actions.size(); ++i) {
    handled |= vector.actions[i].handler->handle_irq() == IrqReturn::kHandled;
  }
  ++(handled ? vector.count.handled : vector.count.none);
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
