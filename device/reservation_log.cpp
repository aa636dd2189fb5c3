#include "device/reservation_log.hpp"

#include <algorithm>
#include <cstring>

#include "device/core.hpp"

namespace nvmesim::device {

HostId ReservationLog::host() const {
  HostId id;
  if (const auto* data = core_.features.data(spec::FeatureId::kHostIdentifier); data != nullptr) {
    std::memcpy(id.bytes.data(), data->data(), std::min(id.bytes.size(), data->size()));
  }
  if (id == HostId{}) id.controller = core_.config.identity.controller_id + 1;
  return id;
}

bool ReservationLog::has_128_bits() const {
  return (core_.features.value(spec::FeatureId::kHostIdentifier) & 1) != 0;
}

void ReservationLog::add(std::uint32_t nsid, spec::ReservationEvent event) {
  const std::uint32_t mask =
      core_.features.value(spec::FeatureId::kReservationNotificationMask, nsid);
  if ((mask >> static_cast<unsigned>(event) & 1) != 0) return;
  spec::ReservationNotification page{};
  page.log_page_count = ++count_;
  page.type = static_cast<std::uint8_t>(event);
  page.nsid = nsid;
  pages_.push_back(page);
  if (pages_.size() > kMost) pages_.pop_front();
  core_.events.raise_reservation();
}

spec::ReservationNotification ReservationLog::page() const {
  if (pages_.empty()) return {};
  spec::ReservationNotification page = pages_.front();
  page.available_pages = static_cast<std::uint8_t>(pages_.size() - 1);
  return page;
}

void ReservationLog::read() {
  if (!pages_.empty()) pages_.pop_front();
  if (!pages_.empty()) core_.events.raise_reservation();
}

}  // namespace nvmesim::device
