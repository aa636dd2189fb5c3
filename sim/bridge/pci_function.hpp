// One PCI function as the kernel sees it (virtio_pcidev: linux/virtio_pcidev.h), and the requests
// at the root complex that its accesses become. Commands are taken in order; a read or a
// configuration write holds up those behind it until its completion came, as a processor would.
//
// The kernel names a BAR and an offset in it; where the BAR lies is followed in configuration
// writes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "pcie/enumerator.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/sockets.hpp"
#include "sim/base/statistics.hpp"
#include "sim/bridge/command_watch.hpp"
#include "sim/bridge/vhost_user.hpp"

namespace nvmesim::bridge {

// Commands of the kernel, and with kMsi messages to it.
enum class PcidevOp : std::uint8_t {
  kConfigRead = 1,
  kConfigWrite = 2,
  kMmioRead = 3,
  kMmioWrite = 4,
  kMmioSet = 5,
  kPin = 6,
  kMsi = 7,
};
struct PcidevHeader {
  std::uint8_t op;
  std::uint8_t bar;
  std::uint16_t reserved;
  std::uint32_t size;
  std::uint64_t address;
};
static_assert(sizeof(PcidevHeader) == 16);

class PciFunction : public sc_core::sc_module {
  void response(base::GenericPayload& payload);

 public:
  base::InitiatorSocket<PciFunction, &PciFunction::response> bus;  // to RootComplex::cpu

  PciFunction(sc_core::sc_module_name name, base::Scheduler& scheduler);

  // For firmware: one configuration access of 4 bytes. `answered` is called at its completion, and
  // the caller releases the payload.
  pcie::TlpPayload* configuration(tlm::tlm_command command, pcie::RequesterId function,
                                  unsigned offset, std::uint32_t value, base::Callback answered);

  // Before the kernel runs: who it is, where firmware put its BARs, and whence commands come.
  void connect(const pcie::FunctionInfo& function, VhostUserServer& server);
  // There are commands in queue 0. Inside an entry.
  void kicked() { take(); }
  // Writes that the kernel has not been told are done; it forgets them only when it is called, and
  // loses writes if it has no room.
  unsigned untold_writes() const { return untold_writes_; }
  void told() { untold_writes_ = 0; }

  using Watch = std::function<void(PcidevOp op, const PcidevHeader& header)>;
  // Sees every command when it is taken.
  void set_watch(Watch watch) { watch_ = std::move(watch); }

  // Sees the kernel's writes to registers.
  void set_command_watch(CommandWatch& watch) { commands_ = &watch; }
  // Sees what the guest's first program says of the command (guest/run_marks.hpp).
  void set_marks(std::function<void(unsigned char mark)> marks) { marks_ = std::move(marks); }

  void register_statistics(base::StatisticsRegistry& registry, const std::string& prefix) const;

 private:
  void take();
  bool start(VirtqueueChain chain);
  void start_read(const PcidevHeader& header, pcie::TlpKind kind, std::uint64_t address);
  void write(const PcidevHeader& header, pcie::TlpKind kind, std::uint64_t address);
  void config_written(std::uint64_t offset, std::span<const std::byte> data);
  std::uint64_t bar_address(unsigned bar) const;
  pcie::TlpPayload* make(pcie::TlpKind kind, tlm::tlm_command command, pcie::RequesterId function,
                         std::uint64_t address, const void* data, std::size_t bytes);
  void finish();

  base::Scheduler& scheduler_;
  VhostUserServer* server_ = nullptr;
  pcie::FunctionInfo function_;
  std::array<std::uint32_t, 6> bars_{};
  pcie::TlpPool tlps_;
  Watch watch_;
  CommandWatch* commands_ = nullptr;
  std::function<void(unsigned char)> marks_;

  // The command under way.
  bool busy_ = false;
  VirtqueueChain chain_;
  std::vector<std::byte> input_;   // of the chain, in one piece
  std::vector<std::byte> output_;  // what a read returns
  unsigned open_ = 0;              // requests without completion

  unsigned untold_writes_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t writes_ = 0;
};

}  // namespace nvmesim::bridge
