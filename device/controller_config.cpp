#include "device/controller_config.hpp"

#include <fmt/format.h>

#include <string_view>

#include "models/media.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::device {

std::span<const base::ParamInfo> IdentityConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"model_number", "", 0, 0, "Identify MN, at most 40 ASCII characters"},
      {"serial_number", "", 0, 0, "Identify SN, at most 20 ASCII characters"},
      {"firmware_revision", "", 0, 0, "Identify FR, at most 8 ASCII characters"},
      {"ieee_oui", "", 0, 0xFF'FFFF, "Identify IEEE, also the start of NGUID and EUI64"},
      {"subnqn", "", 0, 0, "NVM subsystem NVMe qualified name, at most 223 characters"},
      {"controller_id", "", 0, 0xFFEF, "Identify CNTLID"},
  };
  return kParams;
}

std::span<const base::ParamInfo> PipelineConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"clock_mhz", "MHz", 1, 10'000, "clock of the controller; the cycles below count it"},
      {"doorbell_cycles", "cycles", 0, 1'000'000,
       "from a doorbell's arrival until arbitration sees it"},
      {"fetch_cycles", "cycles", 0, 1'000'000,
       "arbitration and set-up of one fetch of submission entries"},
      {"fetch_interval_cycles", "cycles", 0, 1'000'000, "least distance of two fetches"},
      {"fetch_burst_entries", "entries", 1, 64, "submission entries read by one fetch at most"},
      {"fetch_slots", "fetches", 1, 256, "fetches outstanding at most"},
      {"decode_cycles", "cycles", 0, 10'000'000,
       "processing of one command before the media starts"},
      {"decode_interval_cycles", "cycles", 0, 10'000'000,
       "least distance of two commands entering decode"},
      {"completion_cycles", "cycles", 0, 1'000'000,
       "building one completion entry; overlaps the data transfer"},
      {"completion_interval_cycles", "cycles", 0, 1'000'000, "least distance of two completions"},
      {"fetch_width", "fetches", 1, 64, "fetches that one fetch_interval_cycles can start"},
      {"decode_width", "commands", 1, 64, "commands that one decode_interval_cycles can start"},
      {"completion_width", "entries", 1, 64,
       "entries that one completion_interval_cycles can start"},
      {"doorbell_interval_cycles", "cycles", 0, 1'000'000,
       "least distance of two tail doorbells being decoded; 0 = any number at a time"},
      {"doorbell_width", "doorbells", 1, 64,
       "doorbells that one doorbell_interval_cycles can start"},
      {"lookup_cycles", "cycles", 0, 10'000'000,
       "mapping look-up of one I/O command behind decode; 0 = it is in the media's mapping time"},
      {"lookup_interval_cycles", "cycles", 0, 10'000'000,
       "least distance of two commands entering the look-up"},
      {"lookup_width", "commands", 1, 64, "commands that one lookup_interval_cycles can start"},
      {"dma_setup_cycles", "cycles", 0, 1'000'000,
       "from a 4 KiB unit of the media being ready to its DMA; 0 = its descriptors are made while "
       "the media works, as the presets are calibrated"},
      {"dma_setup_interval_cycles", "cycles", 0, 1'000'000, "least distance of two such set-ups"},
      {"dma_setup_width", "units", 1, 64, "units that one dma_setup_interval_cycles can start"},
      {"interrupt_cycles", "cycles", 0, 1'000'000,
       "from a completion entry to its interrupt message; 0 = it follows at once, as the presets "
       "are calibrated"},
      {"interrupt_interval_cycles", "cycles", 0, 1'000'000, "least distance of two interrupts"},
      {"interrupt_width", "interrupts", 1, 64,
       "interrupts that one interrupt_interval_cycles can start"},
      {"read_core_cycles", "cycles", 0, 100'000'000,
       "Read: work of a firmware core behind decode, if there are firmware_cores"},
      {"write_core_cycles", "cycles", 0, 100'000'000, "the same for a Write"},
      {"other_core_cycles", "cycles", 0, 100'000'000, "the same for other I/O commands"},
      {"admin_core_cycles", "cycles", 0, 100'000'000, "the same for an admin command"},
      {"read_latency_ns", "ns", 0, 1'000'000'000,
       "fixed latency of a Read of at most 4 KiB; no limit of throughput"},
      {"large_read_latency_ns", "ns", 0, 1'000'000'000, "the same for a Read of more than 4 KiB"},
      {"write_latency_ns", "ns", 0, 1'000'000'000, "the same for a Write"},
      {"admin_latency_ns", "ns", 0, 1'000'000'000, "the same for an admin command"},
      {"command_slots", "commands", 1, 65'536, "I/O commands in flight in the controller at most"},
      {"admin_command_slots", "commands", 1, 1'024,
       "admin commands in flight at most, outstanding events apart"},
  };
  return kParams;
}

std::span<const base::ParamInfo> NamespaceConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"blocks", "logical blocks", 0, base::kNoLimit, "size; 0 = what is left of the media"},
      {"metadata_bytes", "bytes", 0, 64, "metadata of a block: 0, 8, 16 or 64"},
      {"extended_metadata", "", 0, 1, "metadata follows its block in the data (FLBAS bit 4)"},
      {"protection_type", "", 0, 3, "end-to-end protection (DPS bits 2:0); 0 = none"},
      {"protection_first", "", 0, 1, "protection information is first in the metadata"},
      {"shared", "", 0, 1, "NMIC bit 0: attached to every controller of the subsystem"},
      {"ana_group", "", 1, 128, "ANA group, if management.ana is on"},
  };
  return kParams;
}

