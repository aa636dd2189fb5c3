#include "device/persistent_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "device/core.hpp"
#include "device/hex.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::device {

std::string write_state(const PersistentState& state) {
  return boost::json::serialize(base::write_config(state)) + "\n";
}

PersistentState read_state(std::string_view text, std::string_view source) {
  PersistentState state;
  base::read_config(base::parse_json(text, source), state, source);
  if (state.version != 1) {
    throw base::UserError(fmt::format("{}: version: {} is not known, 1 is", source, state.version));
  }
  return state;
}

namespace {

PersistentReservation reservation_of(std::uint32_t nsid, const Reservation& from) {
  PersistentReservation to{nsid, static_cast<std::uint32_t>(from.type()), from.generation(), 0, {}};
  const auto& registrants = from.registrants();
  to.holder = static_cast<std::uint32_t>(registrants.size());
  for (std::uint32_t i = 0; i < registrants.size(); ++i) {
    const Reservation::Registrant& each = registrants[i];
    if (from.held() && each.host == from.holder()) to.holder = i;
    to.registrants.push_back({to_hex(each.host.bytes), each.host.controller, each.key});
  }
  return to;
}

}  // namespace

PersistentState collect_state(const Core& core) {
  PersistentState state;
  state.serial_number = core.config.identity.serial_number;
  state.clean_shutdown = core.registers.csts().shst() == spec::kShstComplete;
  const NamespaceSet& set = core.subsystem.namespaces;
  for (std::uint32_t id = 1; id <= set.limit(); ++id) {
    const Namespace* space = set.find(id);
    if (space == nullptr) continue;
    const BlockFormat& format = space->format;
    state.namespaces.push_back({id, space->first_byte / models::kUnitBytes, space->units,
                                space->blocks, 1u << format.block_shift, format.metadata_bytes,
                                format.extended, format.protection_type, format.protection_first,
                                space->shared, space->attached, space->identity, space->ana_group});
  }
  state.features = core.features.save();
  const Firmware& firmware = core.subsystem.firmware;
  for (const FirmwareSlot& slot : firmware.slots()) {
    state.firmware.push_back({slot.present, slot.revision, static_cast<std::uint32_t>(slot.reset)});
  }
  state.active_slot = firmware.active();
  state.next_slot = firmware.next();
  state.sanitize_status = core.subsystem.sanitize.last_status();
  state.sanitize_cdw10 = core.subsystem.sanitize.last_cdw10();
  state.counters = core.health.save(core.scheduler.now());
  state.counters.errors = core.errors.count();
  for (const auto& [first, end] : core.subsystem.bad_blocks.ranges()) {
    state.uncorrectable.push_back({first, end - first});
  }
  for (const auto& [nsid, reservation] : core.subsystem.reservations.all()) {
    if (reservation.persists()) state.reservations.push_back(reservation_of(nsid, reservation));
  }
  state.events = core.subsystem.events.save();
  state.host_telemetry = to_hex(core.host_telemetry);
  return state;
}

