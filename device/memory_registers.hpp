// The registers of controller memory buffer and persistent memory region (sections 3.1.12 to
// 3.1.23), and the checks of pointers into them. RegisterFile hands on what is theirs.
#pragma once

#include <cstdint>

#include "device/command.hpp"
#include "device/spec/registers.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::device {

class MemoryRegisters {
 public:
  explicit MemoryRegisters(Core& core);

  // Such a register.
  static bool owns(std::uint32_t offset);
  std::uint32_t read(std::uint32_t offset) const;
  void write(std::uint32_t offset, std::uint32_t value);

  // The host's accesses to the memory; false if this BAR is not of that kind.
  bool bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data);
  bool bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data);

  // Whether a queue, a list or the data of a command may lie at this address (section 4.7).
  bool submission_queue_ok(std::uint64_t address) const;
  bool completion_queue_ok(std::uint64_t address) const;
  bool list_ok(std::uint64_t address) const;
  // All of the command's data, whose pointer is mapped.
  bool data_ok(const Command& command, std::uint64_t bytes) const;

  // A controller reset leaves CMBMSC and the PMR registers as they are; this clears them. The
  // contents of the persistent memory stay.
  void reset();

 private:
  bool in_cmb(std::uint64_t address) const;
  void write_cmbmsc(std::uint64_t value);
  void write_pmrctl(std::uint32_t value);
  void write_pmrmsc(std::uint64_t value);
  void pmr_changed();

  Core& core_;
  std::uint64_t cmbmsc_ = 0;
  std::uint32_t cmbsts_ = 0;
  std::uint64_t pmrmsc_ = 0;
  std::uint32_t pmrctl_ = 0;
  std::uint32_t pmrsts_;
  base::Scheduler::Handle pmr_timer_;
};

}  // namespace nvmesim::device
