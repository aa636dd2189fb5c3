#include "device/persistent_events.hpp"

#include <algorithm>
#include <cstring>

#include "device/core.hpp"
#include "device/hex.hpp"

namespace nvmesim::device {

namespace {
constexpr std::uint8_t kRecordedTypes[] = {
    spec::kEventSmartSnapshot,   spec::kEventFirmwareCommit,  spec::kEventTimestamp,
    spec::kEventPowerOnOrReset,  spec::kEventChangeNamespace, spec::kEventFormatStart,
    spec::kEventFormatEnd,       spec::kEventSanitizeStart,   spec::kEventSanitizeEnd,
    spec::kEventThermalExcursion};
}  // namespace

PersistentEvents::Event PersistentEvents::make(std::uint8_t type, std::uint16_t cntlid,
                                               std::uint64_t timestamp,
                                               std::span<const std::byte> data) {
  Event event;
  event.header.type = type;
  event.header.revision = 1;
  event.header.header_length = sizeof(spec::PersistentEvent) - 3;
  event.header.cntlid = cntlid;
  event.header.timestamp = timestamp;
  event.header.event_length = static_cast<std::uint16_t>(data.size());
  event.data.assign(data.begin(), data.end());
  return event;
}

void PersistentEvents::add(const Core& core, std::uint8_t type, std::span<const std::byte> data) {
  events_.push_back(make(type, static_cast<std::uint16_t>(core.config.identity.controller_id),
                         core.features.timestamp(), data));
  if (events_.size() > limit_) events_.pop_front();
}

std::vector<PersistentEventEntry> PersistentEvents::save() const {
  std::vector<PersistentEventEntry> list;
  for (const Event& event : events_) {
    list.push_back(
        {event.header.type, event.header.cntlid, event.header.timestamp, to_hex(event.data)});
  }
  return list;
}

bool PersistentEvents::restore(const std::vector<PersistentEventEntry>& list) {
  std::deque<Event> restored;
  for (const PersistentEventEntry& entry : list) {
    const auto data = from_hex(entry.data);
    if (!data || data->size() > 0xFFFF || entry.type > 0xFF || entry.controller_id > 0xFFFF) {
      return false;
    }
    restored.push_back(make(static_cast<std::uint8_t>(entry.type),
                            static_cast<std::uint16_t>(entry.controller_id), entry.timestamp,
                            *data));
    if (restored.size() > limit_) restored.pop_front();
  }
  events_ = std::move(restored);
  return true;
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
