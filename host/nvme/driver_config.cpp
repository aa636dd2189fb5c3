#include "host/nvme/driver_config.hpp"

#include <array>

namespace nvmesim::host {

GenerationFacts facts_of(Generation generation) {
  GenerationFacts facts;
  if (generation == Generation::v5_15) return facts;
  facts.enable_in_two_writes = true;
  facts.csi_limits_in_scan = true;
  facts.dmrsl_in_blocks = true;
  facts.live_only_from_connecting = true;
  facts.generation_at_completion = true;
  facts.lbafee = true;
  facts.hwmon_failure_ignored = true;
  facts.maps_as_needed = true;
  facts.queue_count_limited_by_parameters = true;
  facts.path_error_fails_queue_count = true;
  facts.second_identify_namespace = true;
  facts.independent_identify = true;
  facts.events_reset_and_wait = true;
  facts.events_only_live = true;
  facts.rescan_on_late_change = true;
  facts.nonready_fails_in_deleting = true;
  facts.poll_only_polled_queues = true;
  facts.write_zeroes_reference_tag = true;
  facts.knows_bogus_ids = true;
  facts.streams = false;
  facts.shadow_doorbells_zeroed = true;
  facts.shadow_loop_bound_right = true;
  facts.subsystem_reset_states = true;
  facts.plug_newest_only = true;
  facts.private_nsids_repeat = true;
  facts.queue_update_may_fail = true;
  facts.other_sets_without_disk = true;
  facts.cmb_switched_off = true;
  facts.cmb_in_whole_blocks = true;
  facts.shared_tags_one_queue = true;
  return facts;
}

std::span<const base::ParamInfo> DriverConfig::params() {
  static constexpr std::int64_t kLarge = 0x7fff'ffff;
  static constexpr std::array<base::ParamInfo, 29> kRows{{
      {"generation", "", 0, 0, "Linux whose behaviour the driver follows: v5_15 or v6_1"},
      {"io_queue_depth", "entries", 2, 4095, "wanted depth of an I/O queue"},
      {"write_queues", "queues", 0, 1024, "queues for writes alone; 0: reads and writes share"},
      {"poll_queues", "queues", 0, 1024, "queues that are polled and never interrupt"},
      {"admin_timeout", "s", 1, 1'000'000, "time limit of an admin command"},
      {"io_timeout", "s", 1, 1'000'000, "time limit of an I/O command"},
      {"shutdown_timeout", "s", 1, 255, "least time a controller gets to shut down"},
      {"max_retries", "", 0, 255, "how often a failed request is sent again"},
      {"default_ps_max_latency_us", "us", 0, kLarge,
       "latency that autonomous power states may add; 0: no such states"},
      {"force_apst", "", 0, 1, "autonomous power states even where a quirk forbids them"},
      {"apst_primary_timeout_ms", "ms", 0, 0xff'ffff, "idle time before a first-class state"},
      {"apst_secondary_timeout_ms", "ms", 0, 0xff'ffff, "idle time before a second-class state"},
      {"apst_primary_latency_tol_us", "us", 0, kLarge, "latency limit of the first class"},
      {"apst_secondary_latency_tol_us", "us", 0, kLarge, "latency limit of the second class"},
      {"use_threaded_interrupts", "", 0, 1, "handlers run in a thread that the interrupt wakes"},
      {"use_cmb_sqes", "", 0, 1, "I/O submission queues in the controller memory buffer if it may"},
      {"max_host_mem_size_mb", "MiB", 0, 1'048'576, "most that a host memory buffer may take"},
      {"sgl_threshold", "bytes", 0, kLarge,
       "SGL instead of PRP when segments are this long on average; 0: never"},
      {"noacpi", "", 0, 1, "ignore the firmware's wish that drives be shut down in suspend"},
      {"streams", "", 0, 1, "set up the streams directive (v5_15)"},
      {"multipath", "", 0, 1, "asymmetric access and shared namespaces"},
      {"iopolicy", "", 0, 0,
       "choice among equal paths to a shared namespace: numa (the first) or round_robin"},
      {"fail_request", "", 0, 0,
       "injected failures of completions: interval,probability,space,times; empty: none"},
      {"opal", "", 0, 1, "kernel built with self-encrypting drive support"},
      {"integrity", "", 0, 1, "kernel built with data integrity: it makes and checks protection"},
      {"zoned", "", 0, 1, "kernel built with zoned block devices: zoned namespaces have disks"},
      {"p2pdma", "", 0, 1, "kernel built with PCI peer-to-peer DMA, which a CMB takes"},
      {"hwmon", "", 0, 1, "kernel built with temperature monitoring of NVMe drives"},
      {"boot_time_ms", "ms", 0, base::kNoLimit, "wall clock of the host at simulated time 0"},
  }};
  return kRows;
}

}  // namespace nvmesim::host
