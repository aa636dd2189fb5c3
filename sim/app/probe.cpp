// nvmesim probe: loads the driver on a simulated system and shows what it did and found.
#include <fmt/format.h>

#include <cstdio>
#include <cstring>

#include "host/nvme/dev.hpp"
#include "host/nvme/sysfs.hpp"
#include "sim/app/options.hpp"
#include "sim/app/tlp_trace.hpp"
#include "sim/system/system.hpp"

namespace nvmesim::app {
namespace {

void print_list(const std::vector<host::NvmeListEntry>& entries) {
  constexpr const char* kRow = "{:<16} {:<20} {:<40} {:<9} {:<26} {:<16} {:<8}\n";
  fmt::print("\n");
  fmt::print(kRow, "Node", "SN", "Model", "Namespace", "Usage", "Format", "FW Rev");
  const auto line = [](int width) { return std::string(static_cast<std::size_t>(width), '-'); };
  fmt::print(kRow, line(16), line(20), line(40), line(9), line(26), line(16), line(8));
  for (const host::NvmeListEntry& entry : entries) {
    const auto gigabytes = [](std::uint64_t bytes) {
      return fmt::format("{:.2f}", static_cast<double>(bytes) / 1e9);
    };
    fmt::print(kRow, entry.node, entry.serial, entry.model, entry.namespace_id,
               fmt::format("{:>8} GB / {:>8} GB", gigabytes(entry.used_bytes),
                           gigabytes(entry.size_bytes)),
               fmt::format("{:>4} B + {:>2} B", entry.block_bytes, entry.metadata_bytes),
               entry.firmware);
  }
}

// Before anything runs.
std::vector<std::string> stores(const po::variables_map& values) {
  if (values.count("store") == 0) return {};
  const auto& settings = values["store"].as<std::vector<std::string>>();
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == setting.npos || equals == 0)
      throw base::UserError(fmt::format("--store '{}': attribute=value is expected", setting));
  }
  return settings;
}

// In order; the first that is refused is the user's mistake.
void store(system_::System& system, const std::vector<std::string>& settings) {
  host::NvmeDev& dev = *system.driver().devices().front();
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    const int status = host::sysfs_store(dev, setting.substr(0, equals), setting.substr(equals + 1),
                                         system.config().driver.hwmon);
    if (status != 0)
      throw base::UserError(
          fmt::format("--store {}: refused: {}", setting, std::strerror(-status)));
  }
  dev.ctrl().flush_scan();
}

}  // namespace

int probe(const Arguments& arguments) {
  po::options_description options("Probe");
  options.add_options()(
      "trace-admin",
      "print register accesses, admin commands and interrupts as they pass the link")(
      "doorbells", "with --trace-admin: doorbell writes too")(
      "store", po::value<std::vector<std::string>>()->composing(),
      "write an attribute of the controller in sysfs, as reset_controller=1, hmb=0, "
      "hwmon0/temp1_max=70000; may be repeated")(
      "sysfs", "print what sysfs shows of controllers and namespaces")(
      "tracepoints", "print the kernel's trace events nvme_setup_cmd, nvme_sq, nvme_complete_rq")(
      "shutdown", "shut the controller down at the end, as a reboot does");
  options.add(system_options()).add(trace_options());
  const auto values =
      parse(arguments, "probe",
            "Enumerates the bus, loads the driver, waits for its disks; prints the\n"
            "kernel log and a table like that of 'nvme list'.",
            options);
  system_::SystemHooks hooks;
  const bool trace = values.count("trace-admin") != 0;
  if (!trace && values.count("doorbells") != 0) {
    throw base::UserError("--doorbells: without --trace-admin nothing shows them");
  }
  if (trace) {
    hooks.wire_trace = [](std::string_view line) { fmt::print("{}\n", line); };
    hooks.wire_options.doorbells = values.count("doorbells") != 0;
  }
  hooks.kernel_log = [](const host::PrintLine& line) { fmt::print("{}\n", line.to_string()); };
  const system_::SystemConfig config = system_config(values);
  const std::vector<std::string> settings = stores(values);
  const auto tlp_trace = TlpTrace::from(values);
  if (tlp_trace) hooks.tlp_log = tlp_trace->log();
  system_::System system(config, std::move(hooks));
  if (values.count("tracepoints") != 0) {
    system.driver().set_trace_sink([](std::string_view line) { fmt::print("{}\n", line); });
  }
  std::vector<host::SysfsAttribute> attributes;
  bool up = false;
  std::vector<host::NvmeListEntry> entries;
  const bool ended = system.run([&] {
    up = system.boot();
    if (up && !settings.empty()) store(system, settings);
    entries = system.driver().list();
    if (values.count("sysfs") != 0) {
      for (const auto& dev : system.driver().devices()) {
        const bool later = system.config().driver.generation != host::Generation::v5_15;
        for (auto& attribute : host::sysfs_attributes(*dev, later, system.config().driver.hwmon))
          attributes.push_back(std::move(attribute));
      }
    }
    if (values.count("shutdown") != 0) system.shutdown();
  });
  if (tlp_trace) tlp_trace->commit();
  if (!ended) {
    fmt::print(stderr, "nvmesim: the probe hangs: nothing is pending at {} ns\n",
               base::to_ns(system.scheduler().now()));
    return 1;
  }
  for (const host::SysfsAttribute& attribute : attributes)
    fmt::print("{}: {}\n", attribute.path, attribute.value);
  print_list(entries);
  return up ? 0 : 1;
}

}  // namespace nvmesim::app
