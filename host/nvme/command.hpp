// Turns a request of the block layer into a submission entry (nvme_setup_cmd): opcode, range and
// flags, and the command id with its generation. Data pointers are put in by whoever maps the data.
#pragma once

#include <cstdint>
#include <optional>

#include "device/spec/commands.hpp"
#include "host/block/request.hpp"
#include "host/kernel/machine.hpp"
#include "host/nvme/driver_config.hpp"
#include "host/nvme/quirks.hpp"

namespace nvmesim::host {

// A namespace as commands need it.
struct CommandTarget {
  std::uint32_t nsid = 0;
  unsigned lba_shift = 9;
  std::uint8_t pi_type = 0;  // 0: no protection information
  bool has_metadata = false;
  bool integrity = false;  // the protection information is in host memory (MPTR)
  bool streams = false;
};

class CommandBuilder {
 public:
  CommandBuilder(Machine& machine, const Quirks& quirks, const GenerationFacts& facts)
      : machine_(machine), quirks_(quirks), facts_(facts) {}

  // `target` is null for a passthrough command. The id gets a new generation where the driver's
  // generation gives it now. Empty if there is no memory for the ranges of a discard; what is held
  // for a command is given back by finish().
  std::optional<device::spec::SubmissionEntry> build(Request& request, const CommandTarget* target);
  // At completion, before the request is ended or sent again.
  void finish(Request& request);

  // A page for the ranges of one discard when memory is short; held from probe to removal.
  void take_spare_page() { spare_page_ = machine_.pages.allocate_page(); }
  void give_spare_page_back();

 private:
  device::spec::SubmissionEntry passthrough(const Request& request) const;
  device::spec::SubmissionEntry read_write(const Request& request,
                                           const CommandTarget& target) const;
  bool discard(Request& request, const CommandTarget& target, device::spec::SubmissionEntry& entry);
  device::spec::SubmissionEntry write_zeroes(const Request& request,
                                             const CommandTarget& target) const;

  Machine& machine_;
  const Quirks& quirks_;
  const GenerationFacts& facts_;
  std::uint64_t spare_page_ = 0;
  bool spare_busy_ = false;
};

}  // namespace nvmesim::host
