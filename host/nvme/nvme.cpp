#include "host/nvme/nvme.hpp"

#include <algorithm>

#include "host/nvme/dev.hpp"

namespace nvmesim::host {

Nvme::Nvme(Machine& machine, base::StageJoin& join, const DriverConfig& config)
    : machine_(machine),
      join_(join),
      config_(config),
      work_queues_(std::make_unique<NvmeWorkQueues>(machine.threads)),
      subsystems_(std::make_unique<Subsystems>()) {}

Nvme::~Nvme() = default;

int Nvme::probe(const pcie::FunctionInfo& function) {
  auto dev = std::make_unique<NvmeDev>(machine_, join_, config_, function, free_instance(),
                                       *work_queues_, *subsystems_);
  if (trace_) dev->set_trace_sink(trace_);
  const int result = dev->probe();
  if (result == 0) devices_.push_back(std::move(dev));
  return result;
}

// The lowest number that no controller has which the driver still serves, and no subsystem.
unsigned Nvme::free_instance() const {
  unsigned instance = 0;
  while (subsystems_->instance_in_use(instance) ||
         std::any_of(devices_.begin(), devices_.end(), [instance](const auto& dev) {
           return !dev->removed() && dev->ctrl().instance() == instance;
         }))
    ++instance;
  return instance;
}

// One that was removed before the last probe is history.
bool Nvme::wait_ready() {
  for (const auto& dev : devices_) dev->wait_probed();
  bool any = false;
  for (const auto& dev : devices_) {
    if (dev->removed() && dev->unbound_by_user()) continue;
    if (dev->removed() || dev->ctrl().state() != CtrlState::kLive) return false;
    any = true;
  }
  return any;
}

void Nvme::remove() {
  for (const auto& dev : devices_) dev->unbind();
}

void Nvme::shutdown() {
  for (const auto& dev : devices_) dev->shutdown();
}

std::vector<BlockDevice*> Nvme::disks() const {
  std::vector<BlockDevice*> disks;
  for (const auto& dev : devices_) {
    for (const auto& ns : dev->ctrl().namespaces()) {
      BlockDevice* disk = ns->seen_disk();
      const bool known = std::find(disks.begin(), disks.end(), disk) != disks.end();
      if (disk != nullptr && !known) disks.push_back(disk);
    }
  }
  return disks;
}

std::vector<NvmeListEntry> Nvme::list() const {
  std::vector<NvmeListEntry> entries;
  std::vector<const BlockDevice*> listed;
  for (const auto& dev : devices_) {
    const NvmeCtrl& ctrl = dev->ctrl();
    for (const auto& ns : ctrl.namespaces()) {
      const BlockDevice* disk = ns->seen_disk();
      if (disk == nullptr || std::find(listed.begin(), listed.end(), disk) != listed.end())
        continue;
      listed.push_back(disk);
      NvmeListEntry entry;
      entry.node = fmt::format("/dev/{}", disk->name());
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
