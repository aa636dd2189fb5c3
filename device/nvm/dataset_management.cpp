// Dataset Management (section 6.7). Deallocate works through the ranges one after another; the
// other attributes are hints that change nothing.
#include "device/core.hpp"
#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using spec::DsmRange;
using spec::Status;

namespace {

std::uint32_t range_count(const Command& command) {
  return spec::bits(command.sqe.cdw10, 7, 0) + 1;
}

const DsmRange& range_at(const Command& command, std::uint32_t index) {
  return reinterpret_cast<const DsmRange*>(command.staged->data())[index];
}

void next_range(Core& core, Command& command) {
  while (command.position < range_count(command)) {
    const DsmRange& range = range_at(command, command.position++);
    if (range.length == 0) continue;
    const unsigned shift = command.space->format.block_shift;
    core.mover.start_operation(command, models::MediaOp::kDeallocate,
                               command.space->first_byte + (range.starting_lba << shift),
                               std::uint64_t{range.length} << shift, false, next_range);
    return;
  }
  core.complete(command, Status::kSuccess);
}

// Nothing is deallocated unless every range is right.
void ranges_arrived(Core& core, Command& command) {
  for (std::uint32_t i = 0; i < range_count(command); ++i) {
    const DsmRange& range = range_at(command, i);
    if (!in_range(*command.space, range.starting_lba, range.length)) {
      core.reject(command, Status::kLbaOutOfRange, "a range beyond the end of the namespace",
                  "6.7");
      return;
    }
  }
  next_range(core, command);
}

void fetch_ranges(Core& core, Command& command) {
  core.mover.receive_staged(
      command, static_cast<std::uint32_t>(range_count(command) * sizeof(DsmRange)), ranges_arrived);
}

}  // namespace

void dataset_management(Core& core, Command& command) {
  if ((command.sqe.cdw11 & spec::kDsmAttributeAd) == 0) {
    core.complete(command, Status::kSuccess);
    return;
  }
  core.prps.map(command, range_count(command) * sizeof(DsmRange), fetch_ranges);
}

}  // namespace nvmesim::device
