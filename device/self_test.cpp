#include "device/self_test.hpp"

#include <algorithm>

#include "device/core.hpp"

namespace nvmesim::device {

using spec::SelfTestResult;

base::Time SelfTest::duration() const {
  const SelfTestConfig& config = core_.config.self_test;
  return std::chrono::milliseconds(operation_ == spec::kSelfTestShort ? config.short_ms
                                                                      : config.extended_ms);
}

void SelfTest::start(unsigned operation, std::uint32_t nsid) {
  operation_ = operation;
  nsid_ = nsid;
  began_ = core_.scheduler.now();
  timer_ = core_.scheduler.after<&SelfTest::time_over>(duration(), this);
}

// A drive that saw uncorrectable media errors fails the media segment (section 8.6 leaves the
// segments to the vendor).
void SelfTest::time_over() {
  const bool failed = core_.health.media_errors_counter() != 0;
  stop(failed ? SelfTestResult::kFailedSegment : SelfTestResult::kPassed);
  if (failed) core_.events.raise_error(spec::AsyncErrorInfo::kDiagnosticFailure);
}

void SelfTest::stop(SelfTestResult result) {
  if (!running()) return;
  constexpr std::uint8_t kMediaSegment = 7;
  constexpr std::uint8_t kValidNamespace = 1u << 0;
  core_.scheduler.cancel(timer_);
  std::copy_backward(results_.begin(), results_.end() - 1, results_.end());
  spec::SelfTestEntry& entry = results_.front();
  entry = {};
  entry.status = static_cast<std::uint8_t>(static_cast<unsigned>(result) | (operation_ << 4));
  entry.segment = result == SelfTestResult::kFailedSegment ? kMediaSegment : std::uint8_t{0};
  entry.power_on_hours = core_.health.power_on_hours(core_.scheduler.now());
  entry.nsid = nsid_;
  entry.valid = nsid_ != 0 ? kValidNamespace : std::uint8_t{0};
  if (count_ < results_.size()) ++count_;
  operation_ = 0;
}

void SelfTest::controller_reset() {
  if (operation_ == spec::kSelfTestShort) stop(SelfTestResult::kAbortedByReset);
}

void SelfTest::namespace_gone(std::uint32_t nsid, SelfTestResult result) {
  if (nsid_ == nsid || (nsid_ == spec::kNsidAll && result == SelfTestResult::kAbortedByFormat)) {
    stop(result);
  }
}

spec::SelfTestLog SelfTest::log() const {
  spec::SelfTestLog log{};
  log.current_operation = static_cast<std::uint8_t>(operation_);
  if (running()) {
    const base::Time elapsed = core_.scheduler.now() - began_;
    log.current_completion =
        static_cast<std::uint8_t>(std::min<std::int64_t>(elapsed / (duration() / 100), 99));
  }
  log.results = results_;
  for (std::size_t i = count_; i < log.results.size(); ++i) {
    log.results[i].status = static_cast<std::uint8_t>(SelfTestResult::kNoEntry);
  }
  return log;
}

}  // namespace nvmesim::device
