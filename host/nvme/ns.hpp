// A namespace that a controller serves: its identity, what follows from its Identify data, and its
// disk, which is a path of a head where the subsystem may have several controllers. The disk's
// queue points back to it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "host/block/disk.hpp"
#include "host/nvme/command.hpp"
#include "host/nvme/ns_head.hpp"
#include "host/nvme/ns_info.hpp"
#include "host/nvme/subsystem.hpp"

namespace nvmesim::host {

class NvmeCtrl;

// Command set identifiers.
inline constexpr std::uint8_t kCsiNvm = 0;
inline constexpr std::uint8_t kCsiZoned = 2;

// Of a zoned namespace.
struct ZoneInfo {
  std::uint64_t sectors = 0;     // of each zone, a power of two
  std::uint64_t count = 0;       // by the last report
  std::uint32_t max_open = 0;    // 0: no limit
  std::uint32_t max_active = 0;  // 0: no limit
};

struct NvmeNs : NsPath {
  NvmeNs(const NvmeCtrl& controller, NamespaceHead& of, std::string disk_name, TagSet& set)
      : ctrl(controller), nsid(of.nsid), head(of), disk(std::move(disk_name), set) {
    disk.queue().driver_data = this;
  }
  NvmeNs(const NvmeNs&) = delete;
  NvmeNs& operator=(const NvmeNs&) = delete;

  // NsPath (multipath.cpp)
  Disk& path_disk() override { return disk; }
  bool path_disabled() const override;
  PathAccess path_access() const override;
  bool path_live() const override;
  bool path_may_return() const override;
  // What users see; null while no path of its head has been usable yet, and if there is no disk.
  BlockDevice* seen_disk() {
    if (hidden) return nullptr;
    if (head.disk == nullptr) return &disk;
    return head.disk->live() ? head.disk.get() : nullptr;
  }

  const NvmeCtrl& ctrl;
  const std::uint32_t nsid;
  NamespaceHead& head;
  NsIds ids;
  NsInfo info;
  std::optional<ZoneInfo> zones;
  CommandTarget target;
  bool dead = false;
  unsigned freezes = 0;        // by the controller's start_freeze()
  bool hidden = false;         // the host cannot serve it as a disk
  bool ready = false;          // its limits are known
  std::uint8_t ana_state = 1;  // of its group, as the log said last; 1 is optimized
  bool ana_pending = false;    // refused by the drive for its ANA state, which is being read again
  Disk disk;
};

// Reads the first 4 KiB, as the search for partitions does. In a thread.
void read_first_page(Machine& machine, BlockDevice& disk);

}  // namespace nvmesim::host
