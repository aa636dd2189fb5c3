// A whole simulated system: host, root complex, link, drive, put together from a SystemConfig. It
// is the only place that chooses concrete parts. One System per process: SystemC elaborates once.
//
// Use: construct, then run(scenario). The scenario is a thread of the simulated host: it boots,
// runs workloads on the disk, shuts down; when it returns the simulation ends.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/kernel/aer.hpp"
#include "host/kernel/machine.hpp"
#include "host/nvme/dev.hpp"
#include "host/nvme/nvme.hpp"
#include "pcie/enumerator.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/stage.hpp"
#include "sim/base/statistics.hpp"
#include "sim/system/hardware.hpp"
#include "sim/system/system_config.hpp"
#include "sim/workload/runner.hpp"

namespace nvmesim::system_ {

class System;

// What a tool or a test adds to a system; nothing of it changes a result.
struct SystemHooks : HardwareHooks {
  host::KernelLog::Sink kernel_log;  // of the simulated host
  // Builds another memory than host::Memory and binds the root complex's memory socket to it.
  // Returns the module's transport interface, for the processors' own accesses.
  std::function<tlm::tlm_fw_transport_if<>&(pcie::RootComplex&, const host::HostConfig&)>
      foreign_memory;
  // Called when everything stands and nothing has run yet: arm points, keep references.
  std::function<void(System&)> built;
};

// A workload that stopped moving: why, and when.
struct Hang {
  std::string reason;
  base::Time at{0};
};

class System {
 public:
  // Throws UserError if parts of the configuration do not fit together.
  explicit System(const SystemConfig& config, SystemHooks hooks = {});
  ~System();
  System(const System&) = delete;
  System& operator=(const System&) = delete;

  // Runs the simulation until `scenario` returns, or until nothing is pending although it has not:
  // false then. An exception out of the scenario ends the simulation and comes out here.
  bool run(std::function<void()> scenario);

  // For the scenario. boot() enumerates the bus, loads the driver and waits for its disks; false if
  // no disk came up (the kernel log says why).
  bool boot();
  // Only enumerates the bus, for a driver of one's own.
  const std::vector<pcie::FunctionInfo>& find_functions();
  void shutdown();
  // Takes the functions away from the driver, and finds them again: what writing 1 to `remove` and
  // to `rescan` does in sysfs.
  void remove();
  bool rescan();
  // Of the link, in the order of SystemHooks::link_faults.
  const std::vector<std::unique_ptr<fault::RequestSplice>>& link_faults() const {
    return hardware_->link_faults();
  }
  // Runs a workload to its end; nothing, or why it hangs.
  std::optional<Hang> run_workload(workload::Runner& workload);

  host::BlockDevice* disk() { return disks_.empty() ? nullptr : disks_.front(); }
  const std::vector<pcie::FunctionInfo>& functions() const { return functions_; }

  const SystemConfig& config() const { return config_; }
  base::Scheduler& scheduler() { return scheduler_; }
  base::StatisticsRegistry& statistics() { return statistics_; }
  host::Machine& machine() { return *machine_; }
  host::Nvme& driver() { return *driver_; }
  pcie::Link& link() { return hardware_->link(); }
  // Null without one.
  pcie::Switch* pcie_switch() { return hardware_->pcie_switch(); }
  pcie::Link* uplink() { return hardware_->uplink(); }
  pcie::Endpoint& endpoint() { return hardware_->endpoint(); }
  pcie::RootComplex& root_complex() { return hardware_->root_complex(); }
  models::Media& media() { return hardware_->media(); }
  device::Controller& controller() { return hardware_->controller(); }
  FurtherControllers& further() { return hardware_->further(); }
  // Broken rules of the sockets; empty unless simulation.check_protocol is set. After shutdown()
  // what was never answered counts too; before, deferred writes may be under way.
  std::vector<std::string> protocol_violations();

 private:
  class Enumeration;
  void bind();
  bool load_driver();
  void register_statistics();
  void forget_errors();
  void watchdog();
  void workload_finished();

  const SystemConfig config_;
  SystemHooks hooks_;
  base::Scheduler scheduler_;
  base::StageJoin stages_;
  base::StatisticsRegistry statistics_;

  std::unique_ptr<host::Machine> machine_;
  std::unique_ptr<host::Memory> memory_;
  std::unique_ptr<Hardware> hardware_;
  std::unique_ptr<host::Nvme> driver_;
  std::unique_ptr<host::AerService> aer_;  // null without host.aer

  std::vector<pcie::FunctionInfo> functions_;
  std::vector<host::BlockDevice*> disks_;

  // The running workload and its watchdog.
  std::unique_ptr<host::Completion> workload_done_;
  workload::Runner* workload_ = nullptr;
  base::Scheduler::Handle watchdog_;
  std::uint64_t last_done_ = 0;  // Runner::work_done() at the last look
  std::optional<Hang> hang_;
  bool scenario_ended_ = false;
  bool shut_down_ = false;
  std::exception_ptr scenario_error_;
};

}  // namespace nvmesim::system_
