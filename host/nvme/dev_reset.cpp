// Bringing the controller up and taking it down: reset_work, and dev_disable with what they call.
#include <algorithm>
#include <mutex>

#include "host/nvme/dev.hpp"
#include "host/nvme/error_status.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr std::uint32_t kAdminDepth = 32;
// One entry is for the event request, and a ring is full with one entry free.
constexpr std::uint16_t kAdminTags = 30;
constexpr std::uint32_t kMaxHwSectors = 8192;  // 4 MiB
constexpr std::uint32_t kMaxSegments = 127;
constexpr std::uint32_t kMaxTagDepth = 10240;
constexpr std::uint16_t kOacsDoorbellBuffers = 1u << 8;
constexpr std::uint32_t kReservedSharedTags = 32;

}  // namespace

void NvmeDev::reset_work() {
  const int result = run_reset();
  if (result == 0) return;
  ctrl_.log_warning(fmt::format("Removing after probe failure status: {}", result));
  remove_dead_ctrl();
}

int NvmeDev::run_reset() {
  if (ctrl_.state() != CtrlState::kResetting) {
    ctrl_.log_warning(fmt::format("ctrl state {} is not RESETTING", name(ctrl_.state())));
    return -ENODEV;
  }
  // By the host's own copy of CC: on the first start it is 0, whatever the device says.
  if (Cc{ctrl_.ctrl_config()}.en()) dev_disable(false);
  ctrl_.sync_queues();
  {
    std::scoped_lock lock(shutdown_lock_);
    if (const int result = pci_enable(); result != 0) return result;
    if (const int result = configure_admin_queue(); result != 0) return result;
    alloc_admin_tags();
    ctrl_.set_transport_limits(kMaxHwSectors, kMaxSegments);
  }
  if (!ctrl_.change_ctrl_state(CtrlState::kConnecting)) {
    ctrl_.log_warning("failed to mark controller CONNECTING");
    return -EBUSY;
  }
  if (const int result = ctrl_.init_ctrl_finish(); result != 0) return result;
  ctrl_.init_opal();
  if ((ctrl_.identify_data().oacs & kOacsDoorbellBuffers) != 0) dbbuf_dma_alloc();
  if (ctrl_.identify_data().hmpre != 0) {
    if (const int result = setup_host_mem(); result < 0) return result;
  }
  if (const int result = setup_io_queues(); result != 0) return result;
  if (const int result = start_io(); result != 0) return result;
  if (!ctrl_.change_ctrl_state(CtrlState::kLive)) {
    ctrl_.log_warning("failed to mark controller live state");
    return -ENODEV;
  }
  ctrl_.start_ctrl();
  return 0;
}

int NvmeDev::start_io() {
  if (online_queues_ < 2) {
    ctrl_.log_error("IO queues not created");
    ctrl_.kill_queues();
    ctrl_.remove_namespaces();
    if (tagset_ != nullptr) old_tagsets_.push_back(std::move(tagset_));
    ctrl_.tagset = nullptr;
    return 0;
  }
  ctrl_.start_queues();
  ctrl_.wait_freeze();
  if (!dev_add()) return -ENODEV;
  dbbuf_set();
  ctrl_.unfreeze();
  return 0;
}

int NvmeDev::pci_enable() {
  set_command(true, true);
  pci_enabled_ = true;
  int result = 0;
  if (reg_read32(kRegCsts) == kDeadRegister) {
    result = -ENODEV;
  } else {
    result =
        machine_.interrupts.alloc_irq_vectors(function_.id, 1, 1, {}, Interrupts::kIrqAllTypes);
  }
  if (result < 0) {
    set_command(false, false);
    pci_enabled_ = false;
    return result;
  }
  num_vecs_ = 1;
  ctrl_.cap = reg_read64(kRegCap);
  const Cap cap{ctrl_.cap};
  q_depth_ = std::min<std::uint32_t>(cap.mqes() + 1u, config_.io_queue_depth);
  ctrl_.sqsize = q_depth_ - 1;  // before the quirks
  db_stride_ = 1u << cap.dstrd();
  dbs_ = bar_ + kDoorbellBase;
  if (quirks_.queue_depth_one) q_depth_ = 2;
  const bool pm1725 =
      function_.vendor == 0x144d && (function_.device == 0xa821 || function_.device == 0xa822);
  if (pm1725 && cap.mqes() == 0) q_depth_ = 64;
  if (quirks_.shared_tags) q_depth_ = std::max(q_depth_, kReservedSharedTags + 2);
  map_cmb();
  save_pci_state();
  return 0;
}

void NvmeDev::pci_disable() {
  machine_.interrupts.free_irq_vectors(function_.id);
  num_vecs_ = 0;
  if (!pci_enabled_) return;
  set_command(false, false);
  pci_enabled_ = false;
}

