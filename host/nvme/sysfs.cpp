#include "host/nvme/sysfs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "host/nvme/dev.hpp"
#include "host/nvme/hwmon.hpp"
#include "sim/base/parse.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

template <std::size_t kSize>
std::string_view text_of(const std::array<char, kSize>& field) {
  return {field.data(), strnlen(field.data(), field.size())};
}

template <std::size_t kSize>
bool any(const std::array<std::uint8_t, kSize>& bytes) {
  return std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte != 0; });
}

std::string hex(std::span<const std::uint8_t> bytes, std::string_view between = "") {
  std::string text;
  for (const std::uint8_t byte : bytes)
    text += fmt::format("{}{:02x}", text.empty() ? "" : between, byte);
  return text;
}

std::string uuid(const std::array<std::uint8_t, 16>& bytes) {
  const std::span<const std::uint8_t> all(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex(all.first(4)), hex(all.subspan(4, 2)),
                     hex(all.subspan(6, 2)), hex(all.subspan(8, 2)), hex(all.subspan(10)));
}

std::string pci_address(const pcie::FunctionInfo& function) {
  const unsigned id = function.id.value();
  return fmt::format("0000:{:02x}:{:02x}.{:x}", id >> 8, (id >> 3) & 0x1f, id & 7);
}

std::string hex_of_text(std::string_view text) {
  std::string result;
  for (const char letter : text)
    result += fmt::format("{:02x}", static_cast<unsigned char>(letter));
  return result;
}

std::string wwid(const NvmeCtrl& ctrl, const NvmeNs& ns) {
  if (any(ns.ids.uuid)) return "uuid." + uuid(ns.ids.uuid);
  if (any(ns.ids.nguid)) return "eui." + hex(ns.ids.nguid);
  if (any(ns.ids.eui64)) return "eui." + hex(ns.ids.eui64);
  return fmt::format("nvme.{:04x}-{}-{}-{:08x}", ctrl.identify_data().vid,
                     hex_of_text(ctrl.serial()), hex_of_text(ctrl.model()), ns.nsid);
}

std::string_view ana_name(unsigned state) {
  switch (state) {
    case 1:
      return "optimized";
    case 2:
      return "non-optimized";
    case 3:
      return "inaccessible";
    case 4:
      return "persistent-loss";
    case 15:
      return "change";
    default:
      return "invalid state";
  }
}

std::string_view controller_type(unsigned type) {
  switch (type) {
    case 1:
      return "io";
    case 2:
      return "discovery";
    case 3:
      return "admin";
    default:
      return "reserved";
  }
}

class Collector {
 public:
  explicit Collector(std::vector<SysfsAttribute>& list) : list_(list) {}
  void below(std::string path) { path_ = std::move(path); }
  template <class Value>
  void add(std::string_view name, const Value& value) {
    list_.push_back({fmt::format("{}/{}", path_, name), fmt::format("{}", value)});
  }

 private:
  std::vector<SysfsAttribute>& list_;
  std::string path_;
};

void add_controller(Collector& out, const NvmeDev& dev, bool later) {
  const NvmeCtrl& ctrl = dev.ctrl();
  const IdentifyController& id = ctrl.identify_data();
  out.below("/sys/class/nvme/" + ctrl.name());
  out.add("address", pci_address(dev.function()));
  out.add("cntlid", id.cntlid);
  if (later) {
    out.add("cntrltype", controller_type(id.cntrltype));
    out.add("dctype", "none");
  }
  out.add("firmware_rev", text_of(id.fr));
  out.add("kato", ctrl.kato());
  out.add("model", text_of(id.mn));
  out.add("numa_node", dev.numa_node());
  out.add("queue_count", ctrl.queue_count);
  out.add("serial", text_of(id.sn));
  out.add("sqsize", ctrl.sqsize);
  out.add("state", name(ctrl.state()));
  out.add("subsysnqn", ctrl.subsystem_nqn());
  out.add("transport", "pcie");
  if (dev.cmbsz() != 0) {
    out.add("cmb", fmt::format("cmbloc : x{:08x}\ncmbsz  : x{:08x}", dev.cmbloc(), dev.cmbsz()));
    out.add("cmbloc", dev.cmbloc());
    out.add("cmbsz", dev.cmbsz());
  }
  if (id.hmpre != 0) out.add("hmb", dev.host_memory_enabled() ? 1 : 0);
  Subsystem* subsystem = ctrl.subsystem();
  if (subsystem == nullptr || subsystem->controllers().empty() ||
      subsystem->controllers().front() != &ctrl)
    return;
  out.below(fmt::format("/sys/class/nvme-subsystem/nvme-subsys{}", subsystem->instance()));
  out.add("firmware_rev", text_of(id.fr));
  out.add("iopolicy", subsystem->policy() == IoPolicy::numa ? "numa" : "round-robin");
  out.add("model", text_of(id.mn));
  out.add("serial", text_of(id.sn));
  out.add("subsysnqn", ctrl.subsystem_nqn());
}

