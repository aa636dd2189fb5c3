// The simulated host machine: processors, memory, and what each step of the kernel's I/O path costs
// a processor. The cost of what lies above the block layer is the workload's (Bio::engine_cost).
#pragma once

#include <cstdint>
#include <span>

#include "sim/base/config.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::host {

// How the kernel uses an IOMMU, if the root complex has one: not at all for DMA; or buffers are
// mapped for each request, and what was unmapped is invalidated at once (strict) or in batches
// (lazy).
enum class IommuMode : std::uint8_t { passthrough, lazy, strict };
BOOST_DESCRIBE_ENUM(IommuMode, passthrough, lazy, strict)

struct HostIommu {
  IommuMode mode = IommuMode::lazy;
  std::uint32_t map_ns = 100;
  std::uint32_t unmap_ns = 100;
  std::uint32_t flush_ns = 500;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(HostIommu, (), (mode, map_ns, unmap_ns, flush_ns))

struct HostConfig {
  std::uint32_t cpus = 8;
  // Nodes that the processors are on: contiguous, sizes differ by at most one, the larger ones
  // last. The drive, and so its queues, are at drive_node.
  std::uint32_t numa_nodes = 1;
  std::uint32_t drive_node = 0;
  bool smp = true;  // CONFIG_SMP
  // What firmware says: links may sleep; drives shall be shut down in suspend (StorageD3Enable).
  bool aspm = true;
  bool storage_d3 = false;
  bool aer = true;
  // Of every disk's queue, as in sysfs: 2 merges no bios. 0 and 1 are the same without a scheduler.
  std::uint32_t nomerges = 0;

  std::uint64_t memory_bytes = 4 * base::kGiB;
  // From a DMA read's arrival to its completion leaving, root complex included.
  std::uint32_t memory_read_latency_ns = 290;
  std::uint32_t memory_read_ns_per_kib = 150;

  std::uint32_t block_layer_ns = 379;
  std::uint32_t driver_ns = 113;
  std::uint32_t mmio_write_ns = 50;
  // An interrupt up to its handler, and from there to the waiting task. Both pass before the bio
  // ends; together about 2.2 us.
  std::uint32_t interrupt_ns = 1000;
  std::uint32_t context_switch_ns = 1200;
  // For each completion that a handler finds, charged behind the handler.
  std::uint32_t completion_ns = 100;
  // What it costs more on a processor of another node than the drive's.
  std::uint32_t remote_node_ns = 125;
  // One look at a polled queue.
  std::uint32_t poll_ns = 150;
  HostIommu iommu;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(HostConfig, (),
                      (cpus, numa_nodes, drive_node, smp, aspm, storage_d3, aer, nomerges,
                       memory_bytes, memory_read_latency_ns, memory_read_ns_per_kib, block_layer_ns,
                       driver_ns, mmio_write_ns, interrupt_ns, context_switch_ns, completion_ns,
                       remote_node_ns, poll_ns, iommu))

}  // namespace nvmesim::host