int NvmeDev::configure_admin_queue() {
  if (!remap_bar(db_bar_size(0))) return -ENOMEM;
  subsystem_reset_ = reg_read32(kRegVs) >= kVersion11 && Cap{ctrl_.cap}.nssrs();
  if (subsystem_reset_) {
    const Csts csts{reg_read32(kRegCsts)};
    Csts clear;
    clear.set_nssro(true);
    if (csts.nssro()) reg_write32(kRegCsts, clear.value);
  }
  if (const int result = ctrl_.disable_ctrl(); result < 0) return result;
  if (const int result = alloc_queue(0, kAdminDepth); result != 0) return result;
  NvmeQueue& queue = *queues_[0];
  const std::uint32_t last = queue.depth() - 1;
  reg_write32(kRegAqa, last | last << 16);
  reg_write64(kRegAsq, queue.sq_address());
  reg_write64(kRegAcq, queue.cq_address());
  if (const int result = ctrl_.enable_ctrl(); result != 0) return result;
  queue.cq_vector = 0;
  init_queue(queue);
  if (const int result = queue_request_irq(queue); result != 0) {
    --online_queues_;
    return result;
  }
  queue.enabled = true;
  return 0;
}

void NvmeDev::alloc_admin_tags() {
  if (admin_q_ != nullptr) {
    admin_q_->unquiesce();
    return;
  }
  TagSetConfig config;
  config.depth = kAdminTags;
  config.timeout = config_.admin_timeout * base::Time(1s);
  admin_tagset_ = std::make_unique<TagSet>(machine_, admin_ops_, config);
  admin_q_ = std::make_unique<RequestQueue>(*admin_tagset_);
  ctrl_.admin_q = admin_q_.get();
}

// False if the controller was disabled meanwhile, because time ran out for a request.
bool NvmeDev::dev_add() {
  if (tagset_ == nullptr) {
    alloc_io_tag_set();
    return true;
  }
  if (!shutdown_lock_.try_lock()) return !facts_.queue_update_may_fail;
  std::unique_lock lock(shutdown_lock_, std::adopt_lock);
  // The block layer takes no change to less than one queue.
  if (online_queues_ < 2) return online_queues_ != 0 || !facts_.queue_update_may_fail;
  tagset_->update_nr_hw_queues(static_cast<std::uint16_t>(online_queues_ - 1));
  // Queues that are not used any more.
  for (; ctrl_.queue_count > online_queues_; --ctrl_.queue_count)
    queues_[ctrl_.queue_count - 1]->free_memory();
  return true;
}

void NvmeDev::alloc_io_tag_set() {
  TagSetConfig config;
  config.hw_queues = static_cast<std::uint16_t>(online_queues_ - 1);
  config.depth = static_cast<std::uint16_t>(std::min(q_depth_, kMaxTagDepth) - 1);
  config.timeout = config_.io_timeout * base::Time(1s);
  if (quirks_.shared_tags) config.reserved = kReservedSharedTags;
  const auto [normal, read, poll] = io_queues_;
  config.maps = 2;
  if (facts_.maps_as_needed && read == 0) config.maps = 1;
  if (poll != 0) config.maps = 3;
  tagset_ = std::make_unique<TagSet>(machine_, io_ops_, config);
  ctrl_.tagset = tagset_.get();
}

void NvmeDev::dev_disable(bool shutdown) {
  std::scoped_lock lock(shutdown_lock_);
  bool dead = true;
  bool frozen = false;
  if (pci_enabled_) {
    const Csts csts{reg_read32(kRegCsts)};
    if (ctrl_.state() == CtrlState::kLive || ctrl_.state() == CtrlState::kResetting) {
      frozen = true;
      ctrl_.start_freeze();
    }
    const bool absent = csts.value == kDeadRegister;
    dead = absent || csts.cfs() || !csts.rdy() || channel_ != PciChannelState::kNormal;
  }
  // Let requests finish; a dead controller would only let them time out.
  if (!dead && shutdown && frozen) ctrl_.wait_freeze_timeout(config_.io_timeout * base::Time(1s));
  ctrl_.stop_queues();
  if (!dead && ctrl_.queue_count > 0) {
    disable_io_queues();
    if (shutdown)
      ctrl_.shutdown_ctrl();
    else
      ctrl_.disable_ctrl();
    poll_irqdisable(*queues_[0]);
  }
  suspend_io_queues();
  suspend_queue(*queues_[0]);
  pci_disable();
  for (unsigned i = ctrl_.queue_count; i-- > 1;) queues_[i]->process_cq();

  cancel_requests(tagset_.get());
  cancel_requests(admin_tagset_.get());
  if (shutdown) {
    // Whoever waits for a queue shall fail rather than wait for ever.
    ctrl_.start_queues();
    if (admin_q_ != nullptr && !admin_q_->dying()) admin_q_->unquiesce();
  }
}

void NvmeDev::cancel_requests(TagSet* set) {
  if (set == nullptr) return;
  set->busy_iter([this](Request& request) {
    if (request.state != RequestState::kInFlight) return;
    request.status = kHostAborted;
    iod_of(request).cancelled = true;
    ++host_aborted_;
    request.queue->complete_request(request);
  });
}

}  // namespace nvmesim::host
