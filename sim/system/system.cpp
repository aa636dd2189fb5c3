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
  machine_ = base::with_path(
      "host", [&] { return std::make_unique<host::Machine>("host", config_.host, scheduler_); });
  if (hooks_.kernel_log) machine_->log.set_sink(hooks_.kernel_log);
  hardware_ =
      std::make_unique<Hardware>(config_, hooks_, scheduler_, stages_, statistics_, *machine_);
  bind();
  pcie::Iommu* iommu = hardware_->root_complex().iommu();
  if (iommu != nullptr) machine_->dma.use(*iommu);
  driver_ = std::make_unique<host::Nvme>(*machine_, stages_, config_.driver);
  if (config_.host.aer) aer_ = std::make_unique<host::AerService>(*machine_);
  workload_done_ = std::make_unique<host::Completion>(machine_->threads);
  register_statistics();
  if (hooks_.built) hooks_.built(*this);
}

System::~System() = default;

void System::bind() {
  constexpr auto kUp = base::Splice::Direction::kUpstream;
  pcie::RootComplex& root_complex = hardware_->root_complex();
  check::CheckedSockets& sockets = hardware_->sockets();
  sockets.bind("cpu", machine_->bus, root_complex.cpu);
  if (hooks_.foreign_memory) {
    machine_->use_debug_transport(hooks_.foreign_memory(root_complex, config_.host));
  } else {
    memory_ = base::with_path(
        "host", [&] { return std::make_unique<host::Memory>("memory", config_.host, scheduler_); });
    sockets.bind("memory", root_complex.memory, memory_->port, kUp);
    machine_->use_memory(*memory_);
  }
  hardware_->bind();
}

void System::register_statistics() {
  machine_->add_statistics(statistics_);
  if (aer_ != nullptr) aer_->add_statistics(statistics_, "host.aer");
  hardware_->register_statistics();
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
  hardware_->finish();
  if (scenario_error_) std::rethrow_exception(scenario_error_);
  return scenario_ended_;
}

bool System::boot() {
  const bool live = load_driver();
  driver_->register_statistics(statistics_, "host.nvme");
  return live;
}

const std::vector<pcie::FunctionInfo>& System::find_functions() {
  while (!hardware_->trained()) scheduler_.sleep(std::chrono::microseconds(100));
  Enumeration access(*machine_);
  functions_ = pcie::enumerate(access, config_.root_complex.window(), enumeration_options(config_));
  for (const pcie::FunctionInfo& function : functions_) machine_->dma.attach(function.id);
  return functions_;
}

bool System::load_driver() {
  find_functions();
  for (const pcie::FunctionInfo& function : functions_) driver_->probe(function);
  const bool live = driver_->wait_ready();
  if (aer_ != nullptr) {
    for (const auto& device : driver_->devices()) {
      const bool up = !device->removed() && device->ctrl().state() == host::CtrlState::kLive;
      if (up) aer_->watch(device->function(), *device);
    }
  }
  disks_ = driver_->disks();
  return live && !disks_.empty();
}

void System::forget_errors() {
  if (aer_ == nullptr) return;
  for (const auto& device : driver_->devices()) aer_->forget(device->function().id);
}

void System::shutdown() {
  shut_down_ = true;
  forget_errors();
  driver_->shutdown();
}

void System::remove() {
  forget_errors();
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
  // What a fault took away is never answered.
  const bool lossy = config_.link.faults.any() || config_.uplink.faults.any();
  return hardware_->sockets().violations(shut_down_ && !lossy);
}

}  // namespace nvmesim::system_