void add_namespace(Collector& out, const NvmeCtrl& ctrl, const NvmeNs& ns) {
  // The path's own disk has what is of the path.
  out.below(fmt::format("/sys/block/{}", ns.disk.name()));
  if (ctrl.has_ana()) {
    out.add("ana_grpid", ns.info.ana_group);
    out.add("ana_state", ana_name(ctrl.ana_state(ns.info.ana_group)));
  }
  if (ns.head.disk) out.below(fmt::format("/sys/block/{}", ns.head.disk->name()));
  if (any(ns.ids.eui64)) out.add("eui", hex(ns.ids.eui64, " "));
  if (any(ns.ids.nguid)) out.add("nguid", uuid(ns.ids.nguid));
  out.add("nsid", ns.nsid);
  out.add("queue/nomerges", ns.disk.queue().nomerges());
  if (ns.zones) {
    out.add("queue/chunk_sectors", ns.zones->sectors);
    out.add("queue/max_active_zones", ns.zones->max_active);
    out.add("queue/max_open_zones", ns.zones->max_open);
    out.add("queue/nr_zones", ns.zones->count);
    out.add("queue/zone_append_max_bytes", ctrl.max_zone_append_bytes());
    out.add("queue/zoned", "host-managed");
  }
  if (!ns.hidden) out.add("ro", ns.info.read_only ? 1 : 0);
  if (any(ns.ids.uuid) || any(ns.ids.nguid))
    out.add("uuid", uuid(any(ns.ids.uuid) ? ns.ids.uuid : ns.ids.nguid));
  out.add("wwid", wwid(ctrl, ns));
}

void add_temperatures(Collector& out, NvmeCtrl& ctrl) {
  Hwmon hwmon(ctrl);
  if (hwmon.update() != 0) return;
  out.below(fmt::format("/sys/class/nvme/{}/hwmon0", ctrl.name()));
  out.add("name", "nvme");
  out.add("temp1_alarm", hwmon.alarm() ? 1 : 0);
  const std::uint16_t critical = ctrl.identify_data().cctemp;
  if (critical != 0) out.add("temp1_crit", Hwmon::millidegrees(critical));
  for (unsigned channel = 0; channel < Hwmon::kChannels; ++channel) {
    if (!hwmon.present(channel)) continue;
    const auto name = [channel](const char* what) {
      return fmt::format("temp{}_{}", channel + 1, what);
    };
    out.add(name("input"), hwmon.input(channel));
    out.add(name("label"), channel == 0 ? "Composite" : fmt::format("Sensor {}", channel));
    if (!hwmon.has_thresholds(channel)) continue;
    std::int64_t value = 0;
    if (hwmon.threshold(channel, false, value) == 0) out.add(name("max"), value);
    if (hwmon.threshold(channel, true, value) == 0) out.add(name("min"), value);
  }
}

// "hwmon0/temp3_max" and its like: the channel and which threshold.
int store_threshold(NvmeDev& dev, std::string_view attribute, std::string_view value) {
  constexpr std::string_view kStart = "hwmon0/temp";
  const std::string_view rest = attribute.substr(kStart.size());
  const auto number = base::parse_unsigned(rest.substr(0, 1));
  const std::string_view what = rest.substr(std::min<std::size_t>(1, rest.size()));
  const bool under = what == "_min";
  if (!number || *number == 0 || (what != "_max" && !under)) return -ENOENT;
  const auto channel = static_cast<unsigned>(*number - 1);
  Hwmon hwmon(dev.ctrl());
  const int status = hwmon.update();
  if (status != 0) return status > 0 ? -EIO : status;
  if (channel >= Hwmon::kChannels || !hwmon.has_thresholds(channel)) return -ENOENT;
  if (!hwmon.writable()) return -EACCES;
  const bool negative = value.starts_with('-');
  const auto magnitude = base::parse_unsigned(value.substr(negative ? 1 : 0));
  if (!magnitude || *magnitude > 1'000'000'000) return -EINVAL;
  const auto millidegrees = static_cast<std::int64_t>(*magnitude);
  return hwmon.set_threshold(channel, under, negative ? -millidegrees : millidegrees);
}

// Of the subsystem.
int store_policy(NvmeDev& dev, std::string_view value) {
  Subsystem* subsystem = dev.ctrl().subsystem();
  if (subsystem == nullptr || (value != "numa" && value != "round-robin")) return -EINVAL;
  subsystem->policy() = value == "numa" ? IoPolicy::numa : IoPolicy::round_robin;
  return 0;
}

}  // namespace

std::vector<SysfsAttribute> sysfs_attributes(NvmeDev& dev, bool later_generation, bool hwmon) {
  std::vector<SysfsAttribute> attributes;
  Collector out(attributes);
  add_controller(out, dev, later_generation);
  if (hwmon && !dev.removed()) add_temperatures(out, dev.ctrl());
  for (const auto& ns : dev.ctrl().namespaces()) add_namespace(out, dev.ctrl(), *ns);
  return attributes;
}

int sysfs_store(NvmeDev& dev, std::string_view attribute, std::string_view value, bool hwmon) {
  if (dev.removed()) return -ENODEV;
  if (attribute == "reset_controller") return dev.ctrl().reset_ctrl_sync();
  if (attribute == "rescan_controller") {
    dev.ctrl().queue_scan();
    return 0;
  }
  if (attribute == "hmb") {
    if (dev.ctrl().identify_data().hmpre == 0) return -ENOENT;
    if (value != "0" && value != "1") return -EINVAL;
    const int status = dev.set_host_memory(value == "1");
    return status > 0 ? -EIO : status;
  }
  if (attribute == "iopolicy") return store_policy(dev, value);
  if (hwmon && attribute.starts_with("hwmon0/temp")) return store_threshold(dev, attribute, value);
  return -ENOENT;
}

}  // namespace nvmesim::host
