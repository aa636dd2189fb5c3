// Heads of namespaces: which namespaces get one, when their path may be used, and what happens to a
// request whose path failed.
#include "host/nvme/ctrl.hpp"
#include "host/nvme/error_status.hpp"

namespace nvmesim::host {

namespace {

constexpr std::uint8_t kCmicMultiController = 1u << 1;
constexpr unsigned kPathOptimized = 1;
constexpr unsigned kPathNonOptimized = 2;

}  // namespace

bool NvmeNs::path_usable() const {
  // While a controller is taken away in order, its queues still work.
  const CtrlState state = ctrl.state();
  if (state != CtrlState::kLive && state != CtrlState::kDeleting) return false;
  const unsigned access = ctrl.ana_state(info.ana_group);
  return !ana_pending && (access == kPathOptimized || access == kPathNonOptimized);
}

bool NvmeNs::path_may_return() const {
  const CtrlState state = ctrl.state();
  return state == CtrlState::kLive || state == CtrlState::kResetting ||
         state == CtrlState::kConnecting;
}

bool NvmeCtrl::wants_heads() const {
  return config_.multipath && (identify_.cmic & kCmicMultiController) != 0;
}

void NvmeCtrl::kick_heads() {
  for (const auto& ns : namespaces_)
    if (ns->head_disk) ns->head_disk->kick();
}

// An ANA error says that the controller is well and the log is to be read again.
void NvmeCtrl::path_failed(Request& request) {
  if (is_ana_error(request.status) && has_ana()) {
    static_cast<NvmeNs*>(request.queue->driver_data)->ana_pending = true;
    nvme_wq_.queue_work(ana_work_);
  }
  for (Bio* bio = request.bio; bio != nullptr; bio = bio->merged) bio->path_error = true;
}

std::uint64_t NvmeCtrl::failovers() const {
  std::uint64_t sum = 0;
  for (const auto* list : {&namespaces_, &removed_})
    for (const auto& ns : *list)
      if (ns->head_disk) sum += ns->head_disk->failovers();
  return sum;
}

}  // namespace nvmesim::host
