// Advanced error reporting: the service of the root ports. It lets functions and bridges report
// what they meet, takes the root ports' interrupts, logs and clears the errors, and recovers: a
// driver is told of each uncorrectable one; after a fatal one the bus below is reset, the bridges
// there get their configuration back, and the driver brings its function up again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "host/kernel/interrupts.hpp"
#include "host/kernel/pci_errors.hpp"
#include "host/kernel/work_queue.hpp"
#include "pcie/saved_config.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::host {

class Machine;

class AerService : public IrqHandler {
 public:
  explicit AerService(Machine& machine);
  ~AerService() override = default;

  // In a thread. The handlers stay until forget(), which waits for a recovery.
  void watch(const pcie::FunctionInfo& function, PciErrorHandlers& handlers);
  void forget(pcie::RequesterId function);

  IrqReturn handle_irq() override;
  std::uint64_t recoveries() const { return recoveries_; }
  void add_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;

 private:
  struct Watched {
    pcie::RequesterId id;
    std::vector<pcie::RequesterId> bridges;  // from the root port down
    PciErrorHandlers* handlers;
  };
  void start_port(pcie::RequesterId port);
  void stop_port(pcie::RequesterId port);
  void enable_reporting(pcie::RequesterId id);
  void look();
  void look_at(pcie::RequesterId port);
  void clear_status(pcie::RequesterId id, unsigned reg);
  void recover(pcie::RequesterId port, pcie::RequesterId source, bool fatal);
  bool reset_below(pcie::RequesterId port);
  std::vector<Watched> below(pcie::RequesterId source) const;

  Machine& machine_;
  Work work_;
  std::vector<Watched> watched_;
  std::map<pcie::RequesterId, unsigned> ports_;  // root ports, and functions below
  std::map<pcie::RequesterId, pcie::SavedConfig> bridges_;
  std::uint64_t correctable_ = 0;
  std::uint64_t non_fatal_ = 0;
  std::uint64_t fatal_ = 0;
  std::uint64_t recoveries_ = 0;
};

}  // namespace nvmesim::host
