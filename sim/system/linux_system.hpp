// A simulated drive below a real kernel: the same hardware as System's, with a User-Mode Linux
// kernel's process in place of our own host. One per process: SystemC elaborates once.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "sim/bridge/command_watch.hpp"
#include "sim/bridge/firmware.hpp"
#include "sim/bridge/linux_host.hpp"
#include "sim/system/hardware.hpp"

namespace nvmesim::system_ {

struct LinuxOptions {
  std::uint64_t memory_bytes = 512 * base::kMiB;  // of the kernel
  bool free_running = true;                       // bridge::LinuxHostConfig
  std::uint64_t date_ns = 0;                      // what its calendar shows at its time 0
  // Gets each I/O command of the kernel when it is done with; nobody does without it.
  bridge::CommandWatch::Sink commands;
  std::function<void(unsigned char mark)> marks;  // bridge/guest/run_marks.hpp
};

class LinuxSystem {
 public:
  // Throws UserError if parts of the configuration do not fit together.
  LinuxSystem(const SystemConfig& config, const LinuxOptions& options, HardwareHooks hooks);
  LinuxSystem(const LinuxSystem&) = delete;
  LinuxSystem& operator=(const LinuxSystem&) = delete;

  // Before the kernel's process starts: where it will find its time and its bus.
  void listen(const std::string& time_path, const std::string& pci_path) {
    host_->listen(time_path, pci_path);
  }
  // Runs until the kernel has ended: true; false if it sleeps and nothing will ever wake it.
  // Throws PeerError, and UserError if there is no drive behind the link.
  bool run(bridge::KernelOwner& owner);

  const SystemConfig& config() const { return config_; }
  base::Scheduler& scheduler() { return scheduler_; }
  base::StatisticsRegistry& statistics() { return statistics_; }
  bridge::LinuxHost& host() { return *host_; }
  Hardware& hardware() { return *hardware_; }
  // Null without LinuxOptions::commands.
  bridge::CommandWatch* commands() { return commands_.get(); }
  // Of the protocol checkers, once the run is over.
  std::vector<std::string> protocol_violations();

 private:
  void watch_commands(bridge::CommandWatch::Sink sink);
  void firmware_done(const pcie::FunctionInfo* function);

  const SystemConfig config_;
  HardwareHooks hooks_;
  base::Scheduler scheduler_;
  base::StageJoin stages_;
  base::StatisticsRegistry statistics_;
  std::unique_ptr<bridge::CommandWatch> commands_;
  std::unique_ptr<bridge::LinuxHost> host_;
  std::unique_ptr<Hardware> hardware_;
  std::unique_ptr<bridge::Firmware> firmware_;
  bridge::KernelOwner* owner_ = nullptr;
  bool no_drive_ = false;
  bool kernel_ended_ = false;
};

}  // namespace nvmesim::system_
