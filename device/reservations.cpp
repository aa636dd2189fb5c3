#include "device/reservations.hpp"

#include <algorithm>

namespace nvmesim::device {

using spec::ReservationEvent;
using spec::ReservationType;
using spec::Status;

Reservation::Registrant* Reservation::find(const HostId& host) {
  const auto found = std::find_if(registrants_.begin(), registrants_.end(),
                                  [&](const Registrant& each) { return each.host == host; });
  return found == registrants_.end() ? nullptr : &*found;
}

bool Reservation::registered(const HostId& host) const {
  return const_cast<Reservation*>(this)->find(host) != nullptr;
}

bool Reservation::all_registrants() const {
  return type_ == ReservationType::kWriteExclusiveAllRegistrants ||
         type_ == ReservationType::kExclusiveAccessAllRegistrants;
}
bool Reservation::for_registrants() const {
  return all_registrants() || type_ == ReservationType::kWriteExclusiveRegistrants ||
         type_ == ReservationType::kExclusiveAccessRegistrants;
}

bool Reservation::holds(const HostId& host) const {
  if (!held()) return false;
  return all_registrants() ? registered(host) : holder_ == host;
}

void Reservation::take(const HostId& host, ReservationType type) {
  type_ = type;
  holder_ = host;
}

// The other registrants hear of the end of a reservation that gave them rights.
void Reservation::give_up(const HostId& by, const Notify& notify) {
  const bool tell = for_registrants();
  type_ = ReservationType::kNone;
  if (!tell) return;
  for (const Registrant& each : registrants_) {
    if (!(each.host == by)) notify(each.host, ReservationEvent::kReservationReleased);
  }
}

Status Reservation::register_key(const HostId& host, std::uint64_t key) {
  if (const Registrant* known = find(host); known != nullptr) {
    return known->key == key ? Status::kSuccess : Status::kReservationConflict;
  }
  if (registrants_.size() == kMostRegistrants) return Status::kReservationConflict;
  registrants_.push_back({host, key});
  ++generation_;
  return Status::kSuccess;
}

Status Reservation::replace_key(const HostId& host, std::uint64_t current, std::uint64_t key,
                                bool ignore_current) {
  Registrant* known = find(host);
  if (known == nullptr || (!ignore_current && known->key != current)) {
    return Status::kReservationConflict;
  }
  known->key = key;
  ++generation_;
  return Status::kSuccess;
}

Status Reservation::unregister(const HostId& host, std::uint64_t current, bool ignore_current,
                               const Notify& notify) {
  const Registrant* known = find(host);
  if (known == nullptr || (!ignore_current && known->key != current)) {
    return Status::kReservationConflict;
  }
  const bool held_it = holds(host);
  std::erase_if(registrants_, [&](const Registrant& each) { return each.host == host; });
  ++generation_;
  // One that all registrants hold ends with the last of them.
  if (held_it && (!all_registrants() || registrants_.empty())) give_up(host, notify);
  return Status::kSuccess;
}

Status Reservation::acquire(const HostId& host, std::uint64_t current, ReservationType type) {
  const Registrant* known = find(host);
  if (known == nullptr || known->key != current) return Status::kReservationConflict;
  if (held()) {
    return holds(host) && type == type_ ? Status::kSuccess : Status::kReservationConflict;
  }
  take(host, type);
  return Status::kSuccess;
}

Status Reservation::preempt(const HostId& host, std::uint64_t current, std::uint64_t preempted,
                            ReservationType type, const Notify& notify, const Abort& abort) {
  const Registrant* known = find(host);
  if (known == nullptr || known->key != current) return Status::kReservationConflict;
  const bool everybody = held() && all_registrants() && preempted == 0;
  if (preempted == 0 && !everybody) return Status::kInvalidField;
  const auto hit = [&](const Registrant& each) { return everybody || each.key == preempted; };
  if (std::none_of(registrants_.begin(), registrants_.end(), hit)) {
    return Status::kReservationConflict;
  }
  bool takes = everybody;
  if (held() && !all_registrants()) {
    const Registrant* holder = find(holder_);
    takes = holder != nullptr && holder->key == preempted;
  }
  std::vector<HostId> gone;
  for (const Registrant& each : registrants_) {
    // A holder that preempts itself only changes the type.
    if (hit(each) && !(each.host == host && takes)) gone.push_back(each.host);
  }
  std::erase_if(registrants_, [&](const Registrant& each) {
    return std::find(gone.begin(), gone.end(), each.host) != gone.end();
  });
  const bool weaker = takes && held() && type != type_ && for_registrants();
  if (takes) take(host, type);
  if (held() && all_registrants() && registrants_.empty()) type_ = ReservationType::kNone;
  ++generation_;
  for (const HostId& each : gone) {
    abort(each);
    if (!(each == host)) notify(each, ReservationEvent::kRegistrationPreempted);
  }
  for (const Registrant& each : registrants_) {
    if (weaker && !(each.host == host)) notify(each.host, ReservationEvent::kReservationReleased);
  }
  return Status::kSuccess;
}

Status Reservation::release(const HostId& host, std::uint64_t current, ReservationType type,
                            const Notify& notify) {
  const Registrant* known = find(host);
  if (known == nullptr || known->key != current) return Status::kReservationConflict;
  if (!holds(host)) return Status::kSuccess;
  if (type != type_) return Status::kInvalidField;
  give_up(host, notify);
  return Status::kSuccess;
}

Status Reservation::clear(const HostId& host, std::uint64_t current, const Notify& notify) {
  const Registrant* known = find(host);
  if (known == nullptr || known->key != current) return Status::kReservationConflict;
  const std::vector<Registrant> before = std::move(registrants_);
  registrants_.clear();
  type_ = ReservationType::kNone;
  ++generation_;
  for (const Registrant& each : before) {
    if (!(each.host == host)) notify(each.host, ReservationEvent::kReservationPreempted);
  }
  return Status::kSuccess;
}

void Reservation::restore(std::vector<Registrant> registrants, ReservationType type,
                          const HostId& holder, std::uint32_t generation) {
  registrants_ = std::move(registrants);
  type_ = type;
  holder_ = holder;
  generation_ = generation;
  persists_ = true;
}

// Figure "Command Behavior in the Presence of a Reservation" of section 8.8.
bool Reservation::may_write(const HostId& host) const {
  if (!held() || holds(host)) return true;
  return for_registrants() && registered(host);
}

bool Reservation::may_read(const HostId& host) const {
  switch (type_) {
    case ReservationType::kExclusiveAccess:
    case ReservationType::kExclusiveAccessRegistrants:
    case ReservationType::kExclusiveAccessAllRegistrants:
      return may_write(host);
    default:
      return true;
  }
}

bool Reservations::any_held() const {
  return std::any_of(by_nsid_.begin(), by_nsid_.end(),
                     [](const auto& each) { return each.second.held(); });
}

}  // namespace nvmesim::device
