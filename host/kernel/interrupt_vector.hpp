// What Interrupts keeps of a vector and of a function; nobody else includes this.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/kernel/interrupts.hpp"
#include "host/kernel/threads.hpp"

namespace nvmesim::host {

struct Interrupts::Vector {
  Vector(std::uint32_t number, Threads& threads) : irq(number), idle(threads) {}

  struct Action {
    IrqHandler* handler;
    std::string name;
    bool threaded;
  };
  const std::uint32_t irq;
  bool allocated = false;
  CpuId cpu;
  CpuMask mask;
  std::vector<Action> actions;
  bool slice_pending = false;
  bool remembered = false;  // a message came while it was disabled
  unsigned disable_depth = 0;
  // Some action is threaded; its task slice is under way; and is wanted once more behind that.
  bool threaded = false;
  bool thread_pending = false;
  bool thread_again = false;
  // A pin: functions that share it, and its level.
  unsigned pin_users = 0;
  bool asserted = false;
  WaitQueue idle;
  VectorCount count;
};

struct Interrupts::Function {
  pcie::RequesterId id;
  IrqKind kind = IrqKind::kMsix;
  unsigned capability = 0;
  std::uint64_t table = 0;     // MSI-X: its address
  unsigned mask_register = 0;  // MSI: offset in configuration space; 0: it cannot be masked
  std::uint32_t masks = 0;     // ... and what is in it
  std::vector<Vector*> vectors;
};

}  // namespace nvmesim::host
