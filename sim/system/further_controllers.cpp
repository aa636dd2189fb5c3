#include "sim/system/further_controllers.hpp"

#include <fmt/format.h>

#include "device/core.hpp"

namespace nvmesim::system_ {

FurtherControllers::FurtherControllers(const SystemConfig& config, base::Scheduler& scheduler,
                                       models::Media& media, const device::Controller& first,
                                       base::StageJoin& stages, const base::Log& log) {
  for (std::uint32_t i = 1; i < config.device.controllers; ++i) {
    Port port;
    port.link = std::make_unique<pcie::Link>(fmt::format("link{}", i).c_str(), config.link,
                                             scheduler, config.seed + i);
    port.endpoint = std::make_unique<pcie::Endpoint>(fmt::format("endpoint{}", i).c_str(),
                                                     config.device.endpoint, scheduler);
    device::ControllerConfig controller = config.device.controller;
    controller.identity.controller_id += i;
    port.controller = std::make_unique<device::Controller>(
        controller, scheduler, *port.endpoint, media, stages, log, config.device.media.keep_data,
        first.core().shared_subsystem);
    port.endpoint->attach(*port.controller);
    port.endpoint->set_link(*port.link);
    port.below = std::make_unique<pcie::BelowLink>(*port.link, *port.endpoint);
    ports_.push_back(std::move(port));
  }
}

void FurtherControllers::bind(pcie::RootComplex& root_complex, check::CheckedSockets& sockets) {
  constexpr auto kUp = base::Splice::Direction::kUpstream;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    Port& port = ports_[i];
    pcie::RootPort& root = root_complex.ports[i + 1];
    const auto name = [i](std::string_view what) { return fmt::format("{}{}", what, i + 1); };
    sockets.bind(name("root_down"), root.to_link, port.link->from_root);
    sockets.bind(name("root_up"), port.link->to_root, root.from_link, kUp);
    sockets.bind(name("device_down"), port.link->to_endpoint, port.endpoint->from_link);
    sockets.bind(name("device_up"), port.endpoint->to_link, port.link->from_endpoint, kUp);
    root.set_link(*port.link);
    root.attach_below(*port.below);
  }
}

void FurtherControllers::register_statistics(base::StatisticsRegistry& registry) const {
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    const std::string drive = fmt::format("device{}", i + 1);
    ports_[i].link->register_statistics(registry, fmt::format("link{}", i + 1));
    ports_[i].endpoint->register_statistics(registry, drive + ".endpoint");
    ports_[i].controller->register_statistics(registry, drive + ".controller");
  }
}

bool FurtherControllers::trained() const {
  for (const Port& port : ports_) {
    if (!port.link->up()) return false;
  }
  return true;
}

}  // namespace nvmesim::system_
