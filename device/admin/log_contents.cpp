#include "device/admin/log_contents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"
#include "device/feature_table.hpp"
#include "device/nvm/nvm_commands.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

namespace {

template <class Structure>
LogBytes bytes_of(const Structure& page) {
  LogBytes bytes(sizeof page);
  std::memcpy(bytes.data(), &page, sizeof page);
  return bytes;
}

constexpr std::size_t kTelemetryBlock = 512;

spec::SmartLog smart_log(const Core& core) {
  spec::SmartLog log = core.health.log(core.scheduler.now());
  log.num_err_log_entries.low = core.errors.count();
  log.warning_temp_time = core.thermal.warning_minutes();
  log.critical_comp_temp_time = core.thermal.critical_minutes();
  log.thm_temp1_trans_count = core.thermal.transitions(Throttle::kLight);
  log.thm_temp2_trans_count = core.thermal.transitions(Throttle::kHeavy);
  log.thm_temp1_total_time = core.thermal.seconds(Throttle::kLight);
  log.thm_temp2_total_time = core.thermal.seconds(Throttle::kHeavy);
  return log;
}

// What an I/O command changes: the contents of blocks, or nothing.
std::uint32_t io_effects(unsigned opcode) {
  switch (static_cast<spec::NvmOpcode>(opcode)) {
    case spec::NvmOpcode::kWrite:
    case spec::NvmOpcode::kWriteUncorrectable:
    case spec::NvmOpcode::kWriteZeroes:
    case spec::NvmOpcode::kDatasetManagement:
    case spec::NvmOpcode::kCopy:
      return spec::kEffectBlocks;
    default:
      return 0;
  }
}

// The state of the controller as text: what a support engineer would want to see.
std::string telemetry_text(const Core& core) {
  std::string text = fmt::format(
      "{} {} at {} ns\ncompletions {} errors {} fetches {} resets {} events {} power state {} "
      "temperature {} K\n",
      core.config.identity.model_number, core.subsystem.firmware.revision(),
      base::to_ns(core.scheduler.now()), core.poster.posted_counter(), core.errors.count(),
      core.fetcher.fetches_counter(), core.registers.resets_counter(), core.events.sent_counter(),
      core.power.state(), core.thermal.kelvin());
  for (const Command& command : core.commands.all()) {
    if (command.state == CommandState::kFree) continue;
    text += fmt::format("queue {} CID {} opcode {:02x}h {}\n", command.sqid, command.sqe.cid,
                        command.sqe.opc, name(command.state));
  }
  return text;
}

LogBytes telemetry(const Core& core, spec::LogPageId page) {
  const std::string text = telemetry_text(core);
  const auto blocks =
      static_cast<std::uint16_t>((text.size() + kTelemetryBlock - 1) / kTelemetryBlock);
  spec::TelemetryHeader header{};
  header.lid = static_cast<std::uint8_t>(page);
  for (unsigned i = 0; i < 3; ++i) {
    header.ieee[i] = static_cast<std::uint8_t>(core.config.identity.ieee_oui >> (8 * i));
  }
  header.data_area1_last_block = blocks;
  header.data_area2_last_block = blocks;
  header.data_area3_last_block = blocks;
  LogBytes bytes = bytes_of(header);
  bytes.resize(sizeof header + std::size_t{blocks} * kTelemetryBlock);
  std::memcpy(bytes.data() + sizeof header, text.data(), text.size());
  return bytes;
}

}  // namespace

LogBytes error_page(Core& core, const Command&) {
  LogBytes bytes(core.errors.entries() * sizeof(spec::ErrorLogEntry));
  for (std::uint32_t i = 0; i < core.errors.entries(); ++i) {
    const spec::ErrorLogEntry entry = core.errors.entry(i);
    std::memcpy(bytes.data() + i * sizeof entry, &entry, sizeof entry);
  }
  return bytes;
}

LogBytes smart_page(Core& core, const Command&) {
  return bytes_of(smart_log(core));
}

LogBytes firmware_page(Core& core, const Command&) {
  return bytes_of(core.subsystem.firmware.log());
}

LogBytes changed_namespaces_page(Core& core, const Command&) {
  return core.changed.page();
}

LogBytes effects_page(Core& core, const Command&) {
  spec::EffectsLog log{};
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    const CommandRow* admin = find_admin_command(static_cast<std::uint8_t>(opcode));
    if (admin != nullptr && offered(core, *admin)) {
      log.admin[opcode] = spec::kEffectSupported | admin->effects;
    }
    const CommandRow* io = find_nvm_command(static_cast<std::uint8_t>(opcode));
    if (io != nullptr && offered(core, *io))
      log.io[opcode] = spec::kEffectSupported | io_effects(opcode);
  }
  return bytes_of(log);
}

LogBytes self_test_page(Core& core, const Command&) {
  return bytes_of(core.self_test.log());
}

void create_host_telemetry(Core& core) {
  core.host_telemetry = telemetry(core, spec::LogPageId::kTelemetryHostInitiated);
}

