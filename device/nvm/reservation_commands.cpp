// Reservation Register, Report, Acquire and Release (sections 6.10 to 6.13).
#include <algorithm>
#include <cstring>

#include "device/core.hpp"
#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using spec::ReservationType;
using spec::Status;

namespace {

unsigned action_of(const Command& command) {
  return spec::bits(command.sqe.cdw10, 2, 0);
}
bool ignores_key(const Command& command) {
  return spec::bits(command.sqe.cdw10, 3, 3) != 0;
}
ReservationType type_of(const Command& command) {
  return static_cast<ReservationType>(spec::bits(command.sqe.cdw10, 15, 8));
}
// CPTPL: what a Register changes of Persist Through Power Loss.
constexpr unsigned kCptplReserved = 1;
constexpr unsigned kCptplClear = 2;
constexpr unsigned kCptplSet = 3;
unsigned cptpl_of(const Command& command) {
  return spec::bits(command.sqe.cdw10, 31, 30);
}
bool known_type(ReservationType type) {
  return type >= ReservationType::kWriteExclusive &&
         type <= ReservationType::kExclusiveAccessAllRegistrants;
}
std::uint64_t key_at(const Command& command, unsigned index) {
  std::uint64_t key = 0;
  std::memcpy(&key, command.staged->data() + index * sizeof key, sizeof key);
  return key;
}

template <class Visit>
void each_controller(Core& core, const HostId& host, Visit visit) {
  for (Core* other : core.subsystem.controllers) {
    if (other != nullptr && other->reservation_log.host() == host) visit(*other);
  }
}

Reservation::Notify notifier(Core& core, std::uint32_t nsid) {
  return [&core, nsid](const HostId& host, spec::ReservationEvent event) {
    each_controller(core, host, [&](Core& other) { other.reservation_log.add(nsid, event); });
  };
}

// Commands of a preempted host on the namespace; this one goes on.
Reservation::Abort aborter(Core& core, const Command& self, bool wanted) {
  return [&core, &self, wanted](const HostId& host) {
    if (!wanted) return;
    each_controller(core, host, [&](Core& other) {
      for (Command& victim : other.commands.all()) {
        const bool ours = victim.state != CommandState::kFree && !victim.admin() &&
                          victim.sqe.nsid == self.sqe.nsid && &victim != &self;
        if (ours) other.terminate(victim, Status::kPreemptAndAbort);
      }
    });
  };
}

void end(Core& core, Command& command, Status status) {
  const bool held = core.subsystem.reservations.any_held();
  for (Core* other : core.subsystem.controllers) {
    if (other == nullptr) continue;
    other->gates =
        held ? other->gates | Core::kGateReservation : other->gates & ~Core::kGateReservation;
  }
  if (status == Status::kSuccess) {
    core.complete(command, status);
  } else {
    core.reject(command, status, "no such registration, key or reservation", "8.8");
  }
}

void register_now(Core& core, Command& command) {
  Reservation& reservation = core.subsystem.reservations.of(command.sqe.nsid);
  const HostId host = core.reservation_log.host();
  const std::uint64_t current = key_at(command, 0);
  const std::uint64_t fresh = key_at(command, 1);
  Status status;
  if (action_of(command) == 0) {
    status = reservation.register_key(host, fresh);
  } else if (action_of(command) == 1) {
    status = reservation.unregister(host, current, ignores_key(command),
                                    notifier(core, command.sqe.nsid));
  } else {
    status = reservation.replace_key(host, current, fresh, ignores_key(command));
  }
  if (status == Status::kSuccess && cptpl_of(command) >= kCptplClear) {
    reservation.set_persists(cptpl_of(command) == kCptplSet);
  }
  end(core, command, status);
}

void acquire_now(Core& core, Command& command) {
  Reservation& reservation = core.subsystem.reservations.of(command.sqe.nsid);
  const HostId host = core.reservation_log.host();
  const unsigned action = action_of(command);
  if (action == 0) {
    end(core, command, reservation.acquire(host, key_at(command, 0), type_of(command)));
    return;
  }
  const Status status =
      reservation.preempt(host, key_at(command, 0), key_at(command, 1), type_of(command),
                          notifier(core, command.sqe.nsid), aborter(core, command, action == 2));
  end(core, command, status);
}

void release_now(Core& core, Command& command) {
  Reservation& reservation = core.subsystem.reservations.of(command.sqe.nsid);
  const HostId host = core.reservation_log.host();
  const Reservation::Notify notify = notifier(core, command.sqe.nsid);
  const std::uint64_t key = key_at(command, 0);
  end(core, command,
      action_of(command) == 0 ? reservation.release(host, key, type_of(command), notify)
                              : reservation.clear(host, key, notify));
}

template <std::uint32_t Bytes, void (*Then)(Core&, Command&)>
void receive(Core& core, Command& command) {
  core.mover.receive_staged(command, Bytes, Then);
}

// One entry for each controller of a registrant; of a host without one, CNTLID FFFFh.
template <class Entry, class SetHost>
std::uint16_t fill_entries(Core& core, const Reservation& reservation, std::byte* into,
                           SetHost set_host) {
  constexpr std::uint16_t kNoController = 0xFFFF;
  std::uint16_t count = 0;
  const auto add = [&](const Reservation::Registrant& each, std::uint16_t cntlid) {
    if ((count + 2u) * sizeof(Entry) > models::kUnitBytes) return;
    Entry entry{};
    entry.cntlid = cntlid;
    entry.rcsts = reservation.holds(each.host);
    entry.rkey = each.key;
    set_host(entry, each.host);
    std::memcpy(into + count++ * sizeof entry, &entry, sizeof entry);
  };
  for (const Reservation::Registrant& each : reservation.registrants()) {
    bool any = false;
    each_controller(core, each.host, [&](Core& other) {
      any = true;
      add(each, static_cast<std::uint16_t>(other.config.identity.controller_id));
    });
    if (!any) add(each, kNoController);
  }
  return count;
}

void send_report(Core& core, Command& command) {
  const Reservation& reservation = core.subsystem.reservations.of(command.sqe.nsid);
  command.staged = core.buffers.take();
  std::byte* page = command.staged->data();
  std::memset(page, 0, models::kUnitBytes);
  spec::ReservationStatus header{};
  header.gen = reservation.generation();
  header.ptpls = reservation.persists();
  header.rtype = static_cast<std::uint8_t>(reservation.type());
  if ((command.sqe.cdw11 & 1) != 0) {
    using Entry = spec::RegisteredControllerExtended;
    header.regctl = fill_entries<Entry>(
        core, reservation, page + sizeof(Entry), [](Entry& entry, const HostId& host) {
          std::copy(host.bytes.begin(), host.bytes.end(), entry.hostid.begin());
        });
  } else {
    using Entry = spec::RegisteredController;
    header.regctl = fill_entries<Entry>(
        core, reservation, page + sizeof header, [](Entry& entry, const HostId& host) {
          std::memcpy(&entry.hostid, host.bytes.data(), sizeof entry.hostid);
        });
  }
  std::memcpy(page, &header, sizeof header);
  core.mover.send_staged(command, (std::uint64_t{command.sqe.cdw10} + 1) * 4);
}

bool field_ok(Core& core, Command& command, bool ok, const char* rule, const char* section) {
  if (!ok) core.reject(command, Status::kInvalidField, rule, section);
  return ok;
}

}  // namespace

