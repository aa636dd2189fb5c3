// The second and further controllers of a drive with several ports: each has an endpoint and a link
// of its own at a root port of its own, and all are in the NVM subsystem of the first, so that
// shared namespaces are reached through any of them.
#pragma once

#include <memory>
#include <vector>

#include "device/controller.hpp"
#include "models/media.hpp"
#include "pcie/below_link.hpp"
#include "pcie/endpoint.hpp"
#include "pcie/link.hpp"
#include "pcie/root_complex.hpp"
#include "sim/base/log.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/stage.hpp"
#include "sim/base/statistics.hpp"
#include "sim/check/checked_sockets.hpp"
#include "sim/system/system_config.hpp"

namespace nvmesim::system_ {

class FurtherControllers {
 public:
  // device.controllers - 1 of them; everything given outlives them.
  FurtherControllers(const SystemConfig& config, base::Scheduler& scheduler, models::Media& media,
                     const device::Controller& first, base::StageJoin& stages,
                     const base::Log& log);

  // Number i at the root port behind that of the one before.
  void bind(pcie::RootComplex& root_complex, check::CheckedSockets& sockets);
  void register_statistics(base::StatisticsRegistry& registry) const;
  // Every link is up.
  bool trained() const;
  std::size_t count() const { return ports_.size(); }
  device::Controller& controller(std::size_t index) { return *ports_[index].controller; }
  pcie::Link& link(std::size_t index) { return *ports_[index].link; }

 private:
  struct Port {
    std::unique_ptr<pcie::Link> link;
    std::unique_ptr<pcie::Endpoint> endpoint;
    std::unique_ptr<device::Controller> controller;
    std::unique_ptr<pcie::BelowLink> below;
  };
  std::vector<Port> ports_;
};

}  // namespace nvmesim::system_