LogBytes host_telemetry_page(Core& core, const Command&) {
  if (core.host_telemetry.empty()) {  // nothing was ever created: a header without data
    spec::TelemetryHeader header{};
    header.lid = static_cast<std::uint8_t>(spec::LogPageId::kTelemetryHostInitiated);
    return bytes_of(header);
  }
  return core.host_telemetry;
}

// The controller has data of its own as soon as it failed fatally or in its media.
LogBytes controller_telemetry_page(Core& core, const Command&) {
  LogBytes bytes = telemetry(core, spec::LogPageId::kTelemetryControllerInitiated);
  spec::TelemetryHeader header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  header.controller_data_available = core.health.media_errors_counter() != 0;
  header.controller_data_generation = static_cast<std::uint8_t>(core.health.media_errors_counter());
  if (header.controller_data_available == 0) {
    header.data_area1_last_block = header.data_area2_last_block = header.data_area3_last_block = 0;
    bytes.resize(sizeof header);
  }
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

LogBytes endurance_page(Core& core, const Command&) {
  const spec::SmartLog smart = smart_log(core);
  spec::EnduranceGroupLog log{};
  log.critical_warning = core.health.endurance_warning();
  log.available_spare = smart.available_spare;
  log.available_spare_threshold = smart.available_spare_threshold;
  log.percentage_used = smart.percentage_used;
  log.data_units_read = smart.data_units_read;
  log.data_units_written = smart.data_units_written;
  log.host_read_commands = smart.host_read_commands;
  log.host_write_commands = smart.host_write_commands;
  log.media_errors = smart.media_errors;
  log.num_err_log_entries = smart.num_err_log_entries;
  return bytes_of(log);
}

LogBytes endurance_aggregate_page(Core& core, const Command&) {
  struct Page {
    std::uint64_t count;
    std::uint16_t group;
  };
  const bool event = core.health.endurance_warning() != 0;
  const Page page{event ? 1u : 0u, event ? std::uint16_t{1} : std::uint16_t{0}};
  LogBytes bytes(sizeof page.count + sizeof page.group);
  std::memcpy(bytes.data(), &page.count, sizeof page.count);
  std::memcpy(bytes.data() + sizeof page.count, &page.group, sizeof page.group);
  return bytes;
}

LogBytes ana_page(Core& core, const Command& command) {
  constexpr unsigned kGroupsOnly = 1;  // LSP bit 0, RGO
  return core.ana.page((spec::bits(command.sqe.cdw10, 11, 8) & kGroupsOnly) != 0);
}

LogBytes persistent_event_page(Core& core, const Command&) {
  return core.event_log_context;
}

LogBytes feature_effects_page(Core& core, const Command&) {
  constexpr std::uint32_t kSupported = 1u << 0;
  constexpr std::uint32_t kScopeNamespace = 1u << 20;
  constexpr std::uint32_t kScopeController = 1u << 21;
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t id = 0; id < table.size(); ++id) {
    const FeatureRow* row = find_feature(core, id);
    if (row == nullptr) continue;
    table[id] =
        kSupported | (row->scope == FeatureScope::kNamespace ? kScopeNamespace : kScopeController);
  }
  return bytes_of(table);
}

LogBytes mi_effects_page(Core&, const Command&) {
  return LogBytes(4096);  // no management interface command is supported
}

LogBytes sanitize_page(Core& core, const Command&) {
  return bytes_of(core.subsystem.sanitize.log());
}

LogBytes ocp_smart_page(Core& core, const Command&) {
  static constexpr std::array<std::uint8_t, 16> kGuid = {0xC5, 0xAF, 0x10, 0x28, 0xEA, 0xBF,
                                                         0xF2, 0xA4, 0x9C, 0x4F, 0x6F, 0x7C,
                                                         0xC9, 0x14, 0xD5, 0xAF};
  spec::OcpSmartLog log{};
  log.uncorrectable_read_errors = core.health.media_errors_counter();
  log.thermal_throttling_events = static_cast<std::uint8_t>(
      core.thermal.transitions(Throttle::kLight) + core.thermal.transitions(Throttle::kHeavy));
  log.thermal_throttling_status = static_cast<std::uint8_t>(core.thermal.throttle());
  log.specification_version = {0, 0, 0, 0, 0, 2};  // 2.0
  log.incomplete_shutdowns = static_cast<std::uint32_t>(core.health.unsafe_shutdowns());
  const std::uint64_t units = core.media.capacity_units();
  const std::uint64_t free = units - std::min(units, core.media.used_units());
  log.percent_free_blocks = static_cast<std::uint8_t>(free * 100 / units);
  log.capacitor_health = core.media.volatile_cache() ? 0xFFFF : 100;
  log.unaligned_io = core.health.unaligned_counter();
  log.total_nuse = core.media.used_units() * (models::kUnitBytes / core.config.logical_block_bytes);
  log.power_state_changes = core.power.changes_counter();
  log.log_page_version = 3;
  log.log_page_guid = kGuid;
  return bytes_of(log);
}

}  // namespace nvmesim::device
