#include "device/nvm/nvm_commands.hpp"

#include <array>

#include "device/core.hpp"

namespace nvmesim::device {

namespace {

using spec::NvmOpcode;

constexpr CommandRow row(NvmOpcode opcode, NsidRule nsid, std::uint16_t oncs,
                         void (*handler)(Core&, Command&),
                         BlockAccess access = BlockAccess::kNone) {
  CommandRow row{static_cast<std::uint8_t>(opcode), nsid, oncs, handler};
  row.access = access;
  if (access == BlockAccess::kWrite && opcode != NvmOpcode::kFlush) {
    row.effects = spec::kEffectBlocks;
  }
  return row;
}

constexpr auto kReads = BlockAccess::kRead;
constexpr auto kWrites = BlockAccess::kWrite;

constexpr CommandRow kRows[] = {
    row(NvmOpcode::kFlush, NsidRule::kOneOrAll, 0, flush, kWrites),
    row(NvmOpcode::kWrite, NsidRule::kOne, 0, write, kWrites),
    row(NvmOpcode::kRead, NsidRule::kOne, 0, read, kReads),
    row(NvmOpcode::kWriteUncorrectable, NsidRule::kOne, spec::kOncsWriteUncorrectable,
        write_uncorrectable, kWrites),
    row(NvmOpcode::kCompare, NsidRule::kOne, spec::kOncsCompare, compare, kReads),
    row(NvmOpcode::kVerify, NsidRule::kOne, spec::kOncsVerify, verify, kReads),
    row(NvmOpcode::kCopy, NsidRule::kOne, spec::kOncsCopy, copy, kWrites),
    row(NvmOpcode::kWriteZeroes, NsidRule::kOne, spec::kOncsWriteZeroes, write_zeroes, kWrites),
    row(NvmOpcode::kDatasetManagement, NsidRule::kOne, spec::kOncsDsm, dataset_management, kWrites),
    row(NvmOpcode::kReservationRegister, NsidRule::kOne, spec::kOncsReservations,
        reservation_register),
    row(NvmOpcode::kReservationReport, NsidRule::kOne, spec::kOncsReservations, reservation_report),
    row(NvmOpcode::kReservationAcquire, NsidRule::kOne, spec::kOncsReservations,
        reservation_acquire),
    row(NvmOpcode::kReservationRelease, NsidRule::kOne, spec::kOncsReservations,
        reservation_release),
};

// Row by opcode, so that finding one costs nothing.
constexpr std::array<const CommandRow*, 256> kByOpcode = [] {
  std::array<const CommandRow*, 256> table{};
  for (const CommandRow& candidate : kRows) table[candidate.opcode] = &candidate;
  return table;
}();

}  // namespace

const CommandRow* find_nvm_command(std::uint8_t opcode) {
  return kByOpcode[opcode];
}

bool in_range(const Namespace& space, std::uint64_t first, std::uint64_t blocks) {
  return first < space.blocks && blocks <= space.blocks - first;
}

}  // namespace nvmesim::device
