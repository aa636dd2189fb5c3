// The scan for namespaces: by list or one after the other, validating known ones, adding new ones,
// removing those that are gone.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "host/nvme/ctrl.hpp"
#include "host/nvme/error_status.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr std::size_t kListEntries = 1024;
constexpr std::uint32_t kNoLimitNsid = 0xffff'ffff;
constexpr int kGone = 0xb | kStatusDoNotRetry;  // invalid namespace, do not retry
constexpr std::uint32_t kNoLimitSectors = 0xffff'ffff;
constexpr unsigned kCapCrims = 60;  // NVMe 2.0: ready independent of media
constexpr std::uint32_t kCtrattElbas = 1u << 15;
// Extended LBA formats of Identify Namespace, NVM command set (CNS 05h): dwords of which bits 8:7
// are the guard type, 0 for 16 bits.
constexpr std::size_t kExtendedFormats = 12;
constexpr unsigned kGuardShift = 7;

constexpr std::uint8_t kNmicShared = 1u << 0;

}  // namespace

void read_first_page(Machine& machine, BlockDevice& disk) {
  if (disk.capacity_sectors() < kPageBytes / kSectorBytes) return;
  Completion ended(machine.threads);
  Bio bio;
  bio.op = BioOp::kRead;
  bio.sectors = kPageBytes / kSectorBytes;
  bio.buffer = disk.allocate_buffer(kPageBytes);
  bio.done = base::Callback::of<&Completion::complete>(&ended);
  disk.submit(bio);
  ended.wait();
  disk.free_buffer(bio.buffer);
}

void NvmeCtrl::queue_scan() {
  if (state_ == CtrlState::kLive && tagset != nullptr) nvme_wq_.queue_work(scan_work_);
}

void NvmeCtrl::scan_work() {
  if (state_ != CtrlState::kLive || tagset == nullptr) return;
  if (facts_.csi_limits_in_scan && init_non_mdts_limits() < 0) {
    log_warning("reading non-mdts-limits failed");
    return;
  }
  if (std::exchange(ns_changed_, false)) {
    log_info("rescanning namespaces.");
    clear_changed_ns_log();
  }
  {
    std::scoped_lock lock(scan_lock_);
    if (scan_ns_list() != 0) scan_ns_sequential();
  }
  if (facts_.rescan_on_late_change && ns_changed_) queue_scan();
}

// Reading the log lets the controller report the next change; what it says is not used.
void NvmeCtrl::clear_changed_ns_log() {
  std::vector<std::byte> log(kIdentifyBytes);
  const int status =
      get_log(kNsidAll, static_cast<std::uint8_t>(LogPageId::kChangedNamespaceList), log);
  if (status != 0) log_warning(fmt::format("reading changed ns log failed: {}", status));
}

int NvmeCtrl::scan_ns_list() {
  if (limited_cns()) return -EOPNOTSUPP;
  std::array<std::uint32_t, kListEntries> list{};
  std::uint32_t previous = 0;
  for (bool more = true; more;) {
    const int status = identify(static_cast<std::uint8_t>(Cns::kActiveNamespaces), previous, 0,
                                std::as_writable_bytes(std::span(list)));
    if (status != 0) {
      log_warning(fmt::format("Identify NS List failed (status=0x{:x})",
                              static_cast<std::uint32_t>(status)));
      return status;
    }
    for (const std::uint32_t nsid : list) {
      more = nsid != 0;
      if (!more) break;
      validate_or_alloc_ns(nsid);
      remove_ns_range(previous, nsid);
      previous = nsid;
    }
  }
  remove_ns_range(previous, kNoLimitNsid);
  return 0;
}

void NvmeCtrl::scan_ns_sequential() {
  if (identify(static_cast<std::uint8_t>(Cns::kController), 0, 0, bytes_of(identify_)) != 0) return;
  for (std::uint32_t nsid = 1; nsid <= identify_.nn; ++nsid) validate_or_alloc_ns(nsid);
  remove_ns_range(identify_.nn, kNoLimitNsid);
}

