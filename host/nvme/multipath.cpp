// Heads of namespaces from the controller's side: which namespaces get one, when its path may be
// used, and what happens to a request whose path failed.
#include "host/nvme/ctrl.hpp"
#include "host/nvme/error_status.hpp"

namespace nvmesim::host {

namespace {

constexpr unsigned kPathOptimized = 1;
constexpr unsigned kPathNonOptimized = 2;

}  // namespace

// While a controller is taken away in order, its queues still work.
bool NvmeNs::path_disabled() const {
  const CtrlState state = ctrl.state();
  if (state != CtrlState::kLive && state != CtrlState::kDeleting) return true;
  return ana_pending || !ready;
}

PathAccess NvmeNs::path_access() const {
  if (ana_state == kPathOptimized) return PathAccess::kOptimized;
  return ana_state == kPathNonOptimized ? PathAccess::kNonOptimized : PathAccess::kNone;
}

bool NvmeNs::path_live() const {
  return ctrl.state() == CtrlState::kLive;
}

bool NvmeNs::path_may_return() const {
  const CtrlState state = ctrl.state();
  return state == CtrlState::kLive || state == CtrlState::kResetting ||
         state == CtrlState::kConnecting;
}

// Private namespaces get one too, for they may be shared later; not in 6.1 where their NSID may be
// that of another one.
bool NvmeCtrl::wants_head(const NamespaceHead& head) const {
  if (!config_.multipath || !subsystem_->several_controllers()) return false;
  return !facts_.private_nsids_repeat || is_unique_nsid(*this, head);
}

std::string NvmeCtrl::disk_name(const NamespaceHead& head) const {
  return fmt::format("nvme{}n{}", config_.multipath ? subsystem_->instance() : instance_,
                     head.number);
}

// A new namespace becomes a path of its head, in the state that the log gave its group.
void NvmeCtrl::add_path(NvmeNs& ns) {
  if (has_ana()) {
    ns.ana_state = static_cast<std::uint8_t>(ana_state(ns.info.ana_group));
    if (ns.ana_state == kAnaUnknown) {
      ns.ana_pending = true;
      nvme_wq_.queue_work(ana_work_);
    }
  }
  ns.head.disk->add_path(ns);
}

// True the first time that a path of its head may be used: the disk is there from now on.
bool NvmeCtrl::make_head_live(NvmeNs& ns) {
  if (ns.head.disk == nullptr || state_ != CtrlState::kLive || ns.path_disabled() ||
      ns.path_access() == PathAccess::kNone)
    return false;
  const bool first = ns.head.disk->set_live();
  if (!first) ns.head.disk->kick();
  return first;
}

void NvmeCtrl::kick_heads() {
  for (const auto& ns : namespaces_)
    if (ns->head.disk) ns->head.disk->kick();
}

void NvmeCtrl::clear_paths() {
  for (const auto& ns : namespaces_) {
    if (ns->head.disk == nullptr) continue;
    ns->head.disk->forget_current(*ns);
    ns->head.disk->kick();
  }
}

// An ANA error says that the controller is well and the log is to be read again.
void NvmeCtrl::path_failed(Request& request) {
  auto& ns = *static_cast<NvmeNs*>(request.queue->driver_data);
  if (ns.head.disk != nullptr) ns.head.disk->forget_current(ns);
  if (is_ana_error(request.status) && has_ana()) {
    ns.ana_pending = true;
    nvme_wq_.queue_work(ana_work_);
  }
  for (Bio* bio = request.bio; bio != nullptr; bio = bio->merged)
    failovers_ += !std::exchange(bio->path_error, true);
}

}  // namespace nvmesim::host
