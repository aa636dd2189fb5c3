// Known oddities of real drives, by PCI id, and what the driver does about each. Only those whose
// effect exists in this driver are named.
#pragma once

#include <cstdint>
#include <string_view>

namespace nvmesim::host {

struct Quirks {
  bool stripe_size = false;        // requests must not cross max_hw_sectors boundaries
  bool identify_cns = false;       // no CNS above 1 before version 1.2
  bool deallocate_zeroes = false;  // write zeroes is done by deallocating
  bool delay_before_check_ready = false;
  bool no_apst = false;
  bool no_deepest_power_state = false;
  bool queue_depth_one = false;  // one command at a time
  bool medium_priority_queues = false;
  bool disable_write_zeroes = false;
  bool single_vector = false;
  bool no_namespace_descriptors = false;
  bool skip_generation = false;  // the command id is the tag
  bool bogus_ids = false;        // EUI-64, NGUID and UUID mean nothing
  bool ignore_subnqn = false;    // the name of the subsystem is made from its identity
  bool simple_suspend = false;   // suspend always shuts down
  bool sqes_128 = false;         // I/O submission entries lie 128 bytes apart
  bool shared_tags = false;      // admin and I/O commands must not have the same tag
  bool fixed_temp_thresholds = false;
};

// `knows_bogus_ids`: a fact of the generation.
Quirks quirks_of(std::uint16_t vendor, std::uint16_t device, bool knows_bogus_ids);

// What is known only once the controller has told its name: by vendor, model and firmware.
void add_core_quirks(std::uint16_t vendor, std::string_view model, std::string_view firmware,
                     bool later, Quirks& quirks);

}  // namespace nvmesim::host
