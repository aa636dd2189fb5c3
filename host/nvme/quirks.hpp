// Known oddities of real drives, by PCI id, and what the driver does about each. Only those whose
// effect exists in this driver are named.
#pragma once

#include <cstdint>

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
};

// `knows_bogus_ids`: a fact of the generation.
Quirks quirks_of(std::uint16_t vendor, std::uint16_t device, bool knows_bogus_ids);

}  // namespace nvmesim::host
