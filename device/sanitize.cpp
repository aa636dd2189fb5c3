#include "device/sanitize.hpp"

#include <algorithm>

#include "device/core.hpp"
#include "device/subsystem.hpp"

namespace nvmesim::device {

namespace {
constexpr std::uint32_t kParts = 65'536;  // SPROG counts these

std::uint32_t seconds(std::uint64_t milliseconds) {
  return static_cast<std::uint32_t>((milliseconds + 999) / 1000);
}
unsigned passes_of(std::uint32_t cdw10) {
  const unsigned passes = spec::SanitizeFields{cdw10}.passes();
  return passes == 0 ? 16 : passes;
}
}  // namespace

base::Time Sanitize::duration_of(std::uint32_t cdw10) const {
  const SanitizeConfig& config = subsystem_.config.sanitize;
  switch (spec::SanitizeFields{cdw10}.action()) {
    case spec::kSanitizeBlockErase:
      return std::chrono::milliseconds(config.block_ms);
    case spec::kSanitizeOverwrite:
      return std::chrono::milliseconds(config.overwrite_ms) * passes_of(cdw10);
    default:
      return std::chrono::milliseconds(config.crypto_ms);
  }
}

void Sanitize::start(Core& by, std::uint32_t cdw10) {
  running_ = true;
  failed_ = false;
  status_ = spec::kSanitizeRunning;
  cdw10_ = cdw10;
  starter_ = by.index;
  began_ = subsystem_.scheduler.now();
  duration_ = duration_of(cdw10);
  subsystem_.events.add(by, spec::kEventSanitizeStart, cdw10);
  for (Core* core : subsystem_.controllers) {
    if (core == nullptr) continue;
    core->gates = (core->gates | Core::kGateSanitize) & ~Core::kGateSanitizeFailed;
    core->self_test.stop(spec::SelfTestResult::kAbortedBySanitize);
    core->terminate_io(spec::Status::kSanitizeInProgress, 0);
  }
  subsystem_.scheduler.after<&Sanitize::time_over>(duration_, this);
}

void Sanitize::time_over() {
  subsystem_.erase(0, subsystem_.namespaces.media_units() * models::kUnitBytes,
                   base::Callback::of<&Sanitize::erased>(this));
}

void Sanitize::erased() {
  running_ = false;
  const unsigned passes = spec::SanitizeFields{cdw10_}.action() == spec::kSanitizeOverwrite
                              ? passes_of(cdw10_) & 0x1F
                              : 0;
  failed_ = !subsystem_.eraser.ok();
  unsigned state = failed_ ? spec::kSanitizeFailedState : spec::kSanitizeSucceeded;
  if (!failed_ && spec::SanitizeFields{cdw10_}.ndas()) state = spec::kSanitizeDeallocated;
  status_ = static_cast<std::uint16_t>(state | (passes << 3) |
                                       (failed_ ? 0u : spec::kSanitizeGlobalErased));
  writes_at_end_ = writes();
  for (Core* core : subsystem_.controllers) {
    if (core == nullptr) continue;
    core->gates &= ~Core::kGateSanitize;
    if (failed_) core->gates |= Core::kGateSanitizeFailed;
    if (core->index != starter_) continue;
    subsystem_.events.add(*core, spec::kEventSanitizeEnd, status_);
    core->events.raise_sanitize_completed();
  }
}

void Sanitize::exit_failure() {
  failed_ = false;
  for (Core* core : subsystem_.controllers) {
    if (core != nullptr) core->gates &= ~Core::kGateSanitizeFailed;
  }
}

std::uint64_t Sanitize::writes() const {
  std::uint64_t sum = 0;
  for (const Core* core : subsystem_.controllers) {
    if (core != nullptr) sum += core->health.writes_counter();
  }
  return sum;
}

spec::SanitizeLog Sanitize::log() const {
  const SanitizeConfig& config = subsystem_.config.sanitize;
  spec::SanitizeLog log{};
  log.sprog = 0xFFFF;
  if (running_) {
    const base::Time elapsed = subsystem_.scheduler.now() - began_;
    const base::Time::rep part = duration_.count() / kParts + 1;
    log.sprog =
        static_cast<std::uint16_t>(std::min<base::Time::rep>(elapsed.count() / part, kParts - 1));
  }
  log.sstat = status_;
  if (writes() != writes_at_end_) {
    log.sstat &= static_cast<std::uint16_t>(~spec::kSanitizeGlobalErased);
  }
  log.scdw10 = cdw10_;
  constexpr std::uint32_t kUnknown = 0xFFFF'FFFF;
  const auto estimate = [&](std::uint32_t bit, std::uint64_t ms) {
    return (config.sanicap & bit) != 0 ? seconds(ms) : kUnknown;
  };
  log.overwrite_seconds =
      estimate(spec::kSanicapOverwrite, std::uint64_t{config.overwrite_ms} * 16);
  log.block_erase_seconds = estimate(spec::kSanicapBlock, config.block_ms);
  log.crypto_erase_seconds = estimate(spec::kSanicapCrypto, config.crypto_ms);
  // Deallocation is part of every sanitize: without it nothing is quicker.
  log.overwrite_seconds_no_deallocate = kUnknown;
  log.block_erase_seconds_no_deallocate = kUnknown;
  log.crypto_erase_seconds_no_deallocate = kUnknown;
  return log;
}

void Sanitize::restore(std::uint16_t status, std::uint32_t cdw10) {
  status_ = status;
  cdw10_ = cdw10;
}

}  // namespace nvmesim::device