void NvmeCtrl::validate_or_alloc_ns(std::uint32_t nsid) {
  NsIds ids;
  if (identify_ns_descriptors(nsid, ids) != 0) return;
  NvmeNs* known = find_ns(nsid);
  if (known != nullptr) {
    validate_ns(*known, ids);
  } else if (facts_.other_sets_without_disk || serves(ids.csi)) {
    alloc_ns(nsid, ids);
  } else if (ids.csi == kCsiZoned) {
    log_warning(fmt::format("nsid {} not supported without CONFIG_BLK_DEV_ZONED", nsid));
  } else {
    log_warning(fmt::format("unknown csi {} for nsid {}", ids.csi, nsid));
  }
}

// The kernel can make a disk of a namespace of this command set.
bool NvmeCtrl::serves(std::uint8_t csi) const {
  return csi == kCsiNvm || (csi == kCsiZoned && config_.zoned);
}

int NvmeCtrl::identify_ns_descriptors(std::uint32_t nsid, NsIds& ids) {
  if ((version_ < kVersion13 && !multi_css()) || quirks_.no_namespace_descriptors) return 0;
  std::array<std::byte, kIdentifyBytes> list{};
  const int status = identify(static_cast<std::uint8_t>(Cns::kNamespaceDescriptors), nsid, 0, list);
  if (status != 0) {
    log_warning(fmt::format("Identify Descriptors failed (nsid={}, status=0x{:x})", nsid,
                            static_cast<std::uint32_t>(status)));
    return status;
  }
  if (!parse_ns_descriptors(list, ids) && multi_css()) {
    log_warning(fmt::format("Command set not reported for nsid:{}", nsid));
    return -EINVAL;
  }
  if (quirks_.bogus_ids) ids = NsIds{.csi = ids.csi};
  return 0;
}

// What is known of a namespace before its disk is set up. A namespace whose media is not ready is
// passed over for now (-EAGAIN); one without capacity is not attached to this controller.
int NvmeCtrl::identify_ns(std::uint32_t nsid, NsIds& ids, IdentifyNamespace& id) {
  const bool other_set = ids.csi != kCsiNvm && ids.csi != kCsiZoned;
  if (facts_.independent_identify && (other_set || bits(cap, kCapCrims, kCapCrims) != 0)) {
    IdentifyNamespaceIndependent common{};
    const int status =
        identify(static_cast<std::uint8_t>(Cns::kIndependentNamespace), nsid, 0, bytes_of(common));
    if (status != 0) return status;
    id.nmic = common.nmic;
    return (common.nstat & 1u) != 0 ? 0 : -EAGAIN;
  }
  const int status = identify(static_cast<std::uint8_t>(Cns::kNamespace), nsid, 0, bytes_of(id));
  if (status != 0) return status;
  if (id.ncap == 0) return kGone;
  if (!quirks_.bogus_ids) complete_ns_ids(id, version_, ids);
  return 0;
}

// Protection information with a guard of more than 16 bits is none that this host knows.
int NvmeCtrl::read_guard_type(std::uint32_t nsid, IdentifyNamespace& id) {
  if (!facts_.lbafee || (identify_.ctratt & kCtrattElbas) == 0) return 0;
  std::array<std::byte, kIdentifyBytes> data{};
  const int status = identify(static_cast<std::uint8_t>(Cns::kCommandSetNamespace), nsid, 0, data);
  if (status != 0) return std::min(status, 0);
  std::uint32_t format = 0;
  std::memcpy(&format, data.data() + kExtendedFormats + (id.flbas & 15u) * sizeof format,
              sizeof format);
  if (bits(format, kGuardShift + 1, kGuardShift) != 0) id.dps = 0;
  return 0;
}

void NvmeCtrl::validate_ns(NvmeNs& ns, NsIds ids) {
  IdentifyNamespace id{};
  int status = identify_ns(ns.nsid, ids, id);
  if (status == 0) {
    if (!(ids == ns.ids)) {
      log_error(fmt::format("identifiers changed for nsid {}", ns.nsid));
      status = kGone;
    } else {
      status = update_ns_info(ns, id);
      if (status == 0 && make_head_live(ns)) read_first_page(machine_, *ns.head.disk);
    }
  }
  if (status > 0 && (status & kStatusDoNotRetry) != 0) remove_ns(ns);
}

