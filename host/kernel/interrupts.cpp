#include "host/kernel/interrupts.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "host/kernel/interrupt_vector.hpp"
#include "host/kernel/machine.hpp"

namespace nvmesim::host {

Interrupts::Interrupts(Machine& machine) : machine_(machine), load_(machine.cpus(), 0) {}
Interrupts::~Interrupts() = default;

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
    for (const CpuMask& mask : spread_affinity(set, cpus, machine_.config().numa_nodes)) {
      if (masks.size() < vectors) masks.push_back(mask);
    }
  }
  NVMESIM_ASSERT(masks.size() == vectors, "the sets of vectors are fewer than the vectors");
  return masks;
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

int Interrupts::request_irq(pcie::RequesterId id, unsigned number, IrqHandler& handler,
                            std::string name, bool threaded) {
  if (number >= vectors_of(id)) return -EINVAL;
  Vector& vector = vector_of(id, number);
  if (vector.actions.empty()) vector.count.name = name;
  vector.actions.push_back({&handler, std::move(name), threaded});
  vector.threaded |= threaded;
  ++handlers_in_use_;
  if (vector.actions.size() == 1) {
    set_mask(id, number, false);
    raise_asserted(vector);
  }
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
  vector.threaded = std::any_of(vector.actions.begin(), vector.actions.end(),
                                [](const Vector::Action& action) { return action.threaded; });
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
  if (--vector.disable_depth != 0 || !(vector.remembered || vector.asserted)) return;
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
  if (vector == nullptr || vector->actions.empty() || vector->pin_users != 0 ||
      address != message_address(vector->cpu)) {
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

Interrupts::Vector* Interrupts::vector_of_line(unsigned line) const {
  return line < lines_.size() ? lines_[line].vector : nullptr;
}

// A level: as long as it is asserted, the end of a slice begins the next one.
void Interrupts::pin(unsigned line, bool asserted) {
  if (line >= lines_.size()) lines_.resize(line + 1);
  lines_[line].asserted = asserted;
  Vector* vector = lines_[line].vector;
  if (vector == nullptr) {
    if (asserted) ++spurious_;
    return;
  }
  vector->asserted = asserted;
  if (!asserted) return;
  ++vector->count.messages;
  raise_asserted(*vector);
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
  raise_asserted(vector);
  if (!vector.idle.empty()) vector.idle.wake_all();
}

// A pin is a level. It would keep the processor from a threaded handler, so it waits for that.
void Interrupts::raise_asserted(Vector& vector) {
  if (!vector.asserted || vector.disable_depth != 0 || vector.actions.empty()) return;
  if (!vector.thread_pending) raise(vector);
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
  raise_asserted(vector);
  if (!vector.thread_pending && !vector.idle.empty()) vector.idle.wake_all();
}

std::vector<Interrupts::VectorCount> Interrupts::counts() const {
  std::vector<VectorCount> counts;
  for (const auto& vector : vectors_) {
    if (vector != nullptr && vector->allocated) counts.push_back(vector->count);
  }
  return counts;
}

}  // namespace nvmesim::host
