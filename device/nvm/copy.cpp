// Copy (NVMe 2.0, NVM command set 3.2.2), descriptor format 0: reads all source ranges into the
// controller, then writes them behind each other at the destination.
#include "device/nvm/block_commands.hpp"
#include "device/nvm/nvm_commands.hpp"

namespace nvmesim::device {

using spec::CopyRange;
using spec::Status;

namespace {

constexpr const char* kSection = "NVM command set 3.2.2";

std::uint32_t range_count(const Command& command) {
  return spec::bits(command.sqe.cdw12, 7, 0) + 1;
}

void copied(Core& core, Command& command) {
  core.health.count_transfer(models::MediaOp::kWrite, command.media.bytes);
  core.complete(command, Status::kSuccess);
}

// The protection information comes from the source, or is made new with PRINFOW.PRACT.
void write_destination(Core& core, Command& command) {
  BlockWork& work = *command.work;
  work.mode = BlockMode::kWrite;
  work.image_block = 0;
  work.protection = protection_fields(command.sqe);
  const Status status = core.blocks.check_image(command, work.all_blocks);
  if (status != Status::kSuccess) {
    core.reject(command, status, rule_of_data_error(status), kSection);
    return;
  }
  core.blocks.start(command, starting_lba(command), work.all_blocks, durable(core, command),
                    copied);
}

void read_next(Core& core, Command& command) {
  BlockWork& work = *command.work;
  if (command.position == range_count(command)) {
    write_destination(core, command);
    return;
  }
  const CopyRange& range = work.ranges[command.position++];
  const std::uint64_t blocks = range.nlb + std::uint64_t{1};
  work.image_block = work.done_blocks;
  work.done_blocks += blocks;
  // Reference tags of the source count from its own first block.
  work.protection = {spec::bits(command.sqe.cdw12, 15, 12),
                     range.eilbrt - static_cast<std::uint32_t>(work.image_block), range.elbat,
                     range.elbatm};
  core.blocks.start(command, range.slba, blocks, false, read_next);
}

const char* limit_broken(const Core& core, const Command& command, std::uint64_t blocks) {
  const BlockLimitsConfig& limits = core.config.limits;
  for (std::uint32_t i = 0; i < range_count(command); ++i) {
    if (command.work->ranges[i].nlb + std::uint64_t{1} > limits.mssrl) {
      return "a source range is longer than MSSRL";
    }
  }
  return blocks > limits.mcl ? "all ranges together are longer than MCL" : nullptr;
}

bool check_source(Core& core, Command& command, const CopyRange& range) {
  const std::uint64_t blocks = range.nlb + std::uint64_t{1};
  if (!in_range(*command.space, range.slba, blocks)) {
    core.reject(command, Status::kLbaOutOfRange, "a source range beyond the end of the namespace",
                kSection);
    return false;
  }
  const ProtectionFields fields{spec::bits(command.sqe.cdw12, 15, 12), range.eilbrt, range.elbat,
                                range.elbatm};
  const Status status = check_fields(command.space->format, fields, range.slba);
  if (status != Status::kSuccess) {
    core.reject(command, status, "EILBRT does not fit the protection type or the LBA", kSection);
    return false;
  }
  return check_readable(core, command, range.slba, blocks);
}

void ranges_arrived(Core& core, Command& command) {
  BlockWork& work = *command.work;
  const auto* given = reinterpret_cast<const CopyRange*>(command.staged->data());
  std::uint64_t blocks = 0;
  for (std::uint32_t i = 0; i < range_count(command); ++i) {
    work.ranges[i] = given[i];
    blocks += given[i].nlb + std::uint64_t{1};
  }
  if (const char* broken = limit_broken(core, command, blocks); broken != nullptr) {
    core.reject(command, Status::kCommandSizeLimitExceeded, broken, kSection);
    return;
  }
  if (!in_range(*command.space, starting_lba(command), blocks)) {
    core.reject(command, Status::kLbaOutOfRange, "the destination ends beyond the namespace",
                kSection);
    return;
  }
  for (std::uint32_t i = 0; i < range_count(command); ++i) {
    if (!check_source(core, command, work.ranges[i])) return;
  }
  if (!check_protection_fields(core, command)) return;
  command.position = 0;
  work.all_blocks = blocks;
  core.blocks.make_room(command, blocks);
  if (core.locks.on()) {
    core.locks.enter(command, starting_lba(command), blocks, true, read_next);
  } else {
    read_next(core, command);
  }
}

void fetch_ranges(Core& core, Command& command) {
  core.mover.receive_staged(command,
                            static_cast<std::uint32_t>(range_count(command) * sizeof(CopyRange)),
                            ranges_arrived);
}

}  // namespace

void copy(Core& core, Command& command) {
  if (spec::bits(command.sqe.cdw12, 11, 8) != 0) {
    core.reject(command, Status::kInvalidField, "this descriptor format is not supported",
                kSection);
    return;
  }
  if (range_count(command) > core.config.limits.msrc + 1) {
    core.reject(command, Status::kCommandSizeLimitExceeded, "more source ranges than MSRC allows",
                kSection);
    return;
  }
  core.blocks.open(command, BlockMode::kGather, false);
  core.prps.map(command, range_count(command) * sizeof(CopyRange), fetch_ranges);
}

}  // namespace nvmesim::device
