#include "device/register_file.hpp"

#include <algorithm>

#include "device/core.hpp"

namespace nvmesim::device {

namespace {
constexpr std::uint32_t kLow12 = 0xFFF;
constexpr std::uint32_t kAqaMask = 0x0FFF'0FFF;
constexpr std::uint32_t kCcMask = 0x00FF'FFF1;  // reserved bits read as 0
constexpr std::uint32_t kCrime = 1u << 24;
constexpr unsigned kCrims = 2;  // CAP.CRMS bit: ready independent of media

// CRTO: what the host has to wait, in units of 500 ms.
std::uint32_t crto(const ControllerConfig& config) {
  if (config.registers.crms == 0) return 0;
  const auto units = [](std::uint64_t us) { return static_cast<std::uint32_t>(us / 500'000 + 1); };
  const std::uint64_t ready = config.ready_latency_us;
  const std::uint64_t media = ready + config.registers.media_ready_latency_us;
  const std::uint32_t independent =
      (config.registers.crms & kCrims) != 0 ? std::min(units(ready), 0xFFFFu) : 0;
  return std::min(units(media), 0xFFFFu) | (independent << 16);
}
}  // namespace

RegisterFile::RegisterFile(Core& core) : core_(core) {
  const ControllerConfig& config = core.config;
  cap_.set(15, 0, config.mqes);
  cap_.set(18, 17, config.weighted_arbitration ? 1 : 0);
  cap_.set(56, 56, config.pmr.pages != 0);
  cap_.set(57, 57, config.cmb.pages != 0);
  cap_.set(16, 16, 1);  // queues are physically contiguous
  cap_.set(31, 24, config.timeout_500ms);
  cap_.set(35, 32, config.dstrd);
  cap_.set(36, 36, config.nssrs);
  cap_.set(44, 37, spec::kCssNvm);
  cap_.set(45, 45, config.registers.boot_partition_units != 0);
  cap_.set(47, 46, config.registers.cps);
  cap_.set(51, 48, config.registers.mpsmin);
  cap_.set(55, 52, config.mpsmax);
  cap_.set(60, 59, config.registers.crms);
}

std::uint32_t RegisterFile::read(std::uint32_t offset) const {
  const auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
  const auto high = [](std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); };
  if (MemoryRegisters::owns(offset)) return core_.memory.read(offset);
  switch (offset) {
    case spec::kRegCap:
      return low(cap_.value);
    case spec::kRegCap + 4:
      return high(cap_.value);
    case spec::kRegVs:
      return core_.config.version();
    case spec::kRegIntms:
    case spec::kRegIntmc:
      return interrupt_mask_;
    case spec::kRegCc:
      return cc_.value;
    case spec::kRegCsts:
      return csts_.value;
    case spec::kRegAqa:
      return aqa_.value;
    case spec::kRegAsq:
      return low(asq_);
    case spec::kRegAsq + 4:
      return high(asq_);
    case spec::kRegAcq:
      return low(acq_);
    case spec::kRegAcq + 4:
      return high(acq_);
    case spec::kRegBpinfo:
      return core_.boot.info();
    case spec::kRegBprsel:
      return core_.boot.selection();
    case spec::kRegBpmbl:
      return low(core_.boot.buffer());
    case spec::kRegBpmbl + 4:
      return high(core_.boot.buffer());
    case spec::kRegCrto:
      return crto(core_.config);
    default:
      return 0;  // NSSR, optional registers that are absent, and what is reserved
  }
}

void RegisterFile::write(std::uint32_t offset, std::uint32_t value) {
  if (MemoryRegisters::owns(offset)) {
    core_.memory.write(offset, value);
    return;
  }
  switch (offset) {
    case spec::kRegIntms:
      mask_interrupts(interrupt_mask_ | value);
      return;
    case spec::kRegIntmc:
      mask_interrupts(interrupt_mask_ & ~value);
      return;
    case spec::kRegCc:
      write_cc(spec::Cc{value & ((cap_.crms() & kCrims) != 0 ? kCcMask | kCrime : kCcMask)});
      return;
    case spec::kRegCsts:
      if (spec::Csts{value}.nssro()) csts_.set_nssro(false);  // write 1 to clear
      return;
    case spec::kRegNssr:
      if (core_.config.nssrs && value == spec::kNssrMagic) {
        core_.subsystem.reset();
      } else {
        core_.report("write to NSSR without effect", "3.1.7");
      }
      return;
    case spec::kRegBprsel:
    case spec::kRegBpmbl:
    case spec::kRegBpmbl + 4:
      if (!core_.boot.present()) {
        core_.report("write to a boot partition register, and CAP.BPS is 0", "3.1.14");
      } else if (offset == spec::kRegBprsel) {
        core_.boot.select(value);
      } else {
        core_.boot.set_buffer(offset != spec::kRegBpmbl, value);
      }
      return;
    case spec::kRegAqa:
      if (cc_.en()) {
        core_.report("AQA written while CC.EN is 1", "3.1.8");
      } else {
        aqa_.value = value & kAqaMask;
      }
      return;
    case spec::kRegAsq:
    case spec::kRegAsq + 4:
      write_half(asq_, offset != spec::kRegAsq, value);
      return;
    case spec::kRegAcq:
    case spec::kRegAcq + 4:
      write_half(acq_, offset != spec::kRegAcq, value);
      return;
    default:
      core_.report("write to a register that is read-only or reserved", "3.1");
      return;
  }
}

bool RegisterFile::masked_by_table() const {
  return core_.port.interrupt_by_table();
}

// A bit per vector below 32 with entries that the host has not taken.
std::uint32_t RegisterFile::vectors_with_entries() const {
  std::uint32_t vectors = 0;
  for (std::uint32_t id = 0; id <= core_.queues.max_id(); ++id) {
    const CompletionQueue* queue = core_.queues.cq(id);
    if (queue == nullptr || !queue->ien || queue->used() == 0 || queue->vector >= 32) continue;
    vectors |= 1u << queue->vector;
  }
  return vectors;
}

// A masked vector releases the pin; one that is no longer masked takes it again if entries wait. A
// message that was held back is sent then.
void RegisterFile::mask_interrupts(std::uint32_t mask) {
  const std::uint32_t changed = mask ^ interrupt_mask_;
  interrupt_mask_ = mask;
  if (changed == 0 || masked_by_table()) return;
  const bool pin = core_.port.interrupt_by_pin();
  const std::uint32_t waiting = changed & vectors_with_entries();
  const std::uint32_t released = waiting & ~mask & (pin ? ~0u : withheld_);
  for (std::uint16_t vector = 0; vector < 32; ++vector) {
    if ((released >> vector & 1) != 0) core_.port.interrupt(pcie::VectorId(vector));
    if (pin && (waiting & mask) >> vector & 1) core_.port.interrupt_served(pcie::VectorId(vector));
  }
  withheld_ &= mask;
}

void RegisterFile::write_half(std::uint64_t& whole, bool upper, std::uint32_t value) {
  if (cc_.en()) {
    core_.report("queue base address written while CC.EN is 1", "3.1.9");
  } else if (upper) {
    whole = (whole & 0xFFFF'FFFF) | (std::uint64_t{value} << 32);
  } else {
    whole = (whole & ~std::uint64_t{0xFFFF'FFFF}) | (value & ~kLow12);
  }
}

void RegisterFile::write_cc(spec::Cc wanted) {
  const spec::Cc before = cc_;
  if (before.en() && wanted.en()) {
    constexpr std::uint32_t kFixed = 0x3FF0 | kCrime;  // CSS, MPS, AMS
    if (((before.value ^ wanted.value) & kFixed) != 0) {
      core_.report("CC.CSS, MPS or AMS changed while CC.EN is 1", "3.1.5");
      wanted.value = (wanted.value & ~kFixed) | (before.value & kFixed);
    }
  }
  cc_ = wanted;
  if (before.en() && !wanted.en()) disable();
  if (!before.en() && wanted.en()) enable();
  if (wanted.shn() != before.shn() && wanted.shn() != spec::kShnNone) start_shutdown();
}

// Why the controller cannot be enabled with the registers as they are; nullptr if it can.
const char* RegisterFile::enable_fault() const {
  if (cc_.css() != 0) return "CC.CSS selects a command set that is not supported";
  if (cc_.mps() > core_.config.mpsmax) return "CC.MPS is above CAP.MPSMAX";
  if (cc_.mps() < core_.config.registers.mpsmin) return "CC.MPS is below CAP.MPSMIN";
  const unsigned best = core_.config.weighted_arbitration ? spec::kAmsWeighted : 0;
  if (cc_.ams() > best) return "CC.AMS selects an arbitration that is not supported";
  if (cc_.iosqes() != 0 && cc_.iosqes() != spec::kIosqes) return "CC.IOSQES is not 6";
  if (cc_.iocqes() != 0 && cc_.iocqes() != spec::kIocqes) return "CC.IOCQES is not 4";
  if (aqa_.asqs() == 0 || aqa_.acqs() == 0) return "AQA gives a queue of one entry";
  const std::uint64_t page_mask = cc_.page_bytes() - 1;
  if (asq_ == 0 || acq_ == 0) return "ASQ or ACQ is 0";
  if ((asq_ & page_mask) != 0 || (acq_ & page_mask) != 0) return "ASQ or ACQ is not page aligned";
  return nullptr;
}

void RegisterFile::forget_shutdown() {
  core_.scheduler.cancel(shutdown_timer_);
  ++shutdown_round_;
  csts_.set_shst(spec::kShstNormal);
}

// Also a controller that was told to shut down while it was not enabled starts afresh.
void RegisterFile::enable() {
  forget_shutdown();
  core_.fetcher.start();
  core_.scheduler.cancel(transition_);
  csts_.set_rdy(false);
  const char* fault = enable_fault();
  if (fault != nullptr) {
    fatal(fault, "3.1.5");
    return;
  }
  transition_ = core_.scheduler.after<&RegisterFile::enabled>(ready_latency(), this);
}

// Without CC.CRIME ready means that the media is ready too.
base::Time RegisterFile::ready_latency() {
  base::Time latency = std::chrono::microseconds(core_.config.ready_latency_us);
  const base::Time media = std::chrono::microseconds(core_.config.registers.media_ready_latency_us);
  if (new_firmware_) latency += std::chrono::milliseconds(core_.config.firmware.activation_ms);
  new_firmware_ = false;
  if (!cc_.crime()) return latency + media;
  core_.gates |= Core::kGateMedia;
  media_timer_ = core_.scheduler.after<&RegisterFile::media_ready>(latency + media, this);
  return latency;
}

void RegisterFile::media_ready() {
  core_.gates &= ~Core::kGateMedia;
}

void RegisterFile::enabled() {
  core_.subsystem.events.add(core_, spec::kEventPowerOnOrReset, core_.subsystem.firmware.log());
  core_.queues.create_cq(0, aqa_.acqs() + 1u, acq_, true, 0);
  core_.queues.create_sq(0, aqa_.asqs() + 1u, asq_, 0);
  core_.fetcher.set_weighted(cc_.ams() == spec::kAmsWeighted);
  csts_.set_rdy(true);
}

// A controller reset: everything but AQA, ASQ, ACQ goes back (section 7.3.2).
void RegisterFile::disable() {
  core_.scheduler.cancel(transition_);
  forget_shutdown();
  ++resets_;
  csts_.set_cfs(false);
  csts_.set_pp(false);
  interrupt_mask_ = withheld_ = 0;
  core_.scheduler.cancel(media_timer_);
  core_.gates &= ~Core::kGateMedia;
  if (core_.subsystem.firmware.reset(FirmwareReset::kController)) new_firmware_ = true;
  core_.reset_controller();
  if (!csts_.rdy()) return;
  transition_ = core_.scheduler.after<&RegisterFile::disabled>(
      std::chrono::microseconds(core_.config.disable_latency_us), this);
}

void RegisterFile::disabled() {
  csts_.set_rdy(false);
}

void RegisterFile::start_shutdown() {
  csts_.set_shst(spec::kShstOccurring);
  core_.fetcher.stop();
  core_.scheduler.cancel(shutdown_timer_);
  const std::uint64_t round = ++shutdown_round_;
  shutdown_steps_ = 2;
  shutdown_timer_ = core_.scheduler.after<&RegisterFile::shutdown_step>(
      std::chrono::microseconds(core_.config.shutdown_latency_us), this, round);
  core_.media.quiesce(base::Callback::of<&RegisterFile::shutdown_step>(this, round));
}

// Once for the time, once for the media.
void RegisterFile::shutdown_step(std::uint64_t round) {
  if (round != shutdown_round_) return;
  if (--shutdown_steps_ == 0) csts_.set_shst(spec::kShstComplete);
}

void RegisterFile::fatal(const char* why, const char* section) {
  core_.report(why, section);
  csts_.set_cfs(true);
  core_.fetcher.stop();
}

// The configuration space of the function is not reset: FunctionPort has no way to say so.
void RegisterFile::subsystem_reset_arrived() {
  core_.reset_controller();
  reset();
  if (core_.subsystem.firmware.reset(FirmwareReset::kSubsystem)) new_firmware_ = true;
  csts_.set_nssro(true);
}

void RegisterFile::function_reset() {
  reset();
  if (core_.subsystem.firmware.reset(FirmwareReset::kConventional)) new_firmware_ = true;
}

void RegisterFile::pause() {
  if (!ready()) return;
  csts_.set_pp(true);
  core_.fetcher.stop();
}

void RegisterFile::resume() {
  if (!csts_.pp()) return;
  csts_.set_pp(false);
  if (ready() && csts_.shst() == spec::kShstNormal) core_.fetcher.resume();
}

void RegisterFile::reset() {
  core_.scheduler.cancel(transition_);
  core_.scheduler.cancel(shutdown_timer_);
  core_.scheduler.cancel(media_timer_);
  core_.gates &= ~Core::kGateMedia;
  ++shutdown_round_;
  ++resets_;
  cc_ = {};
  csts_ = {};
  aqa_ = {};
  asq_ = acq_ = 0;
  interrupt_mask_ = withheld_ = 0;
  core_.memory.reset();
}

}  // namespace nvmesim::device
