#include "host/nvme/nvme.hpp"

#include <algorithm>

#include "host/nvme/dev.hpp"

namespace nvmesim::host {

Nvme::Nvme(Machine& machine, base::StageJoin& join, const DriverConfig& config)
    : machine_(machine),
      join_(join),
      config_(config),
      work_queues_(std::make_unique<NvmeWorkQueues>(machine.threads)) {}

Nvme::~Nvme() = default;

int Nvme::probe(const pcie::FunctionInfo& function) {
  auto dev = std::make_unique<NvmeDev>(machine_, join_, config_, function,
                                       static_cast<unsigned>(devices_.size()), *work_queues_);
  const int result = dev->probe();
  if (result == 0) devices_.push_back(std::move(dev));
  return result;
}

bool Nvme::wait_ready() {
  for (const auto& dev : devices_) dev->wait_probed();
  return !devices_.empty() && std::all_of(devices_.begin(), devices_.end(), [](const auto& dev) {
    return !dev->removed() && dev->ctrl().state() == CtrlState::kLive;
  });
}

void Nvme::remove() {
  for (const auto& dev : devices_) dev->remove();
}

void Nvme::shutdown() {
  for (const auto& dev : devices_) dev->shutdown();
}

std::vector<BlockDevice*> Nvme::disks() const {
  std::vector<BlockDevice*> disks;
  for (const auto& dev : devices_)
    for (const auto& ns : dev->ctrl().namespaces()) disks.push_back(&ns->disk);
  return disks;
}

std::vector<NvmeListEntry> Nvme::list() const {
  std::vector<NvmeListEntry> entries;
  for (const auto& dev : devices_) {
    const NvmeCtrl& ctrl = dev->ctrl();
    for (const auto& ns : ctrl.namespaces()) {
      NvmeListEntry entry;
      entry.node = fmt::format("/dev/{}", ns->disk.name());
      entry.serial = ctrl.serial();
      entry.model = ctrl.model();
      entry.namespace_id = ns->nsid;
      entry.block_bytes = 1u << ns->info.lba_shift;
      entry.used_bytes = ns->info.used_blocks << ns->info.lba_shift;
      entry.size_bytes = ns->info.size_blocks << ns->info.lba_shift;
      entry.metadata_bytes = ns->info.metadata_bytes;
      entry.firmware = ctrl.firmware();
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

void Nvme::register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const {
  for (const auto& dev : devices_) dev->add_statistics(registry, std::string(prefix));
}

}  // namespace nvmesim::host