void NvmeCtrl::alloc_ns(std::uint32_t nsid, NsIds ids) {
  IdentifyNamespace id{};
  if (identify_ns(nsid, ids, id) != 0) return;
  auto created = create_ns(nsid, ids, (id.nmic & kNmicShared) != 0);
  if (created == nullptr) return;
  NvmeNs& ns = *created;
  int status = read_effects(ns.head);
  if (status == 0) status = update_ns_info(ns, id);
  if (status != 0) {
    subsystem_->detach(ns.head);
    return;
  }
  const auto place = std::find_if(namespaces_.begin(), namespaces_.end(),
                                  [nsid](const auto& other) { return other->nsid > nsid; });
  namespaces_.insert(place, std::move(created));
  appear(ns);
}

// Of another command set than the NVM one, once for all paths.
int NvmeCtrl::read_effects(NamespaceHead& head) {
  if (head.ids.csi == kCsiNvm || !head.effects.empty()) return 0;
  std::vector<std::byte> log(kIdentifyBytes);
  const int status = get_log(0, static_cast<std::uint8_t>(LogPageId::kCommandsSupportedAndEffects),
                             log, head.ids.csi);
  if (status == 0) head.effects = std::move(log);
  return status;
}

// One more path of its head; null if it contradicts the others.
std::unique_ptr<NvmeNs> NvmeCtrl::create_ns(std::uint32_t nsid, const NsIds& ids, bool shared) {
  std::string why;
  NamespaceHead* head = subsystem_->attach(*this, nsid, ids, shared, why);
  if (head == nullptr) {
    log_error(why);
    return nullptr;
  }
  std::string name = disk_name(*head);
  if (head->paths == 1 && wants_head(*head))
    head->disk = std::make_unique<NsHead>(name, subsystem_->policy(), machine_);
  // A path is named after its controller too, and hidden.
  if (head->disk != nullptr)
    name = fmt::format("nvme{}c{}n{}", subsystem_->instance(), instance_, head->number);
  auto ns = std::make_unique<NvmeNs>(*this, *head, std::move(name), *tagset);
  ns->ids = ids;
  if (facts_.plug_newest_only)
    ns->disk.queue().set_plug_rules({.most_requests = 32, .newest_only = true});
  return ns;
}

// Its disk, or that of its head if this is the first path to it, is there, and is read.
void NvmeCtrl::appear(NvmeNs& ns) {
  if (ns.hidden) return;
  if (ns.head.disk == nullptr) return read_first_page(machine_, ns.disk);
  add_path(ns);
  if (make_head_live(ns)) read_first_page(machine_, *ns.head.disk);
}

int NvmeCtrl::update_ns_info(NvmeNs& ns, const IdentifyNamespace& id) {
  if (!serves(ns.head.ids.csi)) {
    log_info(
        fmt::format("block device for nsid {} not supported (csi {})", ns.nsid, ns.head.ids.csi));
    ns.hidden = true;
    return 0;
  }
  IdentifyNamespace current = id;
  if (facts_.second_identify_namespace) {
    const int status =
        identify(static_cast<std::uint8_t>(Cns::kNamespace), ns.nsid, 0, bytes_of(current));
    if (status != 0) return status;
    if (current.ncap == 0) return kGone;
  }
  const int guard = read_guard_type(ns.nsid, current);
  if (guard != 0) return guard;
  ns.info = derive_ns_info(current, limits_, quirks_, config_.integrity);
  if (streams_ != 0) {
    StreamParameters streams{};
    const int status = read_stream_parameters(ns.nsid, streams);
    if (status < 0) return status;
  }
  if (ns.head.ids.csi == kCsiZoned) {
    const int status = update_zone_info(ns, current.flbas & 15u);
    ns.hidden |= status == -ENODEV;
    if (status != 0) return ns.hidden ? 0 : status;
  }
  ns.target = {ns.nsid,           ns.info.lba_shift, ns.info.pi_type, ns.info.metadata_bytes != 0,
               ns.info.integrity, streams_ != 0};
  const bool first = !ns.ready;
  set_limits(ns);
  if (!ns.zones) return 0;
  const int status = revalidate_zones(ns);
  return first ? 0 : status;  // a new disk is there all the same
}

