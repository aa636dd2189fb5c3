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

#include "device/controller.hpp"
#include "host/kernel/machine.hpp"
#include "host/nvme/nvme.hpp"
#include "models/media_factory.hpp"
#include "pcie/below_link.hpp"
#include "pcie/empty_slot.hpp"
#include "pcie/endpoint.hpp"
#include "pcie/enumerator.hpp"
#include "pcie/link.hpp"
#include "pcie/root_complex.hpp"
#include "sim/base/log.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/stage.hpp"
#include "sim/base/statistics.hpp"
#include "sim/check/checked_sockets.hpp"
#include "sim/check/wire_trace.hpp"
#include "sim/fault/request_splice.hpp"
#include "sim/system/system_config.hpp"
#include "sim/workload/runner.hpp"

namespace nvmesim::system_ {

class System;

// What a tool or a test adds to a system; nothing of it changes a result.
struct SystemHooks {
  base::Log log;                      // of the model
  host::KernelLog::Sink kernel_log;   // of the simulated host
  check::WireTrace::Sink wire_trace;  // spliced between link and drive if set
  check::WireTraceOptions wire_options;
  pcie::TlpLog tlp_log;  // of the drive's link
  // Faults of requests between link and drive, each in a splice of its own, behind the wire trace.
  std::vector<fault::RequestRule> link_faults;
  models::ConstructionOrder construction = models::ConstructionOrder::kForward;
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
  const std::vector<std::unique_ptr<fault::RequestSplice>>& link_faults() const { return faults_; }
  // Runs a workload to its end; nothing, or why it hangs.
  std::optional<Hang> run_workload(workload::Runner& workload);

  host::BlockDevice* disk() { return disks_.empty() ? nullptr : disks_.front(); }
  const std::vector<pcie::FunctionInfo>& functions() const { return functions_; }

  const SystemConfig& config() const { return config_; }
  base::Scheduler& scheduler() { return scheduler_; }
  base::StatisticsRegistry& statistics() { return statistics_; }
  host::Machine& machine() { return *machine_; }
  host::Nvme& driver() { return *driver_; }
  pcie::Link& link() { return *link_; }
  // Null without one.
  pcie::Switch* pcie_switch() { return switch_.get(); }
  pcie::Link* uplink() { return uplink_.get(); }
  pcie::Endpoint& endpoint() { return *endpoint_; }
  pcie::RootComplex& root_complex() { return *root_complex_; }
  models::Media& media() { return *media_; }
  device::Controller& controller() { return *controller_; }
  // Broken rules of the sockets; empty unless simulation.check_protocol is set. After shutdown()
  // what was never answered counts too; before, deferred writes may be under way.
  std::vector<std::string> protocol_violations();

 private:
  class Enumeration;
  void build_device();
  void bind();
  void bind_link();
  void bind_drive();
  pcie::BelowPort& below(pcie::Link& link, pcie::BelowPort& end);
  bool load_driver();
  void register_statistics();
  void watchdog();
  void workload_finished();

  const SystemConfig config_;
  SystemHooks hooks_;
  base::Scheduler scheduler_;
  base::StageJoin stages_;
  base::StatisticsRegistry statistics_;

  std::unique_ptr<host::Machine> machine_;
  std::unique_ptr<host::Memory> memory_;
  std::unique_ptr<pcie::RootComplex> root_complex_;
  std::unique_ptr<pcie::Link> uplink_;  // these two only if there is a switch
  std::unique_ptr<pcie::Switch> switch_;
  std::vector<std::unique_ptr<pcie::EmptySlot>> empty_slots_;
  std::vector<std::unique_ptr<pcie::BelowLink>> below_;
  std::unique_ptr<pcie::Link> link_;
  std::unique_ptr<pcie::Endpoint> endpoint_;
  std::unique_ptr<models::Media> media_;
  std::unique_ptr<device::Controller> controller_;
  std::unique_ptr<check::WireTrace> wire_trace_;
  std::vector<std::unique_ptr<fault::RequestSplice>> faults_;
  check::CheckedSockets sockets_;
  std::unique_ptr<host::Nvme> driver_;

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
