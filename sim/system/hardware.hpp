// Root complex, link and drive, put together from a SystemConfig, below whoever is the host: our
// simulated machine (System) or a real kernel (LinuxSystem). It binds everything but the host's own
// two sockets, which the owner binds with sockets() to root_complex().cpu and .memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/controller.hpp"
#include "models/media_factory.hpp"
#include "pcie/below_link.hpp"
#include "pcie/empty_slot.hpp"
#include "pcie/endpoint.hpp"
#include "pcie/link.hpp"
#include "pcie/root_complex.hpp"
#include "sim/base/log.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/stage.hpp"
#include "sim/base/statistics.hpp"
#include "sim/check/checked_sockets.hpp"
#include "sim/check/wire_trace.hpp"
#include "sim/fault/request_splice.hpp"
#include "sim/system/further_controllers.hpp"
#include "sim/system/system_config.hpp"

namespace nvmesim::system_ {

// What a tool or a test adds to the hardware; nothing of it changes a result.
struct HardwareHooks {
  base::Log log;                      // of the model
  check::WireTrace::Sink wire_trace;  // spliced between link and drive if set
  check::WireTraceOptions wire_options;
  pcie::TlpLog tlp_log;  // of the drive's link
  // Faults of requests between link and drive, each in a splice of its own, behind the wire trace.
  std::vector<fault::RequestRule> link_faults;
  models::ConstructionOrder construction = models::ConstructionOrder::kForward;
};

class Hardware {
 public:
  // The references and `config` outlive it.
  Hardware(const SystemConfig& config, const HardwareHooks& hooks, base::Scheduler& scheduler,
           base::StageJoin& stages, base::StatisticsRegistry& statistics, pcie::HostPort& host);
  Hardware(const Hardware&) = delete;
  Hardware& operator=(const Hardware&) = delete;

  // Of the host's sockets.
  check::CheckedSockets& sockets() { return sockets_; }
  // After these two are bound: the rest.
  void bind();
  void register_statistics();

  // Firmware looks for functions when the links have trained.
  bool trained() const {
    return link_->up() && (uplink_ == nullptr || uplink_->up()) && further_->trained();
  }
  // At the end of the run: what the traces hold back.
  void finish();

  pcie::Link& link() { return *link_; }
  // Null without one.
  pcie::Switch* pcie_switch() { return switch_.get(); }
  pcie::Link* uplink() { return uplink_.get(); }
  pcie::Endpoint& endpoint() { return *endpoint_; }
  pcie::RootComplex& root_complex() { return *root_complex_; }
  models::Media& media() { return *media_; }
  device::Controller& controller() { return *controller_; }
  FurtherControllers& further() { return *further_; }
  // In the order of HardwareHooks::link_faults.
  const std::vector<std::unique_ptr<fault::RequestSplice>>& link_faults() const { return faults_; }

 private:
  void build_device(const HardwareHooks& hooks);
  void set_access();
  void bind_link();
  void bind_drive();
  pcie::BelowPort& below(pcie::Link& link, pcie::BelowPort& end);

  const SystemConfig& config_;
  base::Scheduler& scheduler_;
  base::StageJoin& stages_;
  base::StatisticsRegistry& statistics_;
  std::unique_ptr<pcie::RootComplex> root_complex_;
  std::unique_ptr<pcie::Link> uplink_;  // these two only if there is a switch
  std::unique_ptr<pcie::Switch> switch_;
  std::vector<std::unique_ptr<pcie::EmptySlot>> empty_slots_;
  std::vector<std::unique_ptr<pcie::BelowLink>> below_;
  std::unique_ptr<pcie::Link> link_;
  std::unique_ptr<pcie::Endpoint> endpoint_;
  std::unique_ptr<models::Media> media_;
  std::unique_ptr<device::Controller> controller_;
  std::unique_ptr<FurtherControllers> further_;  // of a drive with several ports
  std::unique_ptr<check::WireTrace> wire_trace_;
  std::vector<std::unique_ptr<fault::RequestSplice>> faults_;
  check::CheckedSockets sockets_;
};

}  // namespace nvmesim::system_