// What the disk takes, set while none of its requests is under way.
void NvmeCtrl::set_limits(NvmeNs& ns) {
  const unsigned block_shift = ns.info.lba_shift - 9;
  const std::uint64_t block_sectors = std::uint64_t{1} << block_shift;

  BlockLimits limits = ns.disk.limits();
  limits.logical_block_bytes = 1u << ns.info.lba_shift;
  // The block layer splits at physical blocks and wants a power of two.
  limits.physical_block_bytes =
      std::bit_floor(std::max(ns.info.physical_block_bytes, limits.logical_block_bytes));
  limits.max_sectors = ns.info.max_sectors;
  limits.chunk_sectors = ns.info.chunk_sectors;
  limits.max_segments = ns.info.max_segments;
  const std::uint64_t discard =
      limits_.max_discard_sectors != 0 && discard_range_blocks_ != 0
          ? std::min<std::uint64_t>(std::uint64_t{discard_range_blocks_} << block_shift,
                                    kNoLimitSectors)
          : limits_.max_discard_sectors;
  limits.max_discard_sectors = discard / block_sectors * block_sectors;
  // A Write Zeroes command counts its blocks in 16 bits.
  limits.max_write_zeroes_sectors =
      std::min(limits_.max_zeroes_sectors / block_sectors, std::uint64_t{0x10000}) * block_sectors;
  limits.max_discard_segments = limits_.max_discard_segments;
  limits.write_cache = limits_.volatile_cache;
  // Protection information in host memory is one piece per request, and a bio brings one.
  limits.mergeable = !ns.info.integrity;

  RequestQueue& queue = ns.disk.queue();
  queue.freeze_start();
  queue.wait_freeze();
  ns.disk.set_limits(limits);
  ns.disk.set_capacity(ns.info.capacity_sectors);
  if (ns.head.disk)
    ns.head.disk->set_limits(ns.disk.limits(), ns.info.capacity_sectors, ns.head.paths > 1);
  ns.ready = true;
  queue.unfreeze();
}

NvmeNs* NvmeCtrl::find_ns(std::uint32_t nsid) {
  for (const auto& ns : namespaces_)
    if (ns->nsid == nsid) return ns.get();
  return nullptr;
}

// Namespaces with above < id < below, and those that are dead.
void NvmeCtrl::remove_ns_range(std::uint32_t above, std::uint32_t below) {
  for (std::size_t i = 0; i < namespaces_.size();) {
    NvmeNs& ns = *namespaces_[i];
    const bool gone = (ns.nsid > above && ns.nsid < below) || (ns.dead && below == kNoLimitNsid);
    if (gone)
      remove_ns(ns);
    else
      ++i;
  }
}

// No path of its head any more, its requests are let finish; then its disk fails whatever comes,
// and what waits at the head if this was the last path.
void NvmeCtrl::remove_ns(NvmeNs& ns) {
  ns.ready = false;
  if (ns.head.disk) ns.head.disk->remove_path(ns);
  const auto place = std::find_if(namespaces_.begin(), namespaces_.end(),
                                  [&ns](const auto& other) { return other.get() == &ns; });
  std::unique_ptr<NvmeNs> removed = std::move(*place);
  namespaces_.erase(place);
  ns.disk.set_capacity(0);
  RequestQueue& queue = ns.disk.queue();
  queue.mark_dying();
  for (; ns.freezes != 0; --ns.freezes) queue.unfreeze();
  queue.freeze_start();
  queue.wait_freeze();
  queue.unfreeze();
  if (removed->head.disk) removed->head.disk->kick();
  subsystem_->detach(removed->head);
  removed_.push_back(std::move(removed));
}

void NvmeCtrl::remove_namespaces() {
  clear_paths();
  flush_scan();
  // The device is gone: what waits for it must not wait for ever.
  if (state_ == CtrlState::kDead) kill_queues();
  change_ctrl_state(CtrlState::kDeletingNoIo);
  std::scoped_lock lock(scan_lock_);
  while (!namespaces_.empty()) remove_ns(*namespaces_.front());
}

std::uint64_t NvmeCtrl::sum_of_disks(std::uint64_t (RequestQueue::*counter)() const) const {
  std::uint64_t sum = 0;
  for (const auto* list : {&namespaces_, &removed_})
    for (const auto& ns : *list) sum += (ns->disk.queue().*counter)();
  return sum;
}

void NvmeCtrl::free_namespaces() {
  namespaces_.clear();
  removed_.clear();
}

}  // namespace nvmesim::host
