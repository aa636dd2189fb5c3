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
                 base::Time(static_cast<std::int64_t>(config.simulation.quantum_ns * 1000))) {
  machine_ = std::make_unique<host::Machine>("host", config_.host, scheduler_);
  if (hooks_.kernel_log) machine_->log.set_sink(hooks_.kernel_log);
  root_complex_ = std::make_unique<pcie::RootComplex>("root_complex", config_.root_complex,
                                                      scheduler_, *machine_);
  link_ = std::make_unique<pcie::Link>("link", config_.link, scheduler_);
  endpoint_ = std::make_unique<pcie::Endpoint>("endpoint", config_.device.endpoint, scheduler_);
  build_device();
  bind();
  driver_ = std::make_unique<host::Nvme>(*machine_, stages_, config_.driver);
  workload_done_ = std::make_unique<host::Completion>(machine_->threads);
  register_statistics();
  if (hooks_.built) hooks_.built(*this);
}

System::~System() = default;

void System::build_device() {
  media_ = models::make_media(config_.device.media, scheduler_, config_.seed, statistics_,
                              "device.media", hooks_.construction);
  controller_ = std::make_unique<device::Controller>(config_.device.controller, scheduler_,
                                                     *endpoint_, *media_, stages_, hooks_.log,
                                                     config_.device.media.keep_data);
  endpoint_->attach(*controller_);
  endpoint_->set_link(*link_);
}

// Binds an initiator to a target, through a protocol checker if they are wanted.
template <class Initiator, class Target>
void System::connect(const char* name, Initiator& initiator, Target& target,
                     base::Splice::Direction direction) {
  if (!config_.simulation.check_protocol) {
    initiator.bind(target);
    return;
  }
  checkers_.push_back(std::make_unique<check::BaseProtocolChecker>(
      fmt::format("check_{}", name).c_str(), scheduler_));
  const bool down = direction == base::Splice::Direction::kDownstream;
  base::Splice::Lane& lane = down ? checkers_.back()->downstream : checkers_.back()->upstream;
  initiator.bind(lane.in);
  lane.out.bind(target);
}

void System::bind() {
  constexpr auto kUp = base::Splice::Direction::kUpstream;
  connect("cpu", machine_->bus, root_complex_->cpu);
  if (hooks_.foreign_memory) {
    machine_->use_debug_transport(hooks_.foreign_memory(*root_complex_, config_.host));
  } else {
    memory_ = std::make_unique<host::Memory>("memory", config_.host, scheduler_);
    connect("memory", root_complex_->memory, memory_->port, kUp);
    machine_->use_memory(*memory_);
  }
  connect("root_down", root_complex_->ports[0].to_link, link_->from_root);
  connect("root_up", link_->to_root, root_complex_->ports[0].from_link, kUp);
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
    connect("device_down", link_->to_endpoint, endpoint_->from_link);
    connect("device_up", endpoint_->to_link, link_->from_endpoint, kUp);
    return;
  }
  connect("device_down", link_->to_endpoint, splices.front()->downstream.in);
  for (std::size_t i = 0; i + 1 < splices.size(); ++i) {
    splices[i]->downstream.out.bind(splices[i + 1]->downstream.in);
    splices[i + 1]->upstream.out.bind(splices[i]->upstream.in);
  }
  splices.back()->downstream.out.bind(endpoint_->from_link);
  connect("device_up", endpoint_->to_link, splices.back()->upstream.in, kUp);
  splices.front()->upstream.out.bind(link_->from_endpoint);
}

void System::register_statistics() {
  machine_->add_statistics(statistics_);
  root_complex_->register_statistics(statistics_, "root_complex");
  link_->register_statistics(statistics_, "link");
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
  Enumeration access(*machine_);
  functions_ =
      pcie::enumerate(access, {config_.root_complex.mmio_base, config_.root_complex.mmio_bytes},
                      config_.link.max_read_request_bytes);
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
  last_progress_ = 0;
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

// Ends a workload of which nothing has ended since the last look although requests are open.
void System::watchdog() {
  const workload::Progress progress = workload_->progress();
  const auto open = workload_->open_requests();
  if (progress.done != last_progress_ || open.empty()) {
    last_progress_ = progress.done;
    watchdog_ =
        scheduler_.after<&System::watchdog>(milliseconds(config_.simulation.hang_after_ms), this);
    return;
  }
  hang_ = Hang{
      fmt::format("no request ended for {} ms of simulated time", config_.simulation.hang_after_ms),
      scheduler_.now()};
  workload_done_->complete();
}

std::vector<std::string> System::protocol_violations() {
  std::vector<std::string> texts;
  for (auto& checker : checkers_) {
    checker->finish();
    for (const check::Violation& violation : checker->violations()) texts.push_back(violation.text);
  }
  return texts;
}

}  // namespace nvmesim::system_
