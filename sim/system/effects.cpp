#include "sim/system/effects.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "sim/system/system_config.hpp"

namespace nvmesim::system_ {
namespace {

// Parts that a configuration may be without.
std::vector<Unread> absent_parts(const SystemConfig& config) {
  std::vector<Unread> absent;
  if (config.pcie_switch.ports == 0) {
    constexpr std::string_view kWhy = "there is no switch (pcie_switch.ports is 0)";
    for (const std::string_view section :
         {"uplink", "pcie_switch.latency_ns", "pcie_switch.peer_to_peer"}) {
      absent.push_back({section, kWhy});
    }
  }
  if (!config.root_complex.iommu.enabled) {
    constexpr std::string_view kWhy = "there is no IOMMU (root_complex.iommu.enabled is false)";
    for (const std::string_view section :
         {"host.iommu", "root_complex.iommu.cache_entries", "root_complex.iommu.cache_ways",
          "root_complex.iommu.walkers", "root_complex.iommu.walk_accesses",
          "root_complex.iommu.walk_access_ns"}) {
      absent.push_back({section, kWhy});
    }
  }
  if (config.host.numa_nodes == 1) {
    constexpr std::string_view kWhy = "the host is one node (host.numa_nodes is 1)";
    absent.push_back({"host.drive_node", kWhy});
    absent.push_back({"host.remote_node_ns", kWhy});
  }
  if (config.root_complex.remote_memory_bytes == 0) {
    absent.push_back({"root_complex.remote_latency_ns",
                      "no memory is remote (root_complex.remote_memory_bytes is 0)"});
  }
  return absent;
}

bool lies_in(std::string_view path, std::string_view section) {
  return path.starts_with(section) &&
         (path.size() == section.size() || path[section.size()] == '.');
}

class Check {
 public:
  Check(std::string_view source, std::vector<Unread> unread)
      : source_(source), unread_(std::move(unread)) {}

  void walk(const boost::json::value& value, const std::string& path) const {
    if (!value.is_object()) {
      look(path);
      return;
    }
    for (const auto& [key, below] : value.get_object()) {
      walk(below, path.empty() ? std::string(key) : fmt::format("{}.{}", path, std::string(key)));
    }
  }

 private:
  void look(const std::string& path) const {
    for (const Unread& each : unread_) {
      if (!lies_in(path, each.section)) continue;
      throw base::UserError(fmt::format("{}: {} has no effect: {}", source_, path, each.why));
    }
  }

  std::string_view source_;
  std::vector<Unread> unread_;
};

}  // namespace

void refuse_without_effect(const boost::json::value& settings, std::string_view source,
                           const SystemConfig& config, std::span<const Unread> by_verb) {
  std::vector<Unread> unread(by_verb.begin(), by_verb.end());
  const std::vector<Unread> absent = absent_parts(config);
  unread.insert(unread.end(), absent.begin(), absent.end());
  Check(source, std::move(unread)).walk(settings, "");
}

}  // namespace nvmesim::system_
