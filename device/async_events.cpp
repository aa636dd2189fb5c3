#include "device/async_events.hpp"

#include <algorithm>

#include "device/core.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::AsyncEventType;
using spec::AsyncNoticeInfo;
using spec::LogPageId;
using spec::Status;

namespace {

struct Notice {
  AsyncNoticeInfo information;
  std::uint32_t bit;  // of OAES and feature 0Bh
  LogPageId page;
};
constexpr Notice kNotices[] = {
    {AsyncNoticeInfo::kNamespaceAttributeChanged, spec::kNoticeNamespace,
     LogPageId::kChangedNamespaceList},
    {AsyncNoticeInfo::kFirmwareActivationStarting, spec::kNoticeFirmware, LogPageId::kFirmwareSlot},
    {AsyncNoticeInfo::kTelemetryLogChanged, spec::kNoticeTelemetry,
     LogPageId::kTelemetryControllerInitiated},
    {AsyncNoticeInfo::kAsymmetricNamespaceAccessChange, spec::kNoticeAna,
     LogPageId::kAsymmetricNamespaceAccess},
    {AsyncNoticeInfo::kEnduranceGroupEventChange, spec::kNoticeEndurance,
     LogPageId::kEnduranceGroupAggregate},
};

}  // namespace

AsyncEvents::AsyncEvents(Core& core, std::uint32_t limit) : core_(core), limit_(limit) {
  requests_.reserve(limit);
  sources_.push_back({AsyncEventType::kError, LogPageId::kErrorInformation});
  sources_.push_back({AsyncEventType::kSmart, LogPageId::kSmart});
  for (const Notice& notice : kNotices) {
    sources_.push_back({AsyncEventType::kNotice, notice.page});
  }
  sources_.push_back({AsyncEventType::kIoCommandSetSpecific, LogPageId::kSanitizeStatus});
  sources_.push_back({AsyncEventType::kIoCommandSetSpecific, LogPageId::kReservationNotification});
}

void AsyncEvents::request(Command& command) {
  if (requests_.size() == limit_) {
    core_.reject(command, Status::kAsyncEventLimitExceeded, "more requests than AERL allows",
                 "5.2");
    return;
  }
  command.state = CommandState::kParked;
  command.record.stamp(base::Stage::kDecode, core_.scheduler.now());
  requests_.push_back(&command);
  deliver();
}

void AsyncEvents::withdraw(const Command& command) {
  requests_.erase(std::remove(requests_.begin(), requests_.end(), &command), requests_.end());
}

void AsyncEvents::raise_error(spec::AsyncErrorInfo information) {
  raise(AsyncEventType::kError, static_cast<unsigned>(information), LogPageId::kErrorInformation);
}

void AsyncEvents::check_health() {
  const auto mask = static_cast<std::uint8_t>(config_ & spec::kAsyncConfigSmartMask);
  const std::uint8_t wanted = core_.health.critical_warning() & mask;
  const std::uint8_t fresh = wanted & static_cast<std::uint8_t>(~reported_warning_);
  reported_warning_ = wanted;
  if (fresh == 0) return;
  auto information = spec::AsyncSmartInfo::kSubsystemReliability;
  if ((fresh & spec::kWarningTemperature) != 0) {
    information = spec::AsyncSmartInfo::kTemperatureThreshold;
  } else if ((fresh & spec::kWarningSpare) != 0) {
    information = spec::AsyncSmartInfo::kSpareBelowThreshold;
  }
  raise(AsyncEventType::kSmart, static_cast<unsigned>(information), LogPageId::kSmart);
}

void AsyncEvents::raise_notice(AsyncNoticeInfo information) {
  for (const Notice& notice : kNotices) {
    if (notice.information != information || (config_ & notice.bit) == 0) continue;
    raise(AsyncEventType::kNotice, static_cast<unsigned>(information), notice.page);
  }
}

void AsyncEvents::raise_sanitize_completed() {
  raise(AsyncEventType::kIoCommandSetSpecific,
        static_cast<unsigned>(spec::AsyncIoInfo::kSanitizeCompleted), LogPageId::kSanitizeStatus);
}

void AsyncEvents::raise_reservation() {
  raise(AsyncEventType::kIoCommandSetSpecific,
        static_cast<unsigned>(spec::AsyncIoInfo::kReservationLogAvailable),
        LogPageId::kReservationNotification);
}

// While its source is masked an event is dropped: its log page, which the host has yet to read,
// tells of it.
void AsyncEvents::raise(AsyncEventType type, unsigned information, LogPageId page) {
  for (Source& source : sources_) {
    if (source.type != type || source.page != page) continue;
    if (source.masked || source.pending) return;
    source.pending = true;
    source.dword = spec::async_event_dword(type, information, static_cast<unsigned>(page));
  }
  deliver();
}

void AsyncEvents::deliver() {
  for (Source& source : sources_) {
    if (!source.pending || requests_.empty()) continue;
    source.pending = false;
    source.masked = true;
    Command* command = requests_.front();
    requests_.erase(requests_.begin());
    ++sent_;
    core_.complete(*command, Status::kSuccess, source.dword);
  }
}

void AsyncEvents::log_read(LogPageId page) {
  for (Source& source : sources_) {
    if (source.page == page) source.masked = source.pending = false;
  }
}

void AsyncEvents::configure(std::uint32_t config) {
  config_ = config;
  check_health();
}

void AsyncEvents::reset() {
  requests_.clear();
  for (Source& source : sources_) source.masked = source.pending = false;
  config_ = 0;
  reported_warning_ = 0;
}

}  // namespace nvmesim::device
