// The NVMe driver as the rest of the simulator sees it: hand it the PCI functions that enumeration
// found, wait until they are ready, use their disks. One object serves every NVMe function of one
// machine, as the loaded module does in Linux.
//
// probe(), wait_ready(), remove() and shutdown() wait in simulated time: call them from a thread
// (an SC_THREAD or a work item). The rest may be called from anywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/block/bio.hpp"
#include "host/nvme/driver_config.hpp"
#include "sim/base/stage.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::pcie {
struct FunctionInfo;
}

namespace nvmesim::host {

class Machine;
class NvmeDev;
class Subsystems;
struct NvmeWorkQueues;

// One line of a table like that of `nvme list`.
struct NvmeListEntry {
  std::string node;  // "/dev/nvme0n1"
  std::string serial;
  std::string model;
  std::uint32_t namespace_id = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t size_bytes = 0;
  std::uint32_t block_bytes = 0;     // data of one logical block
  std::uint32_t metadata_bytes = 0;  // beside or behind it
  std::string firmware;
};

class Nvme {
 public:
  Nvme(Machine& machine, base::StageJoin& join, const DriverConfig& config);
  ~Nvme();
  Nvme(const Nvme&) = delete;
  Nvme& operator=(const Nvme&) = delete;

  // Takes a function over. 0, or a negative errno of the host; it returns before the controller is
  // up, as in Linux.
  int probe(const pcie::FunctionInfo& function);
  // Waits until every probed controller has come up (or been given up) and was scanned. True if at
  // least one was probed and all that were not removed since are live.
  bool wait_ready();
  // Takes all functions away from the driver: namespaces removed, controllers shut down in order.
  void remove();
  // What a reboot does: each controller is told to shut down, its disks stay but serve no more.
  void shutdown();

  // Lines of the kernel's trace events, of controllers probed from now on.
  void set_trace_sink(std::function<void(std::string_view)> sink) { trace_ = std::move(sink); }

  // Block devices that users see, in order of their names; one that several controllers lead to is
  // there once. They stay valid as objects
  // until the driver is destroyed, but after remove() all they do is fail.
  std::vector<BlockDevice*> disks() const;
  std::vector<NvmeListEntry> list() const;
  // The parts, for tests and tools.
  const std::vector<std::unique_ptr<NvmeDev>>& devices() const { return devices_; }

  // Counters of every controller probed so far below `prefix` ("host.nvme").
  void register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;

 private:
  unsigned free_instance() const;

  Machine& machine_;
  base::StageJoin& join_;
  const DriverConfig config_;
  std::unique_ptr<NvmeWorkQueues> work_queues_;
  std::unique_ptr<Subsystems> subsystems_;
  std::vector<std::unique_ptr<NvmeDev>> devices_;
  std::function<void(std::string_view)> trace_;
};

}  // namespace nvmesim::host
