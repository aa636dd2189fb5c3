#include "device/nvm/nvm_commands.hpp"

#include <array>

#include "device/core.hpp"

namespace nvmesim::device {

namespace {

using spec::NvmOpcode;

constexpr CommandRow row(NvmOpcode opcode, NsidRule nsid, std::uint16_t oncs,
                         void (*handler)(Core&, Command&)) {
  return {static_cast<std::uint8_t>(opcode), nsid, oncs, handler};
}

constexpr CommandRow kRows[] = {
    row(NvmOpcode::kFlush, NsidRule::kOneOrAll, 0, flush),
    row(NvmOpcode::kWrite, NsidRule::kOne, 0, write),
    row(NvmOpcode::kRead, NsidRule::kOne, 0, read),
    row(NvmOpcode::kWriteUncorrectable, NsidRule::kOne, spec::kOncsWriteUncorrectable,
        write_uncorrectable),
    row(NvmOpcode::kCompare, NsidRule::kOne, spec::kOncsCompare, compare),
    row(NvmOpcode::kVerify, NsidRule::kOne, spec::kOncsVerify, verify),
    row(NvmOpcode::kCopy, NsidRule::kOne, spec::kOncsCopy, copy),
    row(NvmOpcode::kWriteZeroes, NsidRule::kOne, spec::kOncsWriteZeroes, write_zeroes),
    row(NvmOpcode::kDatasetManagement, NsidRule::kOne, spec::kOncsDsm, dataset_management),
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
