// Reservations (section 8.8): who is registered with a namespace, who holds it and how, and what
// each command of the four changes. A host is known by its Host Identifier (feature 81h); the
// controllers that carry it are its own. State of the NVM subsystem; it outlives controller resets
// and goes with the namespace. With "persist through power loss" set (PTPL) the saved state has it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "device/spec/reservations.hpp"
#include "device/spec/status.hpp"

namespace nvmesim::device {

// A Host Identifier, and for hosts that gave none the controller instead.
struct HostId {
  std::array<std::byte, 16> bytes{};
  std::uint32_t controller = 0;  // only where all bytes are 0
  bool operator==(const HostId&) const = default;
};

class Reservation {
 public:
  static constexpr std::size_t kMostRegistrants = 32;
  struct Registrant {
    HostId host;
    std::uint64_t key = 0;
  };
  // Tells a host of what another one did.
  using Notify = std::function<void(const HostId&, spec::ReservationEvent)>;
  // What Preempt and Abort ends the commands of.
  using Abort = std::function<void(const HostId&)>;

  // Each command: success, or the status with which it is refused; nothing has changed then.
  spec::Status register_key(const HostId& host, std::uint64_t key);
  spec::Status replace_key(const HostId& host, std::uint64_t current, std::uint64_t key,
                           bool ignore_current);
  spec::Status unregister(const HostId& host, std::uint64_t current, bool ignore_current,
                          const Notify& notify);
  spec::Status acquire(const HostId& host, std::uint64_t current, spec::ReservationType type);
  spec::Status preempt(const HostId& host, std::uint64_t current, std::uint64_t preempted,
                       spec::ReservationType type, const Notify& notify, const Abort& abort);
  spec::Status release(const HostId& host, std::uint64_t current, spec::ReservationType type,
                       const Notify& notify);
  spec::Status clear(const HostId& host, std::uint64_t current, const Notify& notify);

  bool may_read(const HostId& host) const;
  bool may_write(const HostId& host) const;

  bool held() const { return type_ != spec::ReservationType::kNone; }
  bool holds(const HostId& host) const;
  spec::ReservationType type() const { return type_; }
  std::uint32_t generation() const { return generation_; }
  const std::vector<Registrant>& registrants() const { return registrants_; }
  const HostId& holder() const { return holder_; }
  // Persist Through Power Loss; a state of the namespace, whoever set it.
  bool persists() const { return persists_; }
  void set_persists(bool persists) { persists_ = persists; }
  // As it was before power was lost.
  void restore(std::vector<Registrant> registrants, spec::ReservationType type,
               const HostId& holder, std::uint32_t generation);

 private:
  Registrant* find(const HostId& host);
  bool registered(const HostId& host) const;
  bool all_registrants() const;
  bool for_registrants() const;
  void take(const HostId& host, spec::ReservationType type);
  void give_up(const HostId& by, const Notify& notify);

  std::vector<Registrant> registrants_;
  spec::ReservationType type_ = spec::ReservationType::kNone;
  HostId holder_;  // unless all registrants hold it
  std::uint32_t generation_ = 0;
  bool persists_ = false;
};

// The reservations of a subsystem, by NSID.
class Reservations {
 public:
  Reservation& of(std::uint32_t nsid) { return by_nsid_[nsid]; }
  // nullptr if nobody ever registered.
  const Reservation* find(std::uint32_t nsid) const {
    const auto found = by_nsid_.find(nsid);
    return found == by_nsid_.end() ? nullptr : &found->second;
  }
  void forget(std::uint32_t nsid) { by_nsid_.erase(nsid); }
  const std::map<std::uint32_t, Reservation>& all() const { return by_nsid_; }
  void clear() { by_nsid_.clear(); }
  bool any_held() const;

 private:
  std::map<std::uint32_t, Reservation> by_nsid_;
};

}  // namespace nvmesim::device
