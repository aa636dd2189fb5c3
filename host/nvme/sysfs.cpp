#include "host/nvme/sysfs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "host/nvme/dev.hpp"

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
  out.add("numa_node", 0);
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
  out.below(fmt::format("/sys/class/nvme-subsystem/nvme-subsys{}", ctrl.instance()));
  out.add("firmware_rev", text_of(id.fr));
  out.add("iopolicy", "numa");
  out.add("model", text_of(id.mn));
  out.add("serial", text_of(id.sn));
  out.add("subsysnqn", ctrl.subsystem_nqn());
}

void add_namespace(Collector& out, const NvmeCtrl& ctrl, const NvmeNs& ns) {
  out.below(fmt::format("/sys/block/{}", ns.disk.name()));
  if (ctrl.has_ana()) {
    out.add("ana_grpid", ns.info.ana_group);
    out.add("ana_state", ana_name(ctrl.ana_state(ns.info.ana_group)));
  }
  if (any(ns.ids.eui64)) out.add("eui", hex(ns.ids.eui64, " "));
  if (any(ns.ids.nguid)) out.add("nguid", uuid(ns.ids.nguid));
  out.add("nsid", ns.nsid);
  if (any(ns.ids.uuid) || any(ns.ids.nguid))
    out.add("uuid", uuid(any(ns.ids.uuid) ? ns.ids.uuid : ns.ids.nguid));
  out.add("wwid", wwid(ctrl, ns));
}

std::int64_t millidegrees(std::uint16_t kelvin) {
  return std::int64_t{kelvin} * 1000 - 273'150;
}

void add_temperatures(Collector& out, NvmeCtrl& ctrl) {
  SmartLog log{};
  if (ctrl.get_log(kNsidAll, static_cast<std::uint8_t>(LogPageId::kSmart), bytes_of(log)) != 0)
    return;
  const IdentifyController& id = ctrl.identify_data();
  out.below(fmt::format("/sys/class/nvme/{}/hwmon0", ctrl.name()));
  out.add("name", "nvme");
  out.add("temp1_alarm", (log.critical_warning & kWarningTemperature) != 0 ? 1 : 0);
  if (id.cctemp != 0) out.add("temp1_crit", millidegrees(id.cctemp));
  out.add("temp1_input", millidegrees(log.composite_temperature));
  out.add("temp1_label", "Composite");
  if (id.wctemp != 0) {
    constexpr std::uint32_t kUnder = 1u << 20;
    std::uint32_t value = 0;
    if (ctrl.get_features(FeatureId::kTemperatureThreshold, 0, &value) == 0)
      out.add("temp1_max", millidegrees(static_cast<std::uint16_t>(value)));
    if (ctrl.get_features(FeatureId::kTemperatureThreshold, kUnder, &value) == 0)
      out.add("temp1_min", millidegrees(static_cast<std::uint16_t>(value)));
  }
  for (std::size_t i = 0; i < log.temperature_sensor.size(); ++i) {
    const std::uint16_t kelvin = log.temperature_sensor[i];
    if (kelvin == 0) continue;
    out.add(fmt::format("temp{}_input", i + 2), millidegrees(kelvin));
    out.add(fmt::format("temp{}_label", i + 2), fmt::format("Sensor {}", i + 1));
  }
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

}  // namespace nvmesim::host
