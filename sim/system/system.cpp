#include "sim/system/system.hpp"

#include <fmt/format.h>

namespace nvmesim::system_ {
namespace {

base::Time milliseconds(std::uint64_t count) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(count));
}

}  // namespace

// Configuration accesses of the host while it enumerates the bus.
class System::Enumeration : public pcie::ConfigAccess {
 public:
  explicit Enumeration(host::Machine& machine) : machine_(machine) {}
  std::uint32_t read32(pcie::RequesterId function, unsigned offset) override {
    return machine_.read32(function, offset);
  }
  void write32(pcie::RequesterId function, unsigned offset, std::uint32_t value) override {
    machine_.write32(function, offset, value);
  }

 private:
  host::Machine& machine_;
};

System::System(const SystemConfig& config, SystemHooks hooks)
    : config_(config),
      hooks_(std::move(hooks)),
      scheduler_("scheduler",
                 base::Time(static_cast<std::int64_t>(config.simulation.quantum_ns * 1000))),
      sockets_(config.simulation.check_protocol, scheduler_) {
  machine_ = base::with_path(
      "host", [&] { return std::make_unique<host::Machine>("host", config_.host, scheduler_); });
  if (hooks_.kernel_log) machine_->log.set_sink(hooks_.kernel_log);
  root_complex_ = std::make_unique<pcie::RootComplex>("root_complex", config_.root_complex,
                                                      scheduler_, *machine_);
  if (config_.pcie_switch.ports != 0) {
    uplink_ = std::make_unique<pcie::Link>("uplink", config_.uplink, scheduler_, config_.seed);
    switch_ = std::make_unique<pcie::Switch>("pcie_switch", config_.pcie_switch, scheduler_);
  }
  link_ = std::make_unique<pcie::Link>("link", config_.link, scheduler_, config_.seed);
  endpoint_ = std::make_unique<pcie::Endpoint>("endpoint", config_.device.endpoint, scheduler_);
  build_device();
  if (hooks_.tlp_log) link_->set_tlp_log(hooks_.tlp_log);
  bind();
  driver_ = std::make_unique<host::Nvme>(*machine_, stages_, config_.driver);
  workload_done_ = std::make_unique<host::Completion>(machine_->threads);
  register_statistics();
  if (hooks_.built) hooks_.built(*this);
}

System::~System() = default;

void System::build_device() {
  media_ = base::with_path("device.media", [&] {
    return models::make_media(config_.device.media, scheduler_, config_.seed, statistics_,
                              "device.media", hooks_.construction);
  });
  controller_ = std::make_unique<device::Controller>(config_.device.controller, scheduler_,
                                                     *endpoint_, *media_, stages_, hooks_.log,
                                                     config_.device.media.keep_data);
  endpoint_->attach(*controller_);
  endpoint_->set_link(*link_);
  if (switch_) endpoint_->set_switch(*switch_);
}

void System::bind() {
  constexpr auto kUp = base::Splice::Direction::kUpstream;
  sockets_.bind("cpu", machine_->bus, root_complex_->cpu);
  if (hooks_.foreign_memory) {
    machine_->use_debug_transport(hooks_.foreign_memory(*root_complex_, config_.host));
  } else {
    memory_ = base::with_path(
        "host", [&] { return std::make_unique<host::Memory>("memory", config_.host, scheduler_); });
    sockets_.bind("memory", root_complex_->memory, memory_->port, kUp);
    machine_->use_memory(*memory_);
  }
  bind_link();
  bind_drive();
}