std::span<const base::ParamInfo> ControllerConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"mqes", "entries", 1, 0xFFFF, "CAP.MQES: largest queue, 0's based"},
      {"dstrd", "", 0, 15, "CAP.DSTRD: doorbells are 4 << dstrd bytes apart"},
      {"timeout_500ms", "500 ms", 1, 255, "CAP.TO: what the host has to wait for ready"},
      {"mpsmax", "", 0, 4, "CAP.MPSMAX: largest memory page is 4 KiB << mpsmax"},
      {"nssrs", "", 0, 0, "CAP.NSSRS: NVM subsystem reset register present"},
      {"ready_latency_us", "us", 0, 100'000'000, "from CC.EN = 1 to CSTS.RDY = 1"},
      {"disable_latency_us", "us", 0, 100'000'000, "from CC.EN = 0 to CSTS.RDY = 0"},
      {"shutdown_latency_us", "us", 0, 100'000'000,
       "least time of a shutdown, beside the media's own"},
      {"max_io_queues", "pairs", 1, 65'534, "I/O submission and completion queues granted"},
      {"mdts", "", 0, 12, "largest transfer is the smallest memory page << mdts; 0 = no limit"},
      {"aerl", "", 0, 255, "outstanding Asynchronous Event Requests, 0's based"},
      {"acl", "", 0, 255, "outstanding Abort commands, 0's based"},
      {"elpe", "", 0, 63, "entries of the error log, 0's based"},
      {"rab", "", 0, 7, "initial arbitration burst is 2^rab commands; 7 = no limit"},
      {"oncs", "", 0, 0x1FF,
       "optional NVM commands: 1 Compare, 2 Write Uncorrectable, 4 DSM, 8 Write Zeroes, 10h "
       "save/select, 20h reservations, 40h Timestamp, 80h Verify, 100h Copy"},
      {"lpa", "", 0, 0x3F,
       "log page attributes: 1 SMART by namespace, 2 effects, 4 offsets and long lengths, 8 "
       "telemetry, 10h persistent events, 20h supported pages (2.0)"},
      {"ocp_log", "", 0, 1,
       "log page C0h: SMART as the OCP Datacenter NVMe SSD specification has it"},
      {"firmware_cores", "cores", 0, 64,
       "cores that every command passes behind decode; 0 = hardware alone"},
      {"sgls", "", 0, 2, "Identify SGLS: 0 = PRPs only, 1 = SGLs, 2 = SGLs aligned to dwords"},
      {"sgl_max_descriptors", "descriptors", 1, 1'048'576, "most SGL descriptors of a command"},
      {"fuses", "", 0, 1, "Identify FUSES: 1 = Compare and Write"},
      {"weighted_arbitration", "", 0, 1, "CAP.AMS: weighted round robin with urgent class"},
      {"doorbell_buffer_config", "", 0, 1, "OACS: shadow doorbells (Doorbell Buffer Config)"},
      {"dulbe", "", 0, 1, "NSFEAT: reads of deallocated blocks can be errors"},
      {"deallocated_ones", "", 0, 1, "DLFEAT: deallocated blocks read as FFh instead of 0"},
      {"logical_block_bytes", "bytes", 512, 4096, "512 or 4096"},
      {"temperature_kelvin", "K", 0, 1000, "composite temperature"},
      {"warning_temperature_kelvin", "K", 0, 1000,
       "Identify WCTEMP, initial over temperature threshold"},
      {"critical_temperature_kelvin", "K", 0, 1000, "Identify CCTEMP"},
      {"max_power_centiwatts", "cW", 0, 0xFFFF, "maximum power of the one power state"},
  };
  return kParams;
}

