// A splice between the link and an NVMe endpoint that writes down what passes: register accesses,
// admin commands as they are fetched, interrupts; in order, with the time at the device.
//
//   48344 MMIO R 4 @001c CSTS  = 0
//   10001757 ADMIN op 06 cid 28 nsid 0 prp1 cc1000 c10 1 c11 0
//   10002757 MSI-X vec 0 addr a0000 data 65
//
// It learns everything from the wire: where BAR0 lies from configuration writes, its size and the
// place of the MSI-X table from configuration reads, the admin queue from ASQ and AQA, the vectors
// from writes to the table. It changes nothing and costs no time and no Scheduler entry.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/scheduler.hpp"
#include "sim/base/splice.hpp"

namespace nvmesim::check {

struct WireTraceOptions {
  bool doorbells = false;  // also writes to doorbells
  bool msix_table = true;  // accesses to the MSI-X table and pending bits
  bool interrupts = true;
};

class WireTrace : public base::Splice {
 public:
  using Sink = std::function<void(std::string_view line)>;  // a line without its newline

  WireTrace(sc_core::sc_module_name name, const base::Scheduler& scheduler, Sink sink,
            WireTraceOptions options = {});

  // At the end of the run: writes what waits behind reads that were never answered (their value is
  // "?"). The sink is not called after it.
  void finish();

 private:
  // A line that waits for its value, or behind one that does.
  struct Line {
    std::string text;
    const tlm::tlm_generic_payload* read = nullptr;  // unanswered
  };
  // An entry of the MSI-X table as the host wrote it.
  struct Vector {
    std::array<std::uint8_t, 16> bytes{};
    std::uint64_t address() const;
    std::uint32_t data() const;
    bool masked() const { return (bytes[12] & 1) != 0; }
  };

  tlm::tlm_sync_enum forward(Lane& lane, tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                             sc_core::sc_time& delay) override;
  tlm::tlm_sync_enum backward(Lane& lane, tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                              sc_core::sc_time& delay) override;

  void to_device(const tlm::tlm_generic_payload& payload);
  void answered_by_device(const tlm::tlm_generic_payload& payload);
  void from_device(const tlm::tlm_generic_payload& payload);
  void answered_to_device(const tlm::tlm_generic_payload& payload);
  void config_write(std::uint64_t offset, std::span<const std::uint8_t> data);
  void config_read(std::uint64_t offset, std::span<const std::uint8_t> data);
  void find_msix();
  void register_write(std::uint64_t offset, std::span<const std::uint8_t> data);
  void admin_commands(std::uint64_t address, std::span<const std::uint8_t> data);

  bool in_bar0(std::uint64_t address) const;
  bool bar0_is_64_bits() const;
  bool in_msix(std::uint64_t offset) const;
  bool wanted(std::uint64_t offset) const;
  std::string name_of(std::uint64_t offset) const;
  std::uint64_t register_value(std::uint64_t offset, std::size_t bytes) const;
  // A line; with `read`, one that waits for the answer to that request.
  void emit(std::string text, const tlm::tlm_generic_payload* read = nullptr);
  static void give_up(Line& line);
  void drain();

  const base::Scheduler& scheduler_;
  Sink sink_;
  WireTraceOptions options_;
  std::deque<Line> lines_;

  // Configuration space as far as the host has seen it.
  std::array<std::uint8_t, 256> config_{};
  std::array<bool, 256> config_known_{};
  std::array<std::uint8_t, 8> bar0_written_{};
  std::uint64_t bar0_ = 0;  // 0: not assigned
  std::uint64_t bar0_bytes_;

  std::array<std::uint8_t, 64> registers_{};  // as written by the host
  unsigned doorbell_stride_ = 0;
  bool msix_known_ = false;
  std::uint64_t msix_table_ = 0;
  std::uint64_t msix_pending_ = 0;
  std::vector<Vector> vectors_;
};

}  // namespace nvmesim::check
