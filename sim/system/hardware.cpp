#include "sim/system/hardware.hpp"

#include <fmt/format.h>

namespace nvmesim::system_ {

Hardware::Hardware(const SystemConfig& config, const HardwareHooks& hooks,
                   base::Scheduler& scheduler, base::StageJoin& stages,
                   base::StatisticsRegistry& statistics, pcie::HostPort& host)
    : config_(config),
      scheduler_(scheduler),
      stages_(stages),
      statistics_(statistics),
      sockets_(config.simulation.check_protocol, scheduler_) {
  root_complex_ =
      std::make_unique<pcie::RootComplex>("root_complex", config_.root_complex, scheduler_, host);
  if (config_.pcie_switch.ports != 0) {
    uplink_ = std::make_unique<pcie::Link>("uplink", config_.uplink, scheduler_, config_.seed);
    switch_ = std::make_unique<pcie::Switch>("pcie_switch", config_.pcie_switch, scheduler_);
  }
  link_ = std::make_unique<pcie::Link>("link", config_.link, scheduler_, config_.seed);
  endpoint_ = std::make_unique<pcie::Endpoint>("endpoint", config_.device.endpoint, scheduler_);
  build_device(hooks);
  if (hooks.tlp_log) link_->set_tlp_log(hooks.tlp_log);
  if (hooks.wire_trace) {
    wire_trace_ = std::make_unique<check::WireTrace>("wire_trace", scheduler_, hooks.wire_trace,
                                                     hooks.wire_options);
  }
  for (const fault::RequestRule& rule : hooks.link_faults) {
    const std::string name = fmt::format("fault{}", faults_.size());
    faults_.push_back(std::make_unique<fault::RequestSplice>(name.c_str(), scheduler_, rule));
  }
}

void Hardware::build_device(const HardwareHooks& hooks) {
  media_ = base::with_path("device.media", [&] {
    return models::make_media(config_.device.media, scheduler_, config_.seed, statistics_,
                              "device.media", hooks.construction);
  });
  controller_ = std::make_unique<device::Controller>(config_.device.controller, scheduler_,
                                                     *endpoint_, *media_, stages_, hooks.log,
                                                     config_.device.media.keep_data);
  endpoint_->attach(*controller_);
  endpoint_->set_link(*link_);
  if (switch_) endpoint_->set_switch(*switch_);
  further_ = std::make_unique<FurtherControllers>(config_, scheduler_, *media_, *controller_,
                                                  stages_, hooks.log);
  set_access();
}

void Hardware::set_access() {
  for (std::size_t i = 0; i < config_.device.access.size(); ++i) {
    device::spec::AnaState state = device::spec::AnaState::kOptimized;
    if (config_.device.access[i] == PortAccess::non_optimized)
      state = device::spec::AnaState::kNonOptimized;
    if (config_.device.access[i] == PortAccess::inaccessible)
      state = device::spec::AnaState::kInaccessible;
    device::Controller& controller = i == 0 ? *controller_ : further_->controller(i - 1);
    for (std::uint32_t group = 1; group <= config_.device.controller.management.ana_groups; ++group)
      controller.set_ana_state(group, state);
  }
}

void Hardware::bind() {
  bind_link();
  bind_drive();
  further_->bind(*root_complex_, sockets_);
}

// Link and drive, with what tools want in between.
void Hardware::bind_drive() {
  constexpr auto kUp = base::Splice::Direction::kUpstream;
  std::vector<base::Splice*> splices;
  if (wire_trace_) splices.push_back(wire_trace_.get());
  for (const auto& fault : faults_) splices.push_back(fault.get());
  if (splices.empty()) {
    sockets_.bind("device_down", link_->to_endpoint, endpoint_->from_link);
    sockets_.bind("device_up", endpoint_->to_link, link_->from_endpoint, kUp);
    return;
  }
  sockets_.bind("device_down", link_->to_endpoint, splices.front()->downstream.in);
  for (std::size_t i = 0; i + 1 < splices.size(); ++i) {
    splices[i]->downstream.out.bind(splices[i + 1]->downstream.in);
    splices[i + 1]->upstream.out.bind(splices[i]->upstream.in);
  }
  splices.back()->downstream.out.bind(endpoint_->from_link);
  sockets_.bind("device_up", endpoint_->to_link, splices.back()->upstream.in, kUp);
  splices.front()->upstream.out.bind(link_->from_endpoint);
}

pcie::BelowPort& Hardware::below(pcie::Link& link, pcie::BelowPort& end) {
  return *below_.emplace_back(std::make_unique<pcie::BelowLink>(link, end));
}

// The link's upper end: at the root port, or at the first port of a switch.
void Hardware::bind_link() {
  constexpr auto kUp = base::Splice::Direction::kUpstream;
  pcie::RootPort& root_port = root_complex_->ports[0];
  if (!switch_) {
    sockets_.bind("root_down", root_port.to_link, link_->from_root);
    sockets_.bind("root_up", link_->to_root, root_port.from_link, kUp);
    root_port.set_link(*link_);
    root_port.attach_below(below(*link_, *endpoint_));
    return;
  }
  pcie::SwitchPort& port = switch_->ports[0];
  sockets_.bind("root_down", root_port.to_link, uplink_->from_root);
  sockets_.bind("root_up", uplink_->to_root, root_port.from_link, kUp);
  sockets_.bind("switch_down", uplink_->to_endpoint, switch_->from_up);
  sockets_.bind("switch_up", switch_->to_up, uplink_->from_endpoint, kUp);
  sockets_.bind("port_down", port.to_link, link_->from_root);
  sockets_.bind("port_up", link_->to_root, port.from_link, kUp);
  root_port.set_link(*uplink_);
  root_port.attach_below(below(*uplink_, *switch_));
  port.attach_below(below(*link_, *endpoint_));
  port.set_link(*link_);
  switch_->set_uplink(*uplink_);
  for (std::size_t i = 1; i < switch_->ports.size(); ++i) {
    auto& slot = empty_slots_.emplace_back(
        std::make_unique<pcie::EmptySlot>(fmt::format("empty_slot{}", i).c_str(), scheduler_));
    switch_->ports[i].to_link.bind(slot->from_port);
    slot->to_port.bind(switch_->ports[i].from_link);
  }
}

void Hardware::register_statistics() {
  root_complex_->register_statistics(statistics_, "root_complex");
  link_->register_statistics(statistics_, "link");
  endpoint_->register_statistics(statistics_, "device.endpoint");
  if (switch_) {
    uplink_->register_statistics(statistics_, "uplink");
    switch_->register_statistics(statistics_, "pcie_switch");
  }
  controller_->register_statistics(statistics_, "device.controller");
  further_->register_statistics(statistics_);
}

void Hardware::finish() {
  if (wire_trace_) wire_trace_->finish();
}

}  // namespace nvmesim::system_
