#include "host/kernel/host_config.hpp"

#include "host/kernel/cpu_id.hpp"

namespace nvmesim::host {

std::span<const base::ParamInfo> HostIommu::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"mode", "", 0, 0,
       "What the kernel does with root_complex.iommu: iommu=pt, or iommu.strict."},
      {"map_ns", "ns", 0, 1'000'000, "Processor time of mapping a buffer."},
      {"unmap_ns", "ns", 0, 1'000'000, "Processor time of unmapping it."},
      {"flush_ns", "ns", 0, 1'000'000,
       "Processor time of invalidating: after each unmapping if strict, after 250 if lazy."},
  };
  return kParams;
}

std::span<const base::ParamInfo> HostConfig::params() {
  static constexpr std::int64_t kMillisecond = 1'000'000;
  static constexpr base::ParamInfo kParams[] = {
      {"cpus", "", 1, kMaxCpus, "Processors of the host."},
      {"numa_nodes", "", 1, kMaxCpus, "NUMA nodes that the processors are spread over."},
      {"drive_node", "", 0, kMaxCpus - 1, "The node at whose root port the drive is."},
      {"smp", "", 0, 1, "Kernel built for several processors: it spreads interrupts over them."},
      {"aspm", "", 0, 1, "The link may go into low-power states."},
      {"storage_d3", "", 0, 1, "Firmware wants drives shut down in suspend."},
      {"aer", "", 0, 1,
       "The kernel handles PCIe errors: it logs them, and resets the bus after fatal ones."},
      {"nomerges", "", 0, 2, "As in sysfs: 2 merges no bios; 0 and 1 merge those of one batch."},
      {"memory_bytes", "bytes", 16 * std::int64_t{base::kMiB}, 1024 * std::int64_t{base::kGiB},
       "Host memory; only what is touched is really taken."},
      {"memory_read_latency_ns", "ns", 0, kMillisecond,
       "From a DMA read's arrival at the root complex to its completion leaving."},
      {"memory_read_ns_per_kib", "ns", 0, kMillisecond,
       "What each KiB of a DMA read adds to that."},
      {"block_layer_ns", "ns", 0, kMillisecond, "Processor time of the block layer per bio."},
      {"driver_ns", "ns", 0, kMillisecond, "Processor time of the driver per request."},
      {"mmio_write_ns", "ns", 0, kMillisecond, "Processor time of one uncached posted write."},
      {"interrupt_ns", "ns", 0, kMillisecond, "Processor time from an interrupt to its handler."},
      {"context_switch_ns", "ns", 0, kMillisecond,
       "Processor time from the handler to the waiting task."},
      {"completion_ns", "ns", 0, kMillisecond,
       "Processor time of each completion that a handler finds."},
      {"remote_node_ns", "ns", 0, kMillisecond,
       "What a completion costs more off the drive's node, where its entry lies (the remote memory "
       "of Neugebauer et al., SIGCOMM 2018)."},
      {"poll_ns", "ns", 1, kMillisecond, "Processor time of one look at a polled queue."},
  };
  return kParams;
}

}  // namespace nvmesim::host
