// Interrupts of the host: vectors, their affinity, MSI-X, MSI and pins of functions, and the cost
// of taking one. A message makes an interrupt slice on the vector's processor; at the end of the
// slice the handlers run (and may Cpu::charge() for the work they find). Messages that arrive while
// the slice is pending are one with it; those that arrive while the vector is disabled are
// remembered and taken when it is enabled again. A pin is a level: slices follow each other while
// it is asserted.
//
// alloc_irq_vectors, request_irq, free_irq and free_irq_vectors touch the MSI-X table and
// configuration space, so they wait: threads only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/kernel/cpu_id.hpp"
#include "host/kernel/threads.hpp"
#include "pcie/tlp.hpp"

namespace nvmesim::host {

class Machine;

enum class IrqReturn : std::uint8_t { kNone, kHandled };

class IrqHandler {
 public:
  virtual ~IrqHandler() = default;
  // At the end of the interrupt slice; must not wait.
  virtual IrqReturn handle_irq() = 0;
  // Of a threaded handler, at the end of the interrupt slice: whether its thread has work to do.
  virtual bool irq_check() { return true; }
};

// How a function sends its interrupts.
enum class IrqKind : std::uint8_t { kMsix, kMsi, kPin };

// How vectors are spread: the first `pre_vectors` get no affinity of their own; the others form
// sets, each spread over all processors. calc_sets(n) splits n vectors (those behind pre_vectors)
// and is asked for every number tried. Without it there is one set.
struct IrqAffinity {
  unsigned pre_vectors = 0;
  std::function<std::vector<unsigned>(unsigned vectors)> calc_sets;
};

// The processors of `cpus` spread over `vectors` groups: contiguous, sizes differ by at most one,
// larger ones first. With more vectors than processors the rest get all of them.
// Over nodes first: each gets groups as it has processors, at least one, and no group lies in two
// nodes; with fewer vectors than nodes a group is whole nodes.
std::vector<CpuMask> spread_affinity(unsigned vectors, unsigned cpus, unsigned nodes = 1);

class Interrupts {
 public:
  explicit Interrupts(Machine& machine);
  ~Interrupts();

  // At least `minimum`, at most `maximum` vectors of a function, enabled in configuration space,
  // every one masked (a pin cannot be). `types` is what may be used: the first of MSI-X, MSI, pin
  // that grants the minimum. Number granted, or -ENOSPC; -EINVAL without the capability. On a
  // kernel for one processor calc_sets is not asked.
  static constexpr unsigned kIrqMsix = 1, kIrqMsi = 2, kIrqPin = 4;
  static constexpr unsigned kIrqAllTypes = kIrqMsix | kIrqMsi | kIrqPin;
  int alloc_irq_vectors(pcie::RequesterId function, unsigned minimum, unsigned maximum,
                        const IrqAffinity& affinity = {}, unsigned types = kIrqMsix);
  void free_irq_vectors(pcie::RequesterId function);
  unsigned vectors_of(pcie::RequesterId function) const;
  // Of a function that has vectors.
  IrqKind kind_of(pcie::RequesterId function) const;

  // `vector` counts from 0 within the function. Handlers of one vector share it. A threaded one
  // runs in a task slice that the interrupt wakes if irq_check() says so. 0 or -EINVAL.
  int request_irq(pcie::RequesterId function, unsigned vector, IrqHandler& handler,
                  std::string name, bool threaded = false);
  // Waits until a pending slice (and thread) has run; afterwards the handler is not called any
  // more.
  void free_irq(pcie::RequesterId function, unsigned vector, IrqHandler& handler);
  // Counted. disable_irq waits like free_irq.
  void disable_irq(pcie::RequesterId function, unsigned vector);
  void enable_irq(pcie::RequesterId function, unsigned vector);

  // Processors that the vector is for, and the one that it interrupts.
  const CpuMask& affinity(pcie::RequesterId function, unsigned vector) const;
  CpuId cpu_of(pcie::RequesterId function, unsigned vector) const;

  // From Machine.
  void message(std::uint64_t address, std::uint32_t data);
  void pin(unsigned line, bool asserted);

  struct VectorCount {
    std::string name;  // of the first handler
    CpuId cpu;
    std::uint64_t messages = 0;
    std::uint64_t merged = 0;   // messages that found a slice pending
    std::uint64_t handled = 0;  // slices by what their handlers said
    std::uint64_t none = 0;
  };
  // Of vectors in use, as /proc/interrupts shows them.
  std::vector<VectorCount> counts() const;
  std::uint64_t vectors_in_use() const { return vectors_in_use_; }
  std::uint64_t handlers_in_use() const { return handlers_in_use_; }
  std::uint64_t spurious() const { return spurious_; }

 private:
  struct Vector;
  struct Function;
  struct Line {
    Vector* vector = nullptr;
    bool asserted = false;
  };
  static std::uint64_t message_address(CpuId cpu);
  int alloc_msix(Function& function, unsigned minimum, unsigned maximum,
                 const IrqAffinity& affinity);
  int alloc_msi(Function& function, unsigned minimum, unsigned maximum,
                const IrqAffinity& affinity);
  int alloc_pin(Function& function, unsigned minimum, const IrqAffinity& affinity);
  Vector& take_vector(std::uint32_t irq, const CpuMask& mask, CpuId cpu);
  Vector* vector_of_line(unsigned line) const;
  Vector& vector_of(pcie::RequesterId function, unsigned vector) const;
  void raise(Vector& vector);
  void raise_asserted(Vector& vector);
  void slice_ended(std::uint64_t irq);
  void wake_thread(Vector& vector);
  void thread_ended(std::uint64_t irq);
  void set_mask(pcie::RequesterId function, unsigned vector, bool masked);
  std::vector<CpuMask> masks_for(unsigned vectors, const IrqAffinity& affinity) const;
  CpuId choose_cpu(const CpuMask& mask);
  std::uint32_t take_irqs(std::uint32_t count);

  Machine& machine_;
  std::map<pcie::RequesterId, std::unique_ptr<Function>> functions_;
  std::vector<std::unique_ptr<Vector>> vectors_;  // by the number in the message's data
  std::vector<Line> lines_;
  std::vector<std::uint32_t> load_;  // vectors aimed at each processor
  std::uint64_t vectors_in_use_ = 0;
  std::uint64_t handlers_in_use_ = 0;
  std::uint64_t spurious_ = 0;  // messages of a vector that nobody owns
};

}  // namespace nvmesim::host
