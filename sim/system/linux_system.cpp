#include "sim/system/linux_system.hpp"

#include <utility>

#include "device/core.hpp"

namespace nvmesim::system_ {
namespace {

SystemConfig with_memory(SystemConfig config, std::uint64_t bytes) {
  config.host.memory_bytes = bytes;
  config.root_complex.memory_bytes = bytes;
  return config;
}

bridge::LinuxHostConfig host_config(const SystemConfig& config, const LinuxOptions& options) {
  bridge::LinuxHostConfig result;
  result.memory.read_latency = std::chrono::nanoseconds(config.host.memory_read_latency_ns);
  result.memory.read_pace =
      base::Pace(std::uint64_t{config.host.memory_read_ns_per_kib} * 1000, base::kKiB);
  result.free_running = options.free_running;
  result.date_ns = options.date_ns;
  if (options.commands) result.free_run_ns = bridge::kWatchedFreeRunNs;
  return result;
}

}  // namespace

LinuxSystem::LinuxSystem(const SystemConfig& config, const LinuxOptions& options,
                         HardwareHooks hooks)
    : config_(with_memory(config, options.memory_bytes)),
      hooks_(std::move(hooks)),
      scheduler_("scheduler",
                 base::Time(static_cast<std::int64_t>(config.simulation.quantum_ns * 1000))) {
  host_ = std::make_unique<bridge::LinuxHost>("host", host_config(config_, options), scheduler_);
  hardware_ = std::make_unique<Hardware>(config_, hooks_, scheduler_, stages_, statistics_, *host_);
  check::CheckedSockets& sockets = hardware_->sockets();
  pcie::RootComplex& root_complex = hardware_->root_complex();
  sockets.bind("cpu", host_->function.bus, root_complex.cpu);
  sockets.bind("memory", root_complex.memory, host_->memory.port,
               base::Splice::Direction::kUpstream);
  hardware_->bind();
  bridge::Firmware::Options firmware;
  firmware.window = config_.root_complex.window();
  firmware.enumeration = enumeration_options(config_);
  firmware.trained = [this] { return hardware_->trained(); };
  firmware_ = std::make_unique<bridge::Firmware>(
      "firmware", scheduler_, host_->function, std::move(firmware),
      [this](const pcie::FunctionInfo* function) { firmware_done(function); });
  if (options.commands) watch_commands(options.commands);
  if (options.marks) host_->function.set_marks(options.marks);
  host_->register_statistics(statistics_);
  hardware_->register_statistics();
}

void LinuxSystem::watch_commands(bridge::CommandWatch::Sink sink) {
  const pcie::EndpointConfig& endpoint = config_.device.endpoint;
  bridge::CommandWatch::Drive drive;
  drive.dstrd = config_.device.controller.dstrd;
  drive.msix_table = endpoint.msix_table_offset;
  drive.msix_vectors = endpoint.msix_vectors;
  drive.block_bytes = [this](std::uint32_t nsid) -> std::uint64_t {
    const device::Namespace* space = hardware_->controller().core().namespaces.find(nsid);
    return space != nullptr ? space->format.block_bytes() : 0;
  };
  commands_ = std::make_unique<bridge::CommandWatch>(scheduler_, stages_, std::move(drive),
                                                     std::move(sink));
  host_->set_command_watch(*commands_);
}

void LinuxSystem::firmware_done(const pcie::FunctionInfo* function) {
  if (function != nullptr) {
    host_->start(*function, *owner_);
  } else {
    no_drive_ = true;
    scheduler_.stop();
  }
}

std::vector<std::string> LinuxSystem::protocol_violations() {
  // What a fault took away is never answered.
  const bool lossy = config_.link.faults.any() || config_.uplink.faults.any();
  return hardware_->sockets().violations(kernel_ended_ && !lossy);
}

bool LinuxSystem::run(bridge::KernelOwner& owner) {
  owner_ = &owner;
  try {
    scheduler_.simulate();
  } catch (const bridge::PeerError&) {
    hardware_->finish();
    throw;
  }
  hardware_->finish();
  if (no_drive_) throw base::UserError("linux: there is no function behind the link");
  kernel_ended_ = owner.ended();
  return kernel_ended_;
}

}  // namespace nvmesim::system_