namespace {

std::vector<Namespace> namespaces_of(const Core& core, const PersistentState& state,
                                     std::string_view source) {
  std::vector<Namespace> list;
  for (std::size_t i = 0; i < state.namespaces.size(); ++i) {
    const PersistentNamespace& from = state.namespaces[i];
    const bool sizes =
        (from.block_bytes == 512 || from.block_bytes == 4096) &&
        (from.metadata_bytes == 0 ||
         (core.media.keeps_spare() &&
          (from.metadata_bytes == 8 || from.metadata_bytes == 16 || from.metadata_bytes == 64)));
    const std::uint64_t units = core.media.capacity_units();
    if (!sizes || from.protection_type > 3 || from.ana_group == 0 || from.ana_group > 128 ||
        (from.protection_type != 0 && from.metadata_bytes == 0) || from.first_unit >= units ||
        from.units > units) {
      throw base::UserError(
          fmt::format("{}: namespaces.{}: not a namespace of this drive", source, i));
    }
    Namespace space;
    space.id = from.nsid;
    space.first_byte = from.first_unit * models::kUnitBytes;
    space.units = from.units;
    space.blocks = from.blocks;
    space.format = {static_cast<unsigned>(std::countr_zero(from.block_bytes)), from.metadata_bytes,
                    from.extended_metadata, from.protection_type, from.protection_first};
    space.shared = from.shared;
    space.attached = from.attached;
    space.identity = from.identity;
    space.ana_group = from.ana_group;
    list.push_back(space);
  }
  return list;
}

// Into `into`; false if it is not one that this drive could have saved.
bool restore_reservation(const PersistentState& state, const PersistentReservation& from,
                         Reservations& into) {
  const bool known = std::any_of(state.namespaces.begin(), state.namespaces.end(),
                                 [&](const auto& space) { return space.nsid == from.nsid; });
  const std::size_t count = from.registrants.size();
  constexpr auto kLast =
      static_cast<std::uint32_t>(spec::ReservationType::kExclusiveAccessAllRegistrants);
  if (!known || from.type > kLast || count > Reservation::kMostRegistrants || from.holder > count) {
    return false;
  }
  std::vector<Reservation::Registrant> registrants;
  for (const PersistentRegistrant& each : from.registrants) {
    const auto bytes = from_hex(each.host);
    Reservation::Registrant registrant{{{}, each.controller}, each.key};
    if (!bytes || bytes->size() != registrant.host.bytes.size()) return false;
    std::copy(bytes->begin(), bytes->end(), registrant.host.bytes.begin());
    registrants.push_back(registrant);
  }
  const auto type = static_cast<spec::ReservationType>(from.type);
  const bool all = type == spec::ReservationType::kWriteExclusiveAllRegistrants ||
                   type == spec::ReservationType::kExclusiveAccessAllRegistrants;
  const bool held = type != spec::ReservationType::kNone;
  if (held && (all ? count == 0 : from.holder == count)) return false;
  const HostId holder = from.holder < count ? registrants[from.holder].host : HostId{};
  into.of(from.nsid).restore(std::move(registrants), type, holder, from.generation);
  return true;
}

// What needs no agreement of others, checked as a whole before any of it is in force.
struct Remembered {
  BadBlocks bad_blocks;
  Reservations reservations;
  PersistentEvents events;
  std::vector<std::byte> host_telemetry;
};

Remembered remembered_of(const Core& core, const PersistentState& state, std::string_view source) {
  Remembered result{{}, {}, PersistentEvents(core.config.management.persistent_events), {}};
  if (!result.events.restore(state.events)) {
    throw base::UserError(fmt::format("{}: events: not entries of an event log", source));
  }
  const std::uint64_t capacity = core.media.capacity_units() * models::kUnitBytes;
  for (const PersistentRange& range : state.uncorrectable) {
    if (range.bytes == 0 || range.first_byte >= capacity ||
        range.bytes > capacity - range.first_byte) {
      throw base::UserError(fmt::format("{}: uncorrectable: beyond the media", source));
    }
    result.bad_blocks.mark(range.first_byte, range.bytes);
  }
  for (const PersistentReservation& each : state.reservations) {
    if (!restore_reservation(state, each, result.reservations)) {
      throw base::UserError(fmt::format("{}: reservations: not of this drive", source));
    }
  }
  constexpr std::size_t kMostTelemetry = std::size_t{1} << 20;
  auto telemetry = from_hex(state.host_telemetry);
  if (!telemetry || telemetry->size() % 512 != 0 || telemetry->size() > kMostTelemetry) {
    throw base::UserError(fmt::format("{}: host_telemetry: not blocks of 512 bytes", source));
  }
  result.host_telemetry = std::move(*telemetry);
  return result;
}

}  // namespace

void apply_state(Core& core, const PersistentState& state, std::string_view source) {
  const auto fail = [source](std::string_view what) {
    throw base::UserError(fmt::format("{}: {}", source, what));
  };
  if (core.registers.cc().en()) fail("the controller is enabled already");
  if (state.serial_number != core.config.identity.serial_number) {
    fail(fmt::format("serial_number: the state of drive '{}', this is '{}'", state.serial_number,
                     core.config.identity.serial_number));
  }
  if (state.sanitize_status > 0x1FF) fail("sanitize_status: out of range");
  std::vector<FirmwareSlot> slots;
  for (const PersistentFirmware& slot : state.firmware) {
    if (slot.reset > 2) fail("firmware: reset: between 0 and 2");
    slots.push_back({slot.present, slot.revision, static_cast<FirmwareReset>(slot.reset)});
  }
  const std::vector<Namespace> spaces = namespaces_of(core, state, source);
  Remembered remembered = remembered_of(core, state, source);
  const PersistentState before = collect_state(core);
  const std::vector<Namespace> old = namespaces_of(core, before, source);
  if (!core.subsystem.namespaces.restore(spaces)) fail("namespaces: they do not fit this drive");
  if (!core.features.restore(state.features)) {
    core.subsystem.namespaces.restore(old);
    fail("features: not values that this drive could have saved");
  }
  if (!core.subsystem.firmware.restore(slots, state.active_slot, state.next_slot)) {
    core.subsystem.namespaces.restore(old);
    core.features.restore(before.features);
    fail("firmware: slots that this drive does not have");
  }
  core.subsystem.events = std::move(remembered.events);
  core.subsystem.bad_blocks = std::move(remembered.bad_blocks);
  core.subsystem.reservations = std::move(remembered.reservations);
  for (Core* each : core.subsystem.controllers) {
    if (each != nullptr && core.subsystem.reservations.any_held()) {
      each->gates |= Core::kGateReservation;
    }
  }
  core.host_telemetry = std::move(remembered.host_telemetry);
  core.subsystem.sanitize.restore(static_cast<std::uint16_t>(state.sanitize_status),
                                  state.sanitize_cdw10);
  core.health.restore(state.counters, state.clean_shutdown);
  core.errors.restore(state.counters.errors);
  core.subsystem.firmware.reset(FirmwareReset::kSubsystem);  // power was off
  core.features.reset();
  // A sanitize that power ended starts again (section 8.15).
  if ((state.sanitize_status & 7) == spec::kSanitizeRunning) {
    core.subsystem.sanitize.start(core, state.sanitize_cdw10);
  }
}

}  // namespace nvmesim::device