// Link and drive, with what tools want in between.
void System::bind_drive() {
  constexpr auto kUp = base::Splice::Direction::kUpstream;
  std::vector<base::Splice*> splices;
  if (hooks_.wire_trace) {
    wire_trace_ = std::make_unique<check::WireTrace>("wire_trace", scheduler_, hooks_.wire_trace,
                                                     hooks_.wire_options);
    splices.push_back(wire_trace_.get());
  }
  for (const fault::RequestRule& rule : hooks_.link_faults) {
    const std::string name = fmt::format("fault{}", faults_.size());
    faults_.push_back(std::make_unique<fault::RequestSplice>(name.c_str(), scheduler_, rule));
    splices.push_back(faults_.back().get());
  }
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

pcie::BelowPort& System::below(pcie::Link& link, pcie::BelowPort& end) {
  return *below_.emplace_back(std::make_unique<pcie::BelowLink>(link, end));
}

// The link's upper end: at the root port, or at the first port of a switch.
void System::bind_link() {
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
  uplink_->add_listener(*switch_);
  root_port.attach_below(below(*uplink_, *switch_));
  port.attach_below(below(*link_, *endpoint_));
  switch_->set_uplink(*uplink_);
  for (std::size_t i = 1; i < switch_->ports.size(); ++i) {
    auto& slot = empty_slots_.emplace_back(
        std::make_unique<pcie::EmptySlot>(fmt::format("empty_slot{}", i).c_str(), scheduler_));
    switch_->ports[i].to_link.bind(slot->from_port);
    slot->to_port.bind(switch_->ports[i].from_link);
  }
}

void System::register_statistics() {
  machine_->add_statistics(statistics_);
  root_complex_->register_statistics(statistics_, "root_complex");
  link_->register_statistics(statistics_, "link");
  endpoint_->register_statistics(statistics_, "device.endpoint");
  if (switch_) {
    uplink_->register_statistics(statistics_, "uplink");
    switch_->register_statistics(statistics_, "pcie_switch");
  }
  controller_->register_statistics(statistics_, "device.controller");
}

bool System::run(std::function<void()> scenario) {
  machine_->threads.spawn("scenario", [this, scenario = std::move(scenario)] {
    try {
      scenario();
    } catch (const std::exception&) {
      scenario_error_ = std::current_exception();
    }
    scenario_ended_ = true;
    scheduler_.stop();
  });
  scheduler_.simulate();
  if (wire_trace_) wire_trace_->finish();
  if (scenario_error_) std::rethrow_exception(scenario_error_);
  return scenario_ended_;
}

bool System::boot() {
  const bool live = load_driver();
  driver_->register_statistics(statistics_, "host.nvme");
  return live;
}

const std::vector<pcie::FunctionInfo>& System::find_functions() {
  // Firmware looks for functions when the links have trained.
  const auto trained = [this] { return link_->up() && (uplink_ == nullptr || uplink_->up()); };
  while (!trained()) scheduler_.sleep(std::chrono::microseconds(100));
  Enumeration access(*machine_);
  functions_ =
      pcie::enumerate(access, config_.root_complex.window(), config_.link.max_read_request_bytes);
  return functions_;
}

bool System::load_driver() {
  find_functions();
  for (const pcie::FunctionInfo& function : functions_) driver_->probe(function);
  const bool live = driver_->wait_ready();
  disks_ = driver_->disks();
  return live && !disks_.empty();
}

void System::shutdown() {
  shut_down_ = true;
  driver_->shutdown();
}

void System::remove() {
  driver_->remove();
  disks_.clear();
}

bool System::rescan() {
  return load_driver();
}

std::optional<Hang> System::run_workload(workload::Runner& workload) {
  workload_ = &workload;
  hang_.reset();
  last_done_ = 0;
  workload_done_->reinit();
  watchdog_ =
      scheduler_.after<&System::watchdog>(milliseconds(config_.simulation.hang_after_ms), this);
  workload.start(base::Callback::of<&System::workload_finished>(this));
  workload_done_->wait();
  scheduler_.cancel(watchdog_);
  workload_ = nullptr;
  return hang_;
}

void System::workload_finished() {
  workload_done_->complete();
}

// Ends a workload of which nothing has ended since the last look although a request was open then.
void System::watchdog() {
  const base::Time period = milliseconds(config_.simulation.hang_after_ms);
  const std::uint64_t done = workload_->work_done();
  const auto open = workload_->open_requests();  // oldest first
  if (done != last_done_ || open.empty() || open.front().submitted > scheduler_.now() - period) {
    last_done_ = done;
    watchdog_ = scheduler_.after<&System::watchdog>(period, this);
    return;
  }
  hang_ = Hang{
      fmt::format("no request ended for {} ms of simulated time", config_.simulation.hang_after_ms),
      scheduler_.now()};
  workload_done_->complete();
}

std::vector<std::string> System::protocol_violations() {
  return sockets_.violations(shut_down_);
}

}  // namespace nvmesim::system_
