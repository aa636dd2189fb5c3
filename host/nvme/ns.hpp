// A namespace that the driver serves: its identity, what follows from its Identify data, its disk,
// and the head in front of it where the subsystem may have several controllers. The disk's queue
// points back to it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "host/block/disk.hpp"
#include "host/nvme/command.hpp"
#include "host/nvme/ns_head.hpp"
#include "host/nvme/ns_info.hpp"

namespace nvmesim::host {

class NvmeCtrl;

struct NvmeNs : NsPath {
  NvmeNs(const NvmeCtrl& controller, std::uint32_t namespace_id, unsigned head_number,
         std::string disk_name, TagSet& set)
      : ctrl(controller), nsid(namespace_id), head(head_number), disk(std::move(disk_name), set) {
    disk.queue().driver_data = this;
  }
  NvmeNs(const NvmeNs&) = delete;
  NvmeNs& operator=(const NvmeNs&) = delete;

  // NsPath (multipath.cpp)
  Disk& path_disk() override { return disk; }
  bool path_usable() const override;
  bool path_may_return() const override;
  // What users see.
  BlockDevice& seen_disk() { return head_disk ? static_cast<BlockDevice&>(*head_disk) : disk; }

  const NvmeCtrl& ctrl;
  const std::uint32_t nsid;
  const unsigned head;  // the number in its name
  NsIds ids;
  NsInfo info;
  CommandTarget target;
  bool dead = false;
  unsigned freezes = 0;      // by the controller's start_freeze()
  bool ana_pending = false;  // refused by the drive for its ANA state, which is being read again
  Disk disk;
  std::unique_ptr<NsHead> head_disk;
};

}  // namespace nvmesim::host
