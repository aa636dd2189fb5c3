// What a controller is asked and told before its I/O queues are made: nvme_init_ctrl_finish and
// what it calls, in the order in which the commands go over the wire.
#include <algorithm>
#include <cstring>

#include "host/nvme/apst.hpp"
#include "host/nvme/ctrl.hpp"

namespace nvmesim::host {
namespace {

using namespace device::spec;

constexpr std::uint8_t kLpaEffects = 1u << 1;
constexpr std::uint32_t kCtrattExtendedLba = 1u << 15;
constexpr std::uint32_t kUnlimited = 0xffff'ffff;
constexpr std::uint8_t kCnsCsiController = 0x06;  // NVMe 2.0: limits of one command set

// Identify, CNS 06h, NVM command set (NVMe 2.0).
struct NvmCommandSetLimits {
  std::uint8_t vsl;
  std::uint8_t wzsl;  // power of two of minimum pages
  std::uint8_t wusl;
  std::uint8_t dmrl;    // ranges
  std::uint32_t dmrsl;  // one range
  std::uint64_t dmsl;   // all ranges
};

std::string trimmed(std::span<const char> field) {
  std::size_t end = field.size();
  while (end > 0 && (field[end - 1] == ' ' || field[end - 1] == '\0')) --end;
  return {field.data(), end};
}

// 1 << bits, or 0 (no limit) when that does not fit.
std::uint32_t power_or_zero(unsigned bits) {
  return bits < 32 ? 1u << bits : 0;
}

}  // namespace

bool NvmeCtrl::limited_cns() const {
  return version_ < (quirks_.identify_cns ? kVersion12 : kVersion11);
}

int NvmeCtrl::init_ctrl_finish() {
  version_ = bus_.reg_read32(kRegVs);
  sqsize = std::min<std::uint32_t>(Cap{cap}.mqes(), sqsize);
  const int result = init_identify();
  if (result != 0) return result;
  if (!facts_.csi_limits_in_scan) {
    const int limits = init_non_mdts_limits();
    if (limits < 0) return limits;
  } else {
    init_default_limits();
  }
  for (const auto step : {&NvmeCtrl::configure_apst, &NvmeCtrl::configure_timestamp,
                          &NvmeCtrl::configure_directives, &NvmeCtrl::configure_host_behavior}) {
    const int status = (this->*step)();
    if (status < 0) return status;
  }
  if (!identified_ && config_.hwmon) {
    const int status = hwmon_init();
    if (status < 0 && (!facts_.hwmon_failure_ignored || status == -EINTR)) return status;
  }
  identified_ = true;
  return 0;
}

int NvmeCtrl::init_identify() {
  IdentifyController& id = identify_;
  if (identify(static_cast<std::uint8_t>(Cns::kController), 0, 0, bytes_of(id)) != 0) {
    log_error("Identify Controller failed");
    return -EIO;
  }
  if ((id.lpa & kLpaEffects) != 0 && !effects_known_) {
    const int status =
        get_log(0, static_cast<std::uint8_t>(LogPageId::kCommandsSupportedAndEffects), effects_);
    if (status < 0) return status;
    effects_known_ = status == 0;
  }
  if (!identified_) {
    if (const int result = init_subsystem(); result != 0) return result;
  }
  firmware_ = trimmed(id.fr);
  abort_limit = id.acl + 1;
  limits_.volatile_cache = (id.vwc & 1u) != 0;
  limits_.awupf = id.awupf;
  set_transfer_limit(id.mdts);
  const std::uint32_t own = config_.shutdown_timeout;
  shutdown_timeout_s_ = own;
  if (id.rtd3e != 0) {
    constexpr std::uint32_t kLongest = 60;
    shutdown_timeout_s_ = std::clamp(id.rtd3e / 1'000'000, own, std::max(own, kLongest));
    if (shutdown_timeout_s_ != own)
      log_info(fmt::format("Shutdown timeout set to {} seconds", shutdown_timeout_s_));
  }
  return init_ana();
}

// The controller joins the others that name the same subsystem, unless it contradicts them.
int NvmeCtrl::init_subsystem() {
  if (subsystem_ != nullptr) return 0;
  model_ = trimmed(identify_.mn);
  serial_ = trimmed(identify_.sn);
  add_core_quirks(identify_.vid, model_, trimmed(identify_.fr), facts_.knows_bogus_ids, quirks_);
  name_subsystem();
  Subsystem& subsystem =
      subsystems_.find_or_make(nqn_, instance_, identify_.cmic, config_.iopolicy, facts_);
  if (const std::string why = subsystem.refusal(*this); !why.empty()) {
    log_error(why);
    return -EINVAL;
  }
  subsystem_ = &subsystem;
  subsystem.join(*this);
  return 0;
}

void NvmeCtrl::leave_subsystem() {
  if (subsystem_ != nullptr) subsystem_->leave(*this);
}

// The drive's own name for it, or one made from its identity.
void NvmeCtrl::name_subsystem() {
  const IdentifyController& id = identify_;
  const auto end = std::find(id.subnqn.begin(), id.subnqn.end(), '\0');
  if (!quirks_.ignore_subnqn && end != id.subnqn.begin() && end != id.subnqn.end()) {
    nqn_.assign(id.subnqn.begin(), end);
    return;
  }
  if (!quirks_.ignore_subnqn && version_ >= kVersion121)
    log_warning("missing or invalid SUBNQN field.");
  nqn_ = fmt::format("nqn.2014.08.org.nvmexpress:{:04x}{:04x}{}{}", id.vid, id.ssvid,
                     std::string_view(id.sn.data(), id.sn.size()),
                     std::string_view(id.mn.data(), id.mn.size()));
}

// MDTS counts minimum pages of the controller, as a power of two; 0 is no limit.
void NvmeCtrl::set_transfer_limit(std::uint8_t mdts) {
  if (mdts == 0) return;
  const std::uint32_t sectors = power_or_zero(mdts + Cap{cap}.mpsmin() + 12u - 9u);
  if (sectors != 0) limits_.max_hw_sectors = std::min(limits_.max_hw_sectors, sectors);
}

void NvmeCtrl::init_default_limits() {
  const bool discard = (identify_.oncs & kOncsDsm) != 0;
  limits_.max_discard_sectors = discard ? kUnlimited : 0;
  limits_.max_discard_segments = discard ? kMaxDsmRanges : 0;
  const bool zeroes = (identify_.oncs & kOncsWriteZeroes) != 0 && !quirks_.disable_write_zeroes;
  limits_.max_zeroes_sectors = zeroes ? limits_.max_hw_sectors : 0;
}

int NvmeCtrl::init_non_mdts_limits() {
  init_default_limits();
  if (limited_cns()) return 0;
  std::array<std::byte, kIdentifyBytes> data{};
  const int status = identify(kCnsCsiController, 0, 0, data);
  if (status != 0) return status < 0 ? status : 0;  // an older drive does not know this page
  NvmCommandSetLimits page{};
  std::memcpy(&page, data.data(), sizeof page);
  if (page.dmrl != 0) limits_.max_discard_segments = page.dmrl;
  // In logical blocks (5.15: taken as sectors); the disk's own block size multiplies it there.
  discard_range_blocks_ = facts_.dmrsl_in_blocks ? page.dmrsl : 0;
  if (page.dmrsl != 0 && !facts_.dmrsl_in_blocks) limits_.max_discard_sectors = page.dmrsl;
  if (page.wzsl != 0) {
    const std::uint32_t sectors = power_or_zero(page.wzsl + Cap{cap}.mpsmin() + 12u - 9u);
    limits_.max_zeroes_sectors = sectors != 0 ? sectors : kUnlimited;
  }
  return 0;
}

int NvmeCtrl::configure_apst() {
  constexpr unsigned kMaxStates = 32;
  if (identify_.apsta == 0 || identify_.npss >= kMaxStates) return 0;
  const bool allowed = !quirks_.no_apst || config_.force_apst;
  std::array<PowerState, kMaxStates> states{};
  const std::size_t count = identify_.npss + 1u;
  for (std::size_t i = 0; i < count; ++i) {
    const PowerStateDescriptor& descriptor = identify_.psd[i];
    states[i] = {descriptor.enlat, descriptor.exlat, (descriptor.flags & 2u) != 0};
  }
  const ApstTable table =
      build_apst_table(std::span(states).first(count), allowed ? ps_max_latency_us_ : 0,
                       quirks_.no_deepest_power_state && !config_.force_apst, config_);
  auto data = std::as_writable_bytes(std::span(apst_entries_));
  apst_entries_ = table.entries;
  const int status =
      set_features(FeatureId::kAutonomousPowerStateTransition, table.enable ? 1u : 0u, data);
  if (status != 0) log_error(fmt::format("failed to set APST feature ({})", status));
  return status;
}

int NvmeCtrl::configure_timestamp() {
  if ((identify_.oncs & kOncsTimestamp) == 0) return 0;
  const auto since_boot = std::chrono::duration_cast<std::chrono::milliseconds>(now());
  std::uint64_t value = config_.boot_time_ms + static_cast<std::uint64_t>(since_boot.count());
  const int status = set_features(FeatureId::kTimestamp, 0, bytes_of(value));
  if (status != 0) log_warning(fmt::format("could not set timestamp ({})", status));
  return status;
}

// Asks for delayed retries (ACRE) where the controller has retry delay times, and for extended LBA
// formats where the generation knows them.
int NvmeCtrl::configure_host_behavior() {
  const bool delays = identify_.crdt1 != 0;
  const bool formats = facts_.lbafee && (identify_.ctratt & kCtrattExtendedLba) != 0;
  if (!delays && !formats) return 0;
  std::array<std::byte, 512> data{};
  data[0] = std::byte{delays};
  data[2] = std::byte{formats};
  return set_features(FeatureId::kHostBehaviorSupport, 0, data);
}

int NvmeCtrl::hwmon_init() {
  SmartLog log{};
  const int status = get_log(kNsidAll, static_cast<std::uint8_t>(LogPageId::kSmart), bytes_of(log));
  if (status == 0) composite_temperature_k_ = log.composite_temperature;
  return status;
}

}  // namespace nvmesim::host
