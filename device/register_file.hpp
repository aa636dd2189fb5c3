// The controller registers (section 3.1) below the doorbells, and the life cycle that CC and CSTS
// describe: enable with its checks, ready after a time, disable as a controller reset, shutdown,
// NVM subsystem reset, fatal status.
#pragma once

#include <cstdint>

#include "device/spec/registers.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::device {

struct Core;

class RegisterFile {
 public:
  explicit RegisterFile(Core& core);

  // Aligned 32-bit accesses; 64-bit ones are two of them, the lower first.
  std::uint32_t read(std::uint32_t offset) const;
  void write(std::uint32_t offset, std::uint32_t value);

  // True if INTMS holds this vector's interrupt back; it is sent when INTMC lets it go. Both are
  // for the pin and MSI; with MSI-X the host masks vectors in its table (section 3.1.3).
  bool withhold_interrupt(std::uint16_t vector) {
    if (!masks(vector)) return false;
    withheld_ |= 1u << vector;
    return true;
  }
  bool masks(std::uint16_t vector) const {
    return interrupt_mask_ != 0 && vector < 32 && (interrupt_mask_ >> vector & 1) != 0 &&
           !masked_by_table();
  }
  bool ready() const { return csts_.rdy() && !csts_.cfs(); }
  std::uint64_t page_bytes() const { return cc_.page_bytes(); }
  const spec::Cap& cap() const { return cap_; }
  const spec::Cc& cc() const { return cc_; }
  const spec::Csts& csts() const { return csts_; }

  // The controller cannot go on: CSTS.CFS is set and nothing more is fetched.
  void fatal(const char* why, const char* section);
  // Every register back to its value after power on.
  void reset();
  // Function level or conventional reset; FunctionDevice does not tell them apart.
  void function_reset();
  // Another controller's or this one's NSSR was written.
  void subsystem_reset_arrived();
  // A firmware activation: nothing is fetched while CSTS.PP is 1.
  void pause();
  void resume();

  const std::uint64_t& resets_counter() const { return resets_; }

 private:
  bool masked_by_table() const;
  std::uint32_t vectors_with_entries() const;
  void mask_interrupts(std::uint32_t mask);
  void write_cc(spec::Cc wanted);
  void write_half(std::uint64_t& whole, bool upper, std::uint32_t value);
  void enable();
  const char* enable_fault() const;
  void enabled();
  void disable();
  void disabled();
  void start_shutdown();
  void forget_shutdown();
  void shutdown_step(std::uint64_t round);
  void media_ready();
  base::Time ready_latency();

  Core& core_;
  spec::Cap cap_;
  spec::Cc cc_;
  spec::Csts csts_;
  spec::Aqa aqa_;
  std::uint64_t asq_ = 0;
  std::uint64_t acq_ = 0;
  std::uint32_t interrupt_mask_ = 0;
  std::uint32_t withheld_ = 0;          // vectors whose interrupt INTMS kept from the host
  base::Scheduler::Handle transition_;  // to ready, or to not ready
  base::Scheduler::Handle shutdown_timer_;
  base::Scheduler::Handle media_timer_;  // to media ready, behind CSTS.RDY
  bool new_firmware_ = false;            // the next enable starts other firmware
  std::uint64_t shutdown_round_ = 0;     // tells a call-back of before a reset from a new one
  unsigned shutdown_steps_ = 0;
  std::uint64_t resets_ = 0;
};

}  // namespace nvmesim::device
