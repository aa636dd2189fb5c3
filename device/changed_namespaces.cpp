#include "device/changed_namespaces.hpp"

#include <algorithm>
#include <cstring>

#include "device/core.hpp"

namespace nvmesim::device {

void ChangedNamespaces::add(Core& core, std::uint32_t nsid) {
  const auto place = std::lower_bound(nsids_.begin(), nsids_.end(), nsid);
  if (place == nsids_.end() || *place != nsid) nsids_.insert(place, nsid);
  core.events.raise_notice(spec::AsyncNoticeInfo::kNamespaceAttributeChanged);
}

std::vector<std::byte> ChangedNamespaces::page() const {
  std::vector<std::byte> page(kMost * sizeof(std::uint32_t));
  if (nsids_.size() > kMost) {
    std::memcpy(page.data(), &spec::kNsidAll, sizeof spec::kNsidAll);
  } else if (!nsids_.empty()) {
    std::memcpy(page.data(), nsids_.data(), nsids_.size() * sizeof(std::uint32_t));
  }
  return page;
}

}  // namespace nvmesim::device
