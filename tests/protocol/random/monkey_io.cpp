// Random NVM commands.
#include "device/spec/reservations.hpp"
#include "tests/protocol/random/monkey.hpp"

namespace nvmesim::test {

using namespace monkey_memory;
using spec::NvmOpcode;
using spec::SglType;

std::uint64_t Monkey::any_lba(std::uint32_t nsid) {
  if (chance(1, 100)) return random_.next() | kKeptBlocks;
  // At times beyond the end.
  return kKeptBlocks + random_.below(nsid == 1 ? 15'800 : nsid == 2 ? 3'800 : 800);
}

// PRPs that fit the length: what the device writes stays in the data pages.
void Monkey::set_pages(spec::SubmissionEntry& entry, std::uint64_t bytes) {
  entry.prp1 = page() + random_.below(1024) * 4 * random_.below(2);
  if (bytes <= 4096 && chance(1, 20)) entry.prp1 = kCmbAddress + random_.below(48) * 4096;
  const std::uint64_t first = 4096 - entry.prp1 % 4096;
  const std::uint64_t more = bytes <= first ? 0 : (bytes - first + 4095) / 4096;
  // The whole list lies in one page, so that a chain never leads elsewhere.
  entry.prp2 = more < 2 ? page() : kLists + random_.below(64) * 4096 + random_.below(128) * 8;
}

// One data block, or a segment of data blocks and bit buckets; sometimes a wrong descriptor.
void Monkey::set_sgl(spec::SubmissionEntry& entry, std::uint64_t bytes, bool read) {
  const auto put = [](spec::SubmissionEntry& into, const spec::SglDescriptor& descriptor) {
    std::memcpy(&into.prp1, &descriptor, sizeof descriptor);
  };
  entry.flags = spec::kPsdtSgl << 6;
  auto left = static_cast<std::uint32_t>(bytes);
  if (chance(1, 20)) left += below(64);
  const auto wrong = static_cast<SglType>(below(16));
  if (chance(1, 2)) {
    put(entry, spec::sgl_descriptor(chance(1, 20) ? wrong : SglType::kDataBlock, page() + below(64),
                                    left));
    return;
  }
  const std::uint64_t place = kSegments + below(256) * 256;
  const std::uint32_t pieces = 2 + below(13);
  for (std::uint32_t i = 0; i < pieces; ++i) {
    const std::uint32_t part = i + 1 == pieces ? left : below(left + 1);
    const SglType type = chance(1, 100)         ? wrong
                         : read && chance(1, 8) ? SglType::kBitBucket
                                                : SglType::kDataBlock;
    bench_.port.store(place + i * 16, spec::sgl_descriptor(type, page() + below(64), part));
    left -= part;
  }
  put(entry, spec::sgl_descriptor(chance(1, 20) ? SglType::kSegment : SglType::kLastSegment, place,
                                  pieces * 16));
}

// Where data and metadata of a command that moves blocks lie.
void Monkey::fill_transfer(NvmOpcode opcode, spec::SubmissionEntry& entry) {
  const std::uint64_t blocks = (entry.cdw12 & 0xFFFF) + 1;
  const device::Namespace* space = bench_.controller->core().namespaces.find(entry.nsid);
  std::uint64_t bytes = blocks * 512;
  bool separate = false;
  if (space != nullptr) {
    const device::BlockFormat& format = space->format;
    const bool action = (entry.cdw12 & (1u << 29)) != 0;
    const bool stripped = action && format.protection_type != 0 && format.metadata_bytes == 8;
    const std::uint32_t metadata = stripped ? 0 : format.metadata_bytes;
    bytes = blocks * (format.block_bytes() + (format.extended ? metadata : 0));
    separate = metadata != 0 && !format.extended;
    if (separate) entry.mptr = page() + random_.below(1024) * 4;
    if (separate && chance(1, 4)) {
      const std::uint64_t place = kSegments + below(256) * 256 + 240;
      bench_.port.store(place, spec::sgl_descriptor(SglType::kDataBlock, page(),
                                                    static_cast<std::uint32_t>(blocks * metadata)));
      entry.mptr = place;
      set_sgl(entry, bytes, opcode == NvmOpcode::kRead);
      entry.flags = spec::kPsdtSglMetadata << 6;
      return;
    }
  }
  if (chance(1, 6)) {
    set_sgl(entry, bytes, opcode == NvmOpcode::kRead);
  } else {
    set_pages(entry, bytes);
  }
  // Now and then what is written, and later compared, is known.
  if (bytes <= 8192 && opcode != NvmOpcode::kRead && chance(1, 2)) {
    entry.flags = 0;
    entry.prp1 = kZeroes;
    entry.prp2 = kZeroes + 4096;
  }
}

void Monkey::fill_blocks(NvmOpcode opcode, spec::SubmissionEntry& entry) {
  const bool moves =
      opcode == NvmOpcode::kRead || opcode == NvmOpcode::kWrite || opcode == NvmOpcode::kCompare;
  const bool small = opcode == NvmOpcode::kCompare || chance(1, 2);
  entry.cdw12 = below(small ? 8 : 270);
  if (small && chance(1, 3)) {  // a few blocks that are written again and again
    entry.cdw10 = static_cast<std::uint32_t>(kKeptBlocks + below(16));
    entry.cdw11 = 0;
  }
  entry.cdw14 = entry.cdw10;  // initial reference tag
  if (chance(1, 20)) entry.cdw14 ^= below(4);
  if (chance(1, 10)) entry.cdw12 |= 1u << 30;  // FUA
  if (chance(1, 10)) entry.cdw12 |= 1u << 31;  // limited retry
  if (entry.nsid != 1) entry.cdw12 |= chance(3, 4) ? 1u << 29 : below(8) << 26;
  if (opcode == NvmOpcode::kWriteZeroes && chance(1, 4)) entry.cdw12 |= 1u << 25;  // DEAC
  if (opcode == NvmOpcode::kWrite && chance(1, 8)) {                               // a stream
    entry.cdw12 |= 1u << 20;
    entry.cdw13 = below(10) << 16;
  }
  if (moves) fill_transfer(opcode, entry);
}

// Reservations are of namespaces without kept blocks: those must stay readable.
void Monkey::fill_reservation(NvmOpcode opcode, spec::SubmissionEntry& entry) {
  entry.nsid = chance(1, 20) ? below(20) : 3 + below(2);
  if (entry.nsid == 1 || entry.nsid == 2) entry.nsid = 3;
  entry.cdw11 = entry.cdw12 = 0;
  entry.prp1 = kKeys + random_.below(16) * 16;
  entry.prp2 = page();
  const std::uint32_t ignore_key = chance(1, 8) ? 8 : 0;
  const std::uint32_t type = (chance(1, 20) ? below(256) : 1 + below(6)) << 8;
  switch (opcode) {
    case NvmOpcode::kReservationRegister:
      entry.cdw10 = below(chance(1, 20) ? 8 : 3) | ignore_key | below(4) << 30;
      break;
    case NvmOpcode::kReservationReport:
      entry.cdw10 = below(64);
      entry.cdw11 = below(2);
      entry.prp1 = page();
      break;
    case NvmOpcode::kReservationAcquire:
      entry.cdw10 = below(chance(1, 20) ? 8 : 3) | type | (chance(1, 10) ? ignore_key : 0);
      break;
    default:
      entry.cdw10 = below(chance(1, 20) ? 8 : 2) | type | (chance(1, 10) ? ignore_key : 0);
      break;
  }
}

void Monkey::submit_io() {
  static constexpr NvmOpcode kOpcodes[] = {NvmOpcode::kRead,
                                           NvmOpcode::kRead,
                                           NvmOpcode::kRead,
                                           NvmOpcode::kRead,
                                           NvmOpcode::kRead,
                                           NvmOpcode::kWrite,
                                           NvmOpcode::kWrite,
                                           NvmOpcode::kWrite,
                                           NvmOpcode::kWrite,
                                           NvmOpcode::kWrite,
                                           NvmOpcode::kFlush,
                                           NvmOpcode::kFlush,
                                           NvmOpcode::kWriteZeroes,
                                           NvmOpcode::kVerify,
                                           NvmOpcode::kDatasetManagement,
                                           NvmOpcode::kCompare,
                                           NvmOpcode::kWriteUncorrectable,
                                           NvmOpcode::kCopy,
                                           NvmOpcode::kReservationRegister,
                                           NvmOpcode::kReservationReport,
                                           NvmOpcode::kReservationAcquire,
                                           NvmOpcode::kReservationRelease};
  const NvmOpcode opcode = kOpcodes[random_.below(std::size(kOpcodes))];
  const std::uint32_t nsid = chance(3, 5) ? 1 : chance(3, 5) ? 2 : 3 + below(6);
  auto entry = io(opcode, any_lba(nsid), 1);
  entry.nsid = nsid;
  switch (opcode) {
    case NvmOpcode::kFlush:
      if (chance(1, 4)) entry.nsid = spec::kNsidAll;
      break;
    case NvmOpcode::kDatasetManagement:
      entry.cdw10 = below(256);
      entry.cdw11 = below(8);
      entry.cdw12 = 0;
      entry.prp1 = kRanges + random_.below(8) * 4096;
      break;
    case NvmOpcode::kCopy:
      entry.cdw12 = below(chance(1, 20) ? 256 : 8) | (chance(1, 50) ? below(16) << 8 : 0);
      if (nsid != 1) entry.cdw12 |= 1u << 29 | 1u << 15;  // PRINFOW and PRINFOR: PRACT
      entry.cdw14 = entry.cdw10;
      entry.prp1 = kCopyRanges + random_.below(16) * 4096;
      entry.prp2 = entry.prp1 + 4096;
      break;
    case NvmOpcode::kReservationRegister:
    case NvmOpcode::kReservationReport:
    case NvmOpcode::kReservationAcquire:
    case NvmOpcode::kReservationRelease:
      fill_reservation(opcode, entry);
      break;
    default:
      fill_blocks(opcode, entry);
      break;
  }
  if (chance(1, 200)) entry.opc = static_cast<std::uint8_t>(0x20 + below(0xE0));  // unknown
  send(static_cast<std::uint16_t>(1 + below(kQueues)), entry);
}

// Compare and Write behind each other, mostly of the same blocks.
void Monkey::submit_fused() {
  const auto qid = static_cast<std::uint16_t>(1 + below(kQueues));
  if (!room(qid, 2)) return;
  auto first = io(NvmOpcode::kCompare, kKeptBlocks + random_.below(16), 1 + below(9), kZeroes,
                  kZeroes + 4096);
  auto second = first;
  second.opc = static_cast<std::uint8_t>(NvmOpcode::kWrite);
  if (chance(1, 10)) second.cdw10 += below(3);
  if (chance(1, 10)) second.cdw12 += below(3);
  first.flags = spec::kFuseFirst;
  second.flags = spec::kFuseSecond;
  bench_.put(qid, first);
  bench_.put(qid, second);
  bench_.ring(qid);
}

}  // namespace nvmesim::test