namespace {

void check_text(std::string_view key, std::string_view text, std::size_t room) {
  if (text.size() > room) {
    throw base::UserError(fmt::format("controller.identity.{}: at most {} characters, it has {}",
                                      key, room, text.size()));
  }
  for (const char c : text) {
    if (c < 0x20 || c > 0x7E) {
      throw base::UserError(
          fmt::format("controller.identity.{}: only printable ASCII characters", key));
    }
  }
}

void check_namespaces(const ControllerConfig& config, std::uint64_t media_bytes) {
  if (config.namespaces.empty() || config.namespaces.size() > 1024) {
    throw base::UserError("controller.namespaces: between 1 and 1024 namespaces");
  }
  std::uint64_t units = media_bytes / models::kUnitBytes;
  for (std::size_t i = 0; i < config.namespaces.size(); ++i) {
    const std::uint64_t blocks = config.namespaces[i].blocks;
    const std::uint64_t blocks_per_unit = models::kUnitBytes / config.logical_block_bytes;
    const std::uint64_t wanted = blocks == 0 ? units : base::ceil_div(blocks, blocks_per_unit);
    if (wanted == 0 || wanted > units) {
      throw base::UserError(
          fmt::format("controller.namespaces.{}: needs {} units of 4 KiB, the media has {} left", i,
                      wanted == 0 ? 1 : wanted, units));
    }
    units -= wanted;
  }
}

void check_data_path(const ControllerConfig& config) {
  if ((config.fuses & 1) != 0 && (config.oncs & spec::kOncsCompare) == 0) {
    throw base::UserError("controller.fuses: Compare and Write needs Compare (oncs 1)");
  }
  if (config.limits.awupf > config.limits.awun || config.limits.acwu > config.limits.awun) {
    throw base::UserError("controller.limits: awupf and acwu are at most awun");
  }
  if (config.limits.nabsn != 0 && config.limits.nabsn < config.limits.awun) {
    throw base::UserError("controller.limits.nabsn: 0 or at least awun");
  }
  for (const std::uint32_t bar : {config.cmb.bar, config.pmr.bar}) {
    if (bar != 2 && bar != 4) throw base::UserError("controller.cmb.bar, pmr.bar: 2 or 4");
  }
  if (config.cmb.pages != 0 && config.pmr.pages != 0 && config.cmb.bar == config.pmr.bar) {
    throw base::UserError("controller.pmr.bar: the controller memory buffer is in this BAR");
  }
  if (config.hmb.hmmin_pages > config.hmb.hmpre_pages) {
    throw base::UserError("controller.hmb.hmmin_pages: at most hmpre_pages");
  }
  for (std::size_t i = 0; i < config.namespaces.size(); ++i) {
    const NamespaceConfig& space = config.namespaces[i];
    const std::uint32_t metadata = space.metadata_bytes;
    if (metadata != 0 && metadata != 8 && metadata != 16 && metadata != 64) {
      throw base::UserError(
          fmt::format("controller.namespaces.{}.metadata_bytes: 0, 8, 16 or 64", i));
    }
    if (space.protection_type != 0 && metadata == 0) {
      throw base::UserError(fmt::format(
          "controller.namespaces.{}.protection_type: needs at least 8 metadata_bytes", i));
    }
  }
}

}  // namespace

void check_config(const ControllerConfig& config, std::uint64_t media_bytes) {
  const IdentityConfig& identity = config.identity;
  check_text("model_number", identity.model_number, 40);
  check_text("serial_number", identity.serial_number, 20);
  check_text("firmware_revision", identity.firmware_revision, 8);
  check_text("subnqn", identity.subnqn, 223);
  if (config.logical_block_bytes != 512 && config.logical_block_bytes != 4096) {
    throw base::UserError("controller.logical_block_bytes: 512 or 4096");
  }
  check_data_path(config);
  check_admin_config(config);
  if (config.pipeline.admin_command_slots < config.acl + 2) {
    throw base::UserError("controller.pipeline.admin_command_slots: at least acl + 2");
  }
  check_namespaces(config, media_bytes);
}

}  // namespace nvmesim::device
