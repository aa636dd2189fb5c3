// What is done to the queues of all namespaces of a controller at once.
#include <algorithm>
#include <utility>

#include "host/nvme/ctrl.hpp"

namespace nvmesim::host {

// A namespace may appear between a freeze and its end: each remembers how often it was frozen. The
// loops that wait count, because the list may change meanwhile.
void NvmeCtrl::start_freeze() {
  for (const auto& ns : namespaces_) {
    ++ns->freezes;
    ns->disk.queue().freeze_start();
  }
}
void NvmeCtrl::wait_freeze() {
  for (std::size_t i = 0; i < namespaces_.size(); ++i)
    if (namespaces_[i]->freezes != 0) namespaces_[i]->disk.queue().wait_freeze();
}
bool NvmeCtrl::wait_freeze_timeout(base::Time timeout) {
  const base::Time deadline = now() + timeout;
  for (std::size_t i = 0; i < namespaces_.size(); ++i) {
    const base::Time left = std::max(deadline - now(), base::kTimeZero);
    if (!namespaces_[i]->disk.queue().wait_freeze_timeout(left)) return false;
  }
  return true;
}
void NvmeCtrl::unfreeze() {
  for (const auto& ns : namespaces_) {
    if (ns->freezes == 0) continue;
    --ns->freezes;
    ns->disk.queue().unfreeze();
  }
}
void NvmeCtrl::stop_queues() {
  for (const auto& ns : namespaces_) ns->disk.queue().quiesce();
}
void NvmeCtrl::start_queues() {
  for (const auto& ns : namespaces_) ns->disk.queue().unquiesce();
}
void NvmeCtrl::sync_queues() {
  for (std::size_t i = 0; i < namespaces_.size(); ++i) namespaces_[i]->disk.queue().sync();
  if (admin_q != nullptr) admin_q->sync();
}
void NvmeCtrl::kill_queues() {
  if (admin_q != nullptr && !admin_q->dying()) admin_q->unquiesce();
  for (const auto& ns : namespaces_) {
    if (std::exchange(ns->dead, true)) continue;
    ns->disk.queue().mark_dying();
    ns->disk.queue().unquiesce();
    ns->disk.set_capacity(0);
  }
}

}  // namespace nvmesim::host
