// A namespace that the driver serves: its identity, what follows from its Identify data, and its
// disk. The disk's queue points back to it.
#pragma once

#include <cstdint>
#include <string>

#include "host/block/disk.hpp"
#include "host/nvme/command.hpp"
#include "host/nvme/ns_info.hpp"

namespace nvmesim::host {

struct NvmeNs {
  NvmeNs(std::uint32_t namespace_id, unsigned head_number, std::string disk_name, TagSet& set)
      : nsid(namespace_id), head(head_number), disk(std::move(disk_name), set) {
    disk.queue().driver_data = this;
  }
  NvmeNs(const NvmeNs&) = delete;
  NvmeNs& operator=(const NvmeNs&) = delete;

  const std::uint32_t nsid;
  const unsigned head;  // the number in its name
  NsIds ids;
  NsInfo info;
  CommandTarget target;
  bool dead = false;
  unsigned freezes = 0;  // by the controller's start_freeze()
  Disk disk;
};

}  // namespace nvmesim::host
