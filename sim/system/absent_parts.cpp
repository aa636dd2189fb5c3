#include "sim/system/absent_parts.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "sim/system/system_config.hpp"

namespace nvmesim::system_ {
namespace {

class Absent {
 public:
  // There is no such part: below `section` nobody reads `names`.
  void add(std::string_view section, std::initializer_list<std::string_view> names,
           std::string_view why) {
    for (const std::string_view name : names) {
      list_.push_back({std::string(section) + std::string(name), why});
    }
  }
  std::vector<Unread> take() { return std::move(list_); }

 private:
  std::vector<Unread> list_;
};

void add_host(const SystemConfig& config, Absent& absent) {
  if (config.pcie_switch.ports == 0) {
    absent.add("", {"uplink", "pcie_switch.latency_ns", "pcie_switch.peer_to_peer"},
               "there is no switch (pcie_switch.ports is 0)");
  }
  if (!config.root_complex.iommu.enabled) {
    constexpr std::string_view kWhy = "there is no IOMMU (root_complex.iommu.enabled is false)";
    absent.add("host.", {"iommu"}, kWhy);
    absent.add("root_complex.iommu.",
               {"cache_entries", "cache_ways", "walkers", "walk_accesses", "walk_access_ns"}, kWhy);
  }
  if (config.host.numa_nodes == 1) {
    absent.add("host.", {"drive_node", "remote_node_ns"},
               "the host is one node (host.numa_nodes is 1)");
  }
  if (config.root_complex.remote_memory_bytes == 0) {
    absent.add("root_complex.", {"remote_latency_ns"},
               "no memory is remote (root_complex.remote_memory_bytes is 0)");
  }
}

void add_link(const pcie::LinkConfig& link, std::string_view section, Absent& absent) {
  if (!link.faults.any()) {
    absent.add(section,
               {"faults.most_of_each", "faults.direction", "faults.from_us", "faults.seed"},
               "no fault has a rate (faults.*_ppb)");
  }
  if (link.credits.infinite()) {
    absent.add(section, {"credits.update_latency_ns"}, "no credit has a limit");
  }
}

void add_pipeline(const device::PipelineConfig& stages, Absent& absent) {
  constexpr std::string_view kSection = "device.controller.pipeline.";
  const auto add = [&](std::uint32_t interval, std::string_view width) {
    if (interval == 0) {
      absent.add(kSection, {width}, "the stage takes any number at a time (its interval is 0)");
    }
  };
  add(stages.doorbell_interval_cycles, "doorbell_width");
  add(stages.fetch_interval_cycles, "fetch_width");
  add(stages.decode_interval_cycles, "decode_width");
  add(stages.lookup_interval_cycles, "lookup_width");
  add(stages.dma_setup_interval_cycles, "dma_setup_width");
  add(stages.completion_interval_cycles, "completion_width");
  add(stages.interrupt_interval_cycles, "interrupt_width");
}

void add_memories(const device::ControllerConfig& controller, Absent& absent) {
  constexpr std::string_view kSection = "device.controller.";
  if (controller.cmb.pages == 0) {
    absent.add(kSection,
               {"cmb.bar", "cmb.submission_queues", "cmb.completion_queues", "cmb.lists",
                "cmb.read_data", "cmb.write_data"},
               "there is no controller memory buffer (cmb.pages is 0)");
  }
  if (controller.pmr.pages == 0) {
    absent.add(kSection, {"pmr.bar", "pmr.ready_latency_us", "pmr.timeout_500ms"},
               "there is no persistent memory region (pmr.pages is 0)");
  }
  if (controller.cmb.pages == 0 && controller.pmr.pages == 0) {
    absent.add(kSection, {"cmb.access_ns", "cmb.mb_per_s"},
               "the controller shows no memory (cmb.pages and pmr.pages are 0)");
  }
}

void add_controller(const device::ControllerConfig& controller, Absent& absent) {
  constexpr std::string_view kSection = "device.controller.";
  add_pipeline(controller.pipeline, absent);
  add_memories(controller, absent);
  if (controller.firmware_cores == 0) {
    absent.add(kSection,
               {"pipeline.read_core_cycles", "pipeline.write_core_cycles",
                "pipeline.other_core_cycles", "pipeline.admin_core_cycles"},
               "hardware alone handles commands (firmware_cores is 0)");
  }
  if (controller.sgls == 0) {
    absent.add(kSection, {"sgl_max_descriptors"}, "the controller takes no SGLs (sgls is 0)");
  }
  if (!controller.management.format) {
    absent.add(kSection, {"management.format_ms"}, "there is no Format NVM (management.format)");
  }
  if (!controller.management.ana) {
    absent.add(kSection, {"management.ana_groups", "management.anatt_s"},
               "there is no asymmetric access (management.ana)");
  }
  if (controller.management.streams == 0) {
    absent.add(kSection, {"management.stream_write_blocks", "management.stream_granularity"},
               "there are no streams (management.streams is 0)");
  }
  if (!controller.firmware.update) {
    absent.add(kSection,
               {"firmware.activation_ms", "firmware.mtfa_100ms", "firmware.granularity_pages",
                "firmware.max_image_bytes"},
               "the firmware cannot be changed (firmware.update)");
  }
  if (!controller.self_test.offered) {
    absent.add(kSection, {"self_test.short_ms", "self_test.extended_ms", "self_test.single"},
               "there is no self-test (self_test.offered)");
  }
  if (controller.sanitize.sanicap == 0) {
    absent.add(kSection, {"sanitize.crypto_ms", "sanitize.block_ms", "sanitize.overwrite_ms"},
               "there is no Sanitize (sanitize.sanicap is 0)");
  }
}

void add_nand(const models::NandConfig& nand, Absent& absent) {
  constexpr std::string_view kSection = "device.media.nand.";
  if (!nand.program_suspend) {
    absent.add(kSection, {"program_suspend_ns"}, "programs are not suspended (program_suspend)");
  }
  if (!nand.erase_suspend) {
    absent.add(kSection, {"erase_suspend_ns"}, "erases are not suspended (erase_suspend)");
  }
  if (nand.program_suspend || nand.erase_suspend) return;
  absent.add(kSection, {"resume_ns", "suspend_limit", "suspend_gap_ns"},
             "nothing is suspended (program_suspend, erase_suspend)");
  if (nand.die_policy != "read_first" && nand.channel_policy != "read_first") {
    absent.add(kSection, {"age_limit_us"},
               "nothing goes before anything (die_policy, channel_policy)");
  }
}

void add_ftl(const models::MediaConfig& media, Absent& absent) {
  const models::FtlConfig& ftl = media.ftl;
  if (ftl.gc_policy != "d_choices" && ftl.gc_policy != "windowed") {
    absent.add("device.media.ftl.", {"gc_choices"}, "this gc_policy does not choose among some");
  }
  if (ftl.slc_superblocks == 0 && ftl.slc_dynamic_superblocks == 0) {
    absent.add("device.media.", {"ftl.slc_fold_start", "nand.slc_read_ns", "nand.slc_program_ns"},
               "there is no SLC cache (ftl.slc_superblocks, ftl.slc_dynamic_superblocks)");
  }
}

void add_caches(const models::MediaConfig& media, Absent& absent) {
  constexpr std::string_view kSection = "device.media.";
  if (media.read_cache.bytes == 0) {
    absent.add(kSection,
               {"read_cache.hit_ns", "read_cache.keep_reads", "read_cache.ahead_units",
                "read_cache.ahead_after", "read_cache.ahead_streams"},
               "there is no read cache (read_cache.bytes is 0)");
  } else if (media.read_cache.ahead_units == 0) {
    absent.add(kSection, {"read_cache.ahead_after", "read_cache.ahead_streams"},
               "nothing is read ahead (read_cache.ahead_units is 0)");
  }
  if (media.dram.mb_per_s == 0) {
    absent.add(kSection, {"dram.map_access_bytes"}, "the DRAM has no limit (dram.mb_per_s is 0)");
  }
}

void add_map_cache(const models::MapCacheConfig& cache, Absent& absent) {
  constexpr std::string_view kSection = "device.media.map_cache.";
  if (cache.bytes == 0) {
    absent.add(kSection, {"entries_per_page", "write_back"},
               "all of the table is in the controller (map_cache.bytes is 0)");
  }
}

void add_reliability(const models::ReliabilityConfig& reliability, Absent& absent) {
  if (reliability.bit_errors) return;
  constexpr std::string_view kSection = "device.media.reliability.";
  constexpr std::string_view kWhy = "reads have no bit errors (reliability.bit_errors)";
  absent.add(
      kSection,
      {"initial_cycles", "rber_ppb", "wear_rber_ppb_per_kcycle", "retention_rber_ppb_per_day",
       "read_rber_ppb_per_kread", "variation_percent", "ecc_limit_ppb", "retry_gain_percent",
       "max_retries", "limited_retries", "soft_limit_ppb", "soft_decode_ns"},
      kWhy);
  if (reliability.refresh_days == 0) absent.add(kSection, {"initial_retention_days"}, kWhy);
}

}  // namespace

std::vector<Unread> absent_parts(const SystemConfig& config) {
  Absent absent;
  add_host(config, absent);
  add_link(config.link, "link.", absent);
  if (config.pcie_switch.ports != 0) add_link(config.uplink, "uplink.", absent);
  add_controller(config.device.controller, absent);
  const models::MediaConfig& media = config.device.media;
  add_map_cache(media.map_cache, absent);
  if (media.kind == models::MediaKind::nand) {
    add_nand(media.nand, absent);
    add_ftl(media, absent);
    add_caches(media, absent);
    add_reliability(media.reliability, absent);
  } else if (media.xpoint.tail_per_million == 0) {
    absent.add("device.media.", {"xpoint.tail_ns"},
               "no read is slow (xpoint.tail_per_million is 0)");
  }
  return absent.take();
}

}  // namespace nvmesim::system_