void reservation_register(Core& core, Command& command) {
  if (!field_ok(core, command, action_of(command) <= 2, "RREGA is reserved", "6.11") ||
      !field_ok(core, command, cptpl_of(command) != kCptplReserved, "CPTPL is reserved", "6.11")) {
    return;
  }
  core.prps.map(command, 16, receive<16, register_now>);
}

void reservation_acquire(Core& core, Command& command) {
  if (!field_ok(core, command, action_of(command) <= 2, "RACQA is reserved", "6.10") ||
      !field_ok(core, command, !ignores_key(command), "IEKEY is set", "6.10") ||
      !field_ok(core, command, known_type(type_of(command)), "RTYPE is reserved", "6.10")) {
    return;
  }
  core.prps.map(command, 16, receive<16, acquire_now>);
}

void reservation_release(Core& core, Command& command) {
  if (!field_ok(core, command, action_of(command) <= 1, "RRELA is reserved", "6.12") ||
      !field_ok(core, command, !ignores_key(command), "IEKEY is set", "6.12")) {
    return;
  }
  core.prps.map(command, 8, receive<8, release_now>);
}

void reservation_report(Core& core, Command& command) {
  const std::uint64_t bytes = (std::uint64_t{command.sqe.cdw10} + 1) * 4;
  if (!field_ok(core, command, bytes <= core.config.max_transfer_bytes(),
                "the transfer is larger than MDTS allows", "5.15")) {
    return;
  }
  const bool extended = (command.sqe.cdw11 & 1) != 0;
  if (core.reservation_log.has_128_bits() != extended && !extended) {
    core.reject(command, Status::kHostIdInconsistent, "EDS is 0 with a 128-bit host identifier",
                "6.13");
    return;
  }
  core.prps.map(command, bytes, send_report);
}

}  // namespace nvmesim::device
