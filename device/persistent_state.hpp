// What a drive remembers without power: namespaces, saved features, firmware, counters, blocks that
// were made unreadable, reservations that persist, the event log and the host's telemetry. A plain
// struct that goes to JSON and back; what comes back is hostile until Controller::restore has
// checked it against the drive.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/config.hpp"

namespace nvmesim::device {

struct PersistentNamespace {
  std::uint32_t nsid = 0;
  std::uint64_t first_unit = 0;
  std::uint64_t units = 0;
  std::uint64_t blocks = 0;
  std::uint32_t block_bytes = 512;
  std::uint32_t metadata_bytes = 0;
  bool extended_metadata = false;
  std::uint32_t protection_type = 0;
  bool protection_first = false;
  bool shared = false;
  std::uint64_t attached = 0;
  std::uint64_t identity = 0;
  std::uint32_t ana_group = 1;
};
BOOST_DESCRIBE_STRUCT(PersistentNamespace, (),
                      (nsid, first_unit, units, blocks, block_bytes, metadata_bytes,
                       extended_metadata, protection_type, protection_first, shared, attached,
                       identity, ana_group))

struct PersistentFeature {
  std::uint32_t feature = 0;
  std::uint32_t instance = 0;
  std::uint32_t value = 0;
  std::string data;  // hexadecimal
};
BOOST_DESCRIBE_STRUCT(PersistentFeature, (), (feature, instance, value, data))

struct PersistentFirmware {
  bool present = false;
  std::string revision;
  std::uint32_t reset = 0;
};
BOOST_DESCRIBE_STRUCT(PersistentFirmware, (), (present, revision, reset))

struct PersistentCounters {
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t media_errors = 0;
  std::uint64_t power_cycles = 0;
  std::uint64_t unsafe_shutdowns = 0;
  std::uint64_t power_on_ms = 0;
  std::uint64_t busy_ms = 0;
  std::uint64_t errors = 0;
};
BOOST_DESCRIBE_STRUCT(PersistentCounters, (),
                      (read_bytes, written_bytes, reads, writes, media_errors, power_cycles,
                       unsafe_shutdowns, power_on_ms, busy_ms, errors))

// Blocks that Write Uncorrectable made unreadable, in bytes of the media's space.
struct PersistentRange {
  std::uint64_t first_byte = 0;
  std::uint64_t bytes = 0;
};
BOOST_DESCRIBE_STRUCT(PersistentRange, (), (first_byte, bytes))

struct PersistentRegistrant {
  std::string host;              // identifier, hexadecimal
  std::uint32_t controller = 0;  // of a host that gave none
  std::uint64_t key = 0;
};
BOOST_DESCRIBE_STRUCT(PersistentRegistrant, (), (host, controller, key))

// Of a namespace whose reservation persists through power loss; holder is an index, or registrants'
// number if it has none.
struct PersistentReservation {
  std::uint32_t nsid = 0;
  std::uint32_t type = 0;
  std::uint32_t generation = 0;
  std::uint32_t holder = 0;
  std::vector<PersistentRegistrant> registrants;
};
BOOST_DESCRIBE_STRUCT(PersistentReservation, (), (nsid, type, generation, holder, registrants))

struct PersistentEventEntry {
  std::uint32_t type = 0;
  std::uint32_t controller_id = 0;
  std::uint64_t timestamp = 0;
  std::string data;  // hexadecimal
};
BOOST_DESCRIBE_STRUCT(PersistentEventEntry, (), (type, controller_id, timestamp, data))

struct PersistentState {
  std::uint32_t version = 1;
  std::string serial_number;
  bool clean_shutdown = false;
  std::vector<PersistentNamespace> namespaces;
  std::vector<PersistentFeature> features;
  std::vector<PersistentFirmware> firmware;
  std::uint32_t active_slot = 1;
  std::uint32_t next_slot = 0;
  std::uint32_t sanitize_status = 0;
  std::uint32_t sanitize_cdw10 = 0;
  PersistentCounters counters;
  std::vector<PersistentRange> uncorrectable;
  std::vector<PersistentReservation> reservations;
  std::vector<PersistentEventEntry> events;  // oldest first
  std::string host_telemetry;                // hexadecimal
};
BOOST_DESCRIBE_STRUCT(PersistentState, (),
                      (version, serial_number, clean_shutdown, namespaces, features, firmware,
                       active_slot, next_slot, sanitize_status, sanitize_cdw10, counters,
                       uncorrectable, reservations, events, host_telemetry))

// JSON of the whole. read_state throws UserError, naming `source`, for text that is not one.
std::string write_state(const PersistentState& state);
PersistentState read_state(std::string_view text, std::string_view source);

struct Core;
// The state of a controller and its subsystem as it is now, and back; apply throws UserError if it
// does not fit the drive (nothing has changed then). Before the first enable.
PersistentState collect_state(const Core& core);
void apply_state(Core& core, const PersistentState& state, std::string_view source);

}  // namespace nvmesim::device
