#include "sim/system/system_config.hpp"

#include <fmt/format.h>

#include <bit>
#include <limits>
#include <utility>

#include "models/media_factory.hpp"
#include "sim/system/personas.hpp"
#include "sim/system/presets.hpp"

namespace nvmesim::system_ {
namespace {

constexpr base::ParamInfo kSimulationParams[] = {
    {"quantum_ns", "ns", 0, 1'000'000'000'000,
     "how far entries may run ahead of SystemC's clock; changes no result"},
    {"hang_after_ms", "ms", 1, 1'000'000'000,
     "simulated time without an ended request after which a run counts as hanging"},
    {"check_protocol", "", 0, 1, "splice a protocol checker into every socket"},
};

constexpr base::ParamInfo kDeviceParams[] = {
    {"controllers", "", 1, 8,
     "ports of the drive, each with a controller, a link and a root port of its own; namespaces "
     "that are shared are attached to all"},
    {"access", "", 0, 0,
     "by controller: the state of all its ANA groups at the start (controller.management.ana)"},
    {"persona", "", 0, 0, "a drive of the driver's quirk table that this one passes for"},
};

constexpr base::ParamInfo kSystemParams[] = {
    {"seed", "", 0, base::kNoLimit, "seed of every random draw"},
};

// "nvme.poll_queues=2" and "nvme_core.io_timeout=5" set the driver's parameters.
std::string driver_setting(const std::string& setting) {
  if (setting.find('=') == setting.npos) {
    throw base::UserError(fmt::format("--driver {}: a setting is nvme.PARAMETER=value", setting));
  }
  for (std::string_view module : {"nvme.", "nvme_core."}) {
    if (!setting.starts_with(module)) continue;
    std::string found = "driver." + setting.substr(module.size());
    // The one value of a parameter that is no word of ours.
    if (found == "driver.iopolicy=round-robin") found = "driver.iopolicy=round_robin";
    return found;
  }
  throw base::UserError(
      fmt::format("--driver {}: a module parameter begins with 'nvme.' or 'nvme_core.'", setting));
}

// A preset may name only what is its own: a drive preset does not change the host.
void check_sections(const boost::json::value& preset, std::string_view source,
                    std::string_view kind) {
  std::vector<std::string> allowed = preset_sections(kind);
  allowed.insert(allowed.begin(), {"description", "sources", "published"});
  if (!preset.is_object()) throw base::UserError(fmt::format("{}: not a JSON object", source));
  for (const auto& member : preset.as_object()) {
    bool known = false;
    for (const std::string& name : allowed) known |= member.key() == name;
    if (!known) {
      throw base::UserError(fmt::format("{}: {}: unknown; a file of this kind has {}", source,
                                        std::string_view(member.key()), fmt::join(allowed, ", ")));
    }
  }
}

// "description" and "sources" are for people, "published" for 'drives --check'; the rest is
// configuration.
boost::json::value without_texts(boost::json::value preset) {
  preset.as_object().erase("description");
  preset.as_object().erase("sources");
  preset.as_object().erase("published");
  return preset;
}

// One fact is configured in one place; here it is handed to whoever else needs it.
void join(SystemConfig& config) {
  config.root_complex.memory_bytes = config.host.memory_bytes;
  config.root_complex.ports = config.device.controllers;
  config.device.controller.vectors = config.device.endpoint.vectors();
  config.device.controller.identity.vendor_id = config.device.endpoint.vendor_id;
  config.device.controller.identity.subsystem_vendor_id =
      config.device.endpoint.subsystem_vendor_id;
  const auto bar_bytes = [&config](std::uint32_t bar) {
    const auto& controller = config.device.controller;
    std::uint64_t bytes = 0;
    if (controller.cmb.bar == bar) bytes = controller.cmb.bytes();
    if (controller.pmr.bar == bar && controller.pmr.pages != 0) bytes = controller.pmr.bytes();
    return bytes == 0 ? 0 : std::bit_ceil(bytes);
  };
  config.device.endpoint.bar2_bytes = bar_bytes(2);
  config.device.endpoint.bar4_bytes = bar_bytes(4);
}

void validate(const SystemConfig& config) {
  base::with_path("link", [&] { config.link.validate(); });
  base::with_path("uplink", [&] { config.uplink.validate(); });
  base::with_path("pcie_switch", [&] { config.pcie_switch.validate(); });
  if (config.host.numa_nodes > config.host.cpus) {
    throw base::UserError(fmt::format("host.numa_nodes: {} nodes for {} processors (host.cpus)",
                                      config.host.numa_nodes, config.host.cpus));
  }
  if (config.host.drive_node >= config.host.numa_nodes) {
    throw base::UserError(
        fmt::format("host.drive_node: there is no node {} (host.numa_nodes is {})",
                    config.host.drive_node, config.host.numa_nodes));
  }
  if (!config.host.smp && config.host.cpus > 1) {
    throw base::UserError(fmt::format(
        "host.smp: false is a kernel for one processor, but host.cpus is {}", config.host.cpus));
  }
  config.root_complex.validate();
  for (const auto& [name, queues] : {std::pair{"write_queues", config.driver.write_queues},
                                     std::pair{"poll_queues", config.driver.poll_queues}}) {
    if (queues > config.host.cpus) {
      throw base::UserError(fmt::format("driver.{}: {} queues for {} processors (host.cpus)", name,
                                        queues, config.host.cpus));
    }
  }
  base::with_path("device", [&] {
    config.device.endpoint.validate();
    device::check_config(config.device.controller, config.device.media.capacity_bytes);
    base::with_path("media", [&] { models::check_media(config.device.media); });
  });
  if (config.device.access.size() > config.device.controllers) {
    throw base::UserError(fmt::format("device.access: {} states for {} controllers",
                                      config.device.access.size(), config.device.controllers));
  }
  if (!config.device.access.empty() && !config.device.controller.management.ana) {
    throw base::UserError(
        "device.access: the drive has no asymmetric access; set "
        "device.controller.management.ana=true");
  }
  const auto& endpoint = config.device.endpoint;
  const std::uint64_t registers = config.device.controller.register_bytes();
  if (registers > endpoint.msix_table_offset) {
    throw base::UserError(fmt::format(
        "device.endpoint.msix_table_offset: {:#x} lies within the doorbells, which end at {:#x}",
        endpoint.msix_table_offset, registers));
  }
}

}  // namespace

std::span<const base::ParamInfo> SimulationConfig::params() {
  return kSimulationParams;
}
std::span<const base::ParamInfo> DeviceConfig::params() {
  return kDeviceParams;
}
std::span<const base::ParamInfo> SystemConfig::params() {
  return kSystemParams;
}

pcie::EnumerationOptions enumeration_options(const SystemConfig& config) {
  pcie::EnumerationOptions options;
  options.max_read_request_bytes = config.link.max_read_request_bytes;
  if (config.host.aspm) {
    options.aspm = config.link.power.aspm;
    options.switch_aspm = config.uplink.power.aspm;
  }
  return options;
}

std::vector<std::string> preset_sections(std::string_view kind) {
  if (kind == "drive") return {"link", "device"};
  return {"host", "driver", "root_complex", "pcie_switch", "uplink"};
}

SystemConfig load_config(const ConfigRequest& request) {
  SystemConfig config;
  const auto host = load_preset("hosts", request.host);
  check_sections(host, request.host, "host");
  const boost::json::value host_file = without_texts(host);
  base::read_config(host_file, config, request.host);
  const SystemConfig with_host = config;

  const auto drive = load_preset("drives", request.drive);
  check_sections(drive, request.drive, "drive");
  const boost::json::value drive_file = without_texts(drive);
  base::read_config(drive_file, config, request.drive);
  const SystemConfig with_drive = config;

  boost::json::value driver_settings = boost::json::object{};
  for (const std::string& setting : request.driver_settings) {
    base::apply_setting(driver_settings, driver_setting(setting));
  }
  base::read_config(driver_settings, config, "--driver");
  boost::json::value settings = boost::json::object{};
  for (const std::string& setting : request.settings) base::apply_setting(settings, setting);
  base::read_config(settings, config, "--set");

  if (request.seed) config.seed = *request.seed;
  apply_persona(config);
  join(config);
  validate(config);
  refuse_without_effect_in_file(host_file, request.host, with_host, config);
  refuse_without_effect_in_file(drive_file, request.drive, with_drive, config);
  refuse_without_effect(driver_settings, "--driver", config, request.unread);
  refuse_without_effect(settings, "--set", config, request.unread);
  return config;
}

boost::json::value describe_config(const SystemConfig& config) {
  boost::json::value document = base::write_config(config);
  document.as_object().erase("seed");
  document.as_object().erase("simulation");
  return document;
}

}  // namespace nvmesim::system_
