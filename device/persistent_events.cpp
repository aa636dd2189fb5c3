#include "device/persistent_events.hpp"

#include <algorithm>
#include <cstring>

#include "device/core.hpp"

namespace nvmesim::device {

namespace {
constexpr std::uint8_t kRecordedTypes[] = {
    spec::kEventSmartSnapshot,   spec::kEventFirmwareCommit,  spec::kEventTimestamp,
    spec::kEventPowerOnOrReset,  spec::kEventChangeNamespace, spec::kEventFormatStart,
    spec::kEventFormatEnd,       spec::kEventSanitizeStart,   spec::kEventSanitizeEnd,
    spec::kEventThermalExcursion};
}  // namespace

void PersistentEvents::add(const Core& core, std::uint8_t type, std::span<const std::byte> data) {
  Event event;
  event.header.type = type;
  event.header.revision = 1;
  event.header.header_length = sizeof(spec::PersistentEvent) - 3;
  event.header.cntlid = static_cast<std::uint16_t>(core.config.identity.controller_id);
  event.header.timestamp = core.features.timestamp();
  event.header.event_length = static_cast<std::uint16_t>(data.size());
  event.data.assign(data.begin(), data.end());
  events_.push_back(std::move(event));
  if (events_.size() > limit_) events_.pop_front();
}

std::vector<std::byte> PersistentEvents::page(const Core& core) const {
  spec::PersistentEventHeader header{};
  header.lid = static_cast<std::uint8_t>(spec::LogPageId::kPersistentEventLog);
  header.events = static_cast<std::uint32_t>(events_.size());
  header.bytes = sizeof header;
  for (const Event& event : events_) header.bytes += sizeof event.header + event.data.size();
  header.revision = 1;
  header.header_length = sizeof header - 20;
  header.timestamp = core.features.timestamp();
  header.power_on_hours.low = core.health.power_on_hours(core.scheduler.now());
  header.power_cycles = core.health.power_cycles();
  const IdentityConfig& identity = core.config.identity;
  header.vid = static_cast<std::uint16_t>(identity.vendor_id);
  header.ssvid = static_cast<std::uint16_t>(identity.subsystem_vendor_id);
  header.sn.fill(' ');
  header.mn.fill(' ');
  std::copy(identity.serial_number.begin(), identity.serial_number.end(), header.sn.begin());
  std::copy(identity.model_number.begin(), identity.model_number.end(), header.mn.begin());
  std::copy(identity.subnqn.begin(), identity.subnqn.end(), header.subnqn.begin());
  for (const std::uint8_t type : kRecordedTypes) {
    header.supported_events[type / 8] |= static_cast<std::uint8_t>(1u << (type % 8));
  }
  std::vector<std::byte> page(header.bytes);
  std::memcpy(page.data(), &header, sizeof header);
  std::size_t at = sizeof header;
  for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
    std::memcpy(page.data() + at, &event->header, sizeof event->header);
    at += sizeof event->header;
    if (!event->data.empty()) std::memcpy(page.data() + at, event->data.data(), event->data.size());
    at += event->data.size();
  }
  return page;
}

}  // namespace nvmesim::device
