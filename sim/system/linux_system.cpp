#include "sim/system/linux_system.hpp"

#include <utility>

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
  host_->register_statistics(statistics_);
  hardware_->register_statistics();
}

void LinuxSystem::firmware_done(const pcie::FunctionInfo* function) {
  if (function != nullptr) {
    host_->start(*function, *owner_);
  } else {
    no_drive_ = true;
    scheduler_.stop();
  }
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
  return owner.ended();
}

}  // namespace nvmesim::system_
