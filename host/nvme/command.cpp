#include "host/nvme/command.hpp"

#include <cstring>
#include <utility>

#include "host/nvme/queue.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

constexpr std::uint32_t kFua = 1u << 30;
// Protection information, dword 12.
constexpr std::uint32_t kPract = 1u << 29;
constexpr std::uint32_t kCheckGuard = 1u << 28;
constexpr std::uint32_t kCheckRef = 1u << 26;
constexpr std::uint32_t kStreamsDirective = 1u << 20;  // DTYPE
constexpr unsigned kHintNone = 1;                      // write hints: 0 not set, 1 none, 2 short...
constexpr std::uint8_t kPsdtMask = 0xc0;
// The whole range table is handed over, whatever the number of ranges in use.
constexpr std::uint32_t kRangeTableBytes = kMaxDsmRanges * sizeof(DsmRange);

std::uint64_t start_lba(const Request& request, const CommandTarget& target) {
  return request.sector >> (target.lba_shift - kSectorShift);
}
std::uint32_t blocks(const Request& request, const CommandTarget& target) {
  return static_cast<std::uint32_t>(request.sectors >> (target.lba_shift - kSectorShift));
}

void set_range(SubmissionEntry& entry, const Request& request, const CommandTarget& target) {
  const std::uint64_t lba = start_lba(request, target);
  entry.cdw10 = static_cast<std::uint32_t>(lba);
  entry.cdw11 = static_cast<std::uint32_t>(lba >> 32);
  entry.cdw12 = (blocks(request, target) - 1) & 0xffffu;
}

}  // namespace

std::optional<SubmissionEntry> CommandBuilder::build(Request& request,
                                                     const CommandTarget* target) {
  Iod& iod = iod_of(request);
  if (!request.dont_prep) {
    request.dont_prep = true;
    request.status = request.retries = 0;
    iod.cancelled = false;
  }
  SubmissionEntry entry{};
  if (is_passthrough(request)) {
    entry = passthrough(request);
  } else {
    NVMESIM_ASSERT(target != nullptr, "a block request without a namespace");
    switch (request.op) {
      case RequestOp::kFlush:
        entry.opc = static_cast<std::uint8_t>(NvmOpcode::kFlush);
        entry.nsid = target->nsid;
        break;
      case RequestOp::kDiscard:
        if (!discard(request, *target, entry)) return std::nullopt;
        break;
      case RequestOp::kWriteZeroes:
        if (!quirks_.deallocate_zeroes)
          entry = write_zeroes(request, *target);
        else if (!discard(request, *target, entry))
          return std::nullopt;
        break;
      default:
        entry = read_write(request, *target);
    }
  }
  if (!quirks_.skip_generation && !facts_.generation_at_completion) ++iod.generation;
  entry.cid = command_id(quirks_.skip_generation ? std::uint8_t{0} : iod.generation, request.tag);
  return entry;
}

void CommandBuilder::finish(Request& request) {
  Iod& iod = iod_of(request);
  if (iod.discard_ranges == 0) return;
  if (iod.discard_ranges == spare_page_)
    spare_busy_ = false;
  else
    machine_.pages.free_page(iod.discard_ranges);
  iod.discard_ranges = 0;
}

void CommandBuilder::give_spare_page_back() {
  if (spare_page_ != 0) machine_.pages.free_page(spare_page_);
  spare_page_ = 0;
}

SubmissionEntry CommandBuilder::passthrough(const Request& request) const {
  SubmissionEntry entry{};
  static_assert(sizeof entry == sizeof request.command);
  std::memcpy(&entry, request.command.data(), sizeof entry);
  entry.flags = static_cast<std::uint8_t>(entry.flags & ~kPsdtMask);
  return entry;
}

SubmissionEntry CommandBuilder::read_write(const Request& request,
                                           const CommandTarget& target) const {
  SubmissionEntry entry{};
  const bool write = request.op == RequestOp::kWrite;
  entry.opc = static_cast<std::uint8_t>(write ? NvmOpcode::kWrite : NvmOpcode::kRead);
  entry.nsid = target.nsid;
  set_range(entry, request, target);
  if (request.fua) entry.cdw12 |= kFua;
  if (write && target.streams && request.write_hint > kHintNone) {
    entry.cdw12 |= kStreamsDirective;
    entry.cdw13 |= std::uint32_t{request.write_hint - 1u} << 16;
  }
  if (target.has_metadata) {
    // Without protection information of the host's own the drive makes and checks it.
    if (!target.integrity) entry.cdw12 |= kPract;
    entry.cdw12 |= kCheckGuard;
    if (target.pi_type == 1 || target.pi_type == 2) {
      entry.cdw12 |= kCheckRef;
      entry.cdw14 = static_cast<std::uint32_t>(start_lba(request, target));
    }
  }
  return entry;
}

bool CommandBuilder::discard(Request& request, const CommandTarget& target,
                             SubmissionEntry& entry) {
  Iod& iod = iod_of(request);
  if (iod.discard_ranges == 0) iod.discard_ranges = machine_.pages.allocate_page();
  if (iod.discard_ranges == 0) {
    if (spare_page_ == 0 || std::exchange(spare_busy_, true)) return false;
    iod.discard_ranges = spare_page_;
  }
  machine_.memory.zero(iod.discard_ranges, kRangeTableBytes);
  std::uint32_t ranges = 0;
  const unsigned shift = target.lba_shift - kSectorShift;
  for (const Bio* bio = request.bio; bio != nullptr; bio = bio->merged) {
    // A bio that was split gave a part of itself.
    const bool alone = request.bio->merged == nullptr;
    const std::uint64_t sector = alone ? request.sector : bio->sector;
    const std::uint64_t sectors = alone ? request.sectors : bio->sectors;
    machine_.memory.store(
        iod.discard_ranges + ranges++ * sizeof(DsmRange),
        DsmRange{0, static_cast<std::uint32_t>(sectors >> shift), sector >> shift});
  }
  entry.opc = static_cast<std::uint8_t>(NvmOpcode::kDatasetManagement);
  entry.nsid = target.nsid;
  entry.cdw10 = ranges - 1;  // 0's based
  entry.cdw11 = kDsmAttributeAd;
  return true;
}

SubmissionEntry CommandBuilder::write_zeroes(const Request& request,
                                             const CommandTarget& target) const {
  SubmissionEntry entry{};
  entry.opc = static_cast<std::uint8_t>(NvmOpcode::kWriteZeroes);
  entry.nsid = target.nsid;
  set_range(entry, request, target);
  if (target.has_metadata) {
    entry.cdw12 |= kPract;
    const bool has_ref = target.pi_type == 1 || target.pi_type == 2;
    if (facts_.write_zeroes_reference_tag && has_ref)
      entry.cdw14 = static_cast<std::uint32_t>(start_lba(request, target));
  }
  return entry;
}

}  // namespace nvmesim::host
