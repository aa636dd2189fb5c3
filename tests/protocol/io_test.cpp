// Read, Write, Flush, Write Zeroes, Dataset Management: data, and every wrong input.
#include <cstring>

#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = small_config()) : Bench(wanted) {
    REQUIRE(enable());
    create_pair(1);
  }
  std::uint64_t blocks() const { return kMediaUnits * 4096 / config.logical_block_bytes; }

  // A list of `count` scattered pages, its entries at `list`.
  void scatter(std::uint64_t list, std::uint64_t count, std::uint64_t first_page) {
    for (std::uint64_t i = 0; i < count; ++i) {
      port.store(list + i * 8, first_page + i * 0x3000);
    }
  }
  void fill(std::uint64_t address, std::uint64_t bytes, std::uint8_t seed) {
    for (std::uint64_t i = 0; i < bytes; ++i) {
      port.store(address + i, static_cast<std::uint8_t>(seed + i * 7 + i / 256));
    }
  }
};

device::ControllerConfig blocks_of_4k() {
  device::ControllerConfig config = small_config();
  config.logical_block_bytes = 4096;
  return config;
}

}  // namespace

TEST_CASE("what was written is read back, at any block offset and length") {
  Ready bench;
  for (const std::uint32_t lba : {0u, 1u, 7u, 8u, 13u}) {
    for (const std::uint32_t count : {1u, 2u, 8u, 9u, 16u}) {
      const std::uint64_t bytes = count * 512ull;
      bench.fill(kData, bytes, static_cast<std::uint8_t>(lba * 16 + count));
      CHECK(bench.status(1, io(NvmOpcode::kWrite, lba, count, kData, kData + 4096)) ==
            Status::kSuccess);
      const std::uint64_t back = kData + 0x100000;
      std::memset(bench.port.at(back), 0xEE, 12288);
      CHECK(bench.status(1, io(NvmOpcode::kRead, lba, count, back, back + 4096)) ==
            Status::kSuccess);
      CHECK(std::memcmp(bench.port.at(kData), bench.port.at(back), bytes) == 0);
      CHECK(bench.port.load<std::uint8_t>(back + bytes) == 0xEE);
    }
  }
  CHECK(bench.idle());
}

TEST_CASE("a read of blocks never written gives zeroes") {
  Ready bench;
  CHECK(bench.status(1, io(NvmOpcode::kRead, 800, 8)) == Status::kSuccess);
  for (std::uint64_t i = 0; i < 4096; i += 8) CHECK(bench.port.load<std::uint64_t>(kData + i) == 0);
}

TEST_CASE("a transfer of MDTS goes over a PRP list with an offset in its first page") {
  Ready bench(blocks_of_4k());
  constexpr std::uint32_t kBlocks = 32;
  constexpr std::uint64_t kPages = 0x30'0000;
  // 32 entries are wanted and 31 slots are left in the list's page: 30 pages and a pointer.
  bench.scatter(kLists + 0xF08, 30, kPages);
  bench.port.store(kLists + 0xFF8, kLists + 0x8000);
  bench.scatter(kLists + 0x8000, 2, kPages + 30 * 0x3000);
  const std::uint64_t prp1 = kData + 0x204;
  bench.fill(prp1, 4096 - 0x204, 1);
  for (std::uint64_t i = 0; i < 32; ++i) {
    bench.fill(kPages + i * 0x3000, 4096, static_cast<std::uint8_t>(i + 3));
  }
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 5, kBlocks, prp1, kLists + 0xF08)) ==
        Status::kSuccess);
  // Read back into one piece of memory, page by page.
  std::vector<std::byte> written(4096 - 0x204);
  std::memcpy(written.data(), bench.port.at(prp1), written.size());
  for (std::uint64_t i = 0; i < 32; ++i) {
    const std::byte* page = bench.port.at(kPages + i * 0x3000);
    written.insert(written.end(), page, page + 4096);
  }
  for (std::uint32_t i = 0; i < kBlocks; ++i) {
    CHECK(bench.status(1, io(NvmOpcode::kRead, 5 + i, 1, 0x50'0000)) == Status::kSuccess);
    CHECK(std::memcmp(bench.port.at(0x50'0000), written.data() + i * 4096, 4096) == 0);
  }
  CHECK(bench.idle());
}

TEST_CASE("with larger memory pages a page covers several 4 KiB requests") {
  device::ControllerConfig config = blocks_of_4k();
  config.mpsmax = 2;
  Bench bench(config);
  bench.write32(spec::kRegAqa, 0x001F'001F);
  REQUIRE(bench.enable());
  bench.disable();
  bench.write32(spec::kRegCc, 0x0046'0101);  // 16 KiB
  bench.run(1ms);
  REQUIRE(bench.csts().rdy());
  bench.queue(0).tail = bench.queue(0).head = 0;
  bench.queue(0).phase = true;
  std::memset(bench.port.at(bench.queue(0).cq), 0, 512);
  bench.create_pair(1);
  for (int i = 0; i < 4096 * 7; ++i) {
    bench.port.store(kData + 4096 + i, static_cast<std::uint8_t>(i * 31 >> 3));
  }
  // 28 KiB from 4 KiB into the first page: 12 KiB there, 16 KiB in the second.
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 7, kData + 4096, kData + 16384)) ==
        Status::kSuccess);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 7, 0x40'1000, 0x40'4000)) == Status::kSuccess);
  CHECK(std::memcmp(bench.port.at(kData + 4096), bench.port.at(0x40'1000), 4096 * 7) == 0);
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 7, 0x40'1000, 0x40'5000),
                       Status::kPrpOffsetInvalid);
}

TEST_CASE("namespaces do not touch each other") {
  device::ControllerConfig config = small_config();
  config.namespaces = {{9}, {0}};
  Ready bench(config);
  bench.fill(kData, 4096, 1);
  auto second = io(NvmOpcode::kWrite, 0, 8);
  second.nsid = 2;
  CHECK(bench.status(1, second) == Status::kSuccess);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 1, 8)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint64_t>(kData) == 0);
  bench.check_rejected(1, io(NvmOpcode::kRead, 2, 8), Status::kLbaOutOfRange);
  second.opc = static_cast<std::uint8_t>(NvmOpcode::kRead);
  CHECK(bench.status(1, second) == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 1) == 8);
}

TEST_CASE("the last block can be reached and the one behind it cannot") {
  Ready bench;
  CHECK(bench.status(1, io(NvmOpcode::kWrite, bench.blocks() - 1, 1)) == Status::kSuccess);
  bench.check_rejected(1, io(NvmOpcode::kWrite, bench.blocks(), 1), Status::kLbaOutOfRange);
}
TEST_CASE("Read refuses a range over the end") {
  Ready bench;
  bench.check_rejected(1, io(NvmOpcode::kRead, bench.blocks() - 7, 8), Status::kLbaOutOfRange);
}
TEST_CASE("Read refuses a range that wraps around 64 bits") {
  Ready bench;
  bench.check_rejected(1, io(NvmOpcode::kRead, ~0ull, 8), Status::kLbaOutOfRange);
  bench.check_rejected(1, io(NvmOpcode::kRead, ~0ull - 6, 8), Status::kLbaOutOfRange);
}
TEST_CASE("Write refuses a range over the end") {
  Ready bench;
  bench.check_rejected(1, io(NvmOpcode::kWrite, bench.blocks() - 1, 2), Status::kLbaOutOfRange);
}
TEST_CASE("Write Zeroes refuses a range over the end") {
  Ready bench;
  bench.check_rejected(1, io(NvmOpcode::kWriteZeroes, bench.blocks() - 1, 2),
                       Status::kLbaOutOfRange);
}
TEST_CASE("Read refuses more than MDTS") {
  Ready bench;
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 257), Status::kInvalidField);
}
TEST_CASE("Write refuses more than MDTS") {
  Ready bench(blocks_of_4k());
  bench.check_rejected(1, io(NvmOpcode::kWrite, 0, 33), Status::kInvalidField);
}
TEST_CASE("I/O refuses NSID 0") {
  Ready bench;
  auto entry = io(NvmOpcode::kRead, 0, 8);
  entry.nsid = 0;
  bench.check_rejected(1, entry, Status::kInvalidNamespace);
}
TEST_CASE("I/O refuses an NSID above NN") {
  Ready bench;
  auto entry = io(NvmOpcode::kWrite, 0, 8);
  entry.nsid = 2;
  bench.check_rejected(1, entry, Status::kInvalidNamespace);
}
TEST_CASE("Read and Write refuse NSID FFFFFFFFh") {
  Ready bench;
  auto entry = io(NvmOpcode::kRead, 0, 8);
  entry.nsid = spec::kNsidAll;
  bench.check_rejected(1, entry, Status::kInvalidNamespace);
  entry.opc = static_cast<std::uint8_t>(NvmOpcode::kWrite);
  bench.check_rejected(1, entry, Status::kInvalidNamespace);
}
TEST_CASE("unsupported I/O opcodes are refused") {
  Ready bench;
  for (const NvmOpcode opcode : {NvmOpcode::kCompare, NvmOpcode::kWriteUncorrectable,
                                 NvmOpcode::kVerify, NvmOpcode::kReservationRegister,
                                 static_cast<NvmOpcode>(0x7F), static_cast<NvmOpcode>(0xFF)}) {
    bench.check_rejected(1, io(opcode, 0, 8), Status::kInvalidOpcode);
  }
}
TEST_CASE("optional commands that ONCS does not name are refused") {
  device::ControllerConfig config = small_config();
  config.oncs = 0;
  Ready bench(config);
  bench.check_rejected(1, io(NvmOpcode::kWriteZeroes, 0, 8), Status::kInvalidOpcode);
  bench.check_rejected(1, io(NvmOpcode::kDatasetManagement, 0, 1), Status::kInvalidOpcode);
}
TEST_CASE("I/O commands refuse SGLs") {
  Ready bench;
  auto entry = io(NvmOpcode::kRead, 0, 8);
  entry.flags = 0x40;
  bench.check_rejected(1, entry, Status::kInvalidField);
}
TEST_CASE("I/O commands refuse fusing") {
  Ready bench;
  auto entry = io(NvmOpcode::kWrite, 0, 8);
  entry.flags = 2;
  bench.check_rejected(1, entry, Status::kInvalidField);
}
TEST_CASE("PRP1 must be dword aligned") {
  Ready bench;
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 8, kData + 1), Status::kPrpOffsetInvalid);
}
TEST_CASE("PRP2 as the second page must have no offset") {
  Ready bench;
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 16, kData, kData + 0x1200),
                       Status::kPrpOffsetInvalid);
}
TEST_CASE("PRP2 as a list must be qword aligned") {
  Ready bench;
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 32, kData, kLists + 4),
                       Status::kPrpOffsetInvalid);
}
TEST_CASE("an entry of a PRP list must have no offset") {
  Ready bench;
  bench.scatter(kLists, 3, 0x30'0000);
  bench.port.store(kLists + 16, std::uint64_t{0x40'0008});
  bench.check_rejected(1, io(NvmOpcode::kWrite, 0, 32, kData, kLists), Status::kPrpOffsetInvalid);
}
TEST_CASE("a pointer to the next PRP list must have no offset") {
  Ready bench;
  bench.scatter(kLists + 0xFF0, 2, 0x30'0000);
  bench.port.store(kLists + 0xFF8, kLists + 0x2008);
  bench.check_rejected(1, io(NvmOpcode::kWrite, 0, 32, kData, kLists + 0xFF0),
                       Status::kPrpOffsetInvalid);
}
TEST_CASE("a PRP list that cannot be read is a data transfer error") {
  Ready bench;
  bench.port.poison_page(kLists);
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 32, kData, kLists), Status::kDataTransferError);
}
TEST_CASE("write data that cannot be read is a data transfer error and changes nothing") {
  Ready bench;
  bench.fill(kData, 4096, 9);
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  const std::uint64_t before = bench.media.fingerprint();
  bench.port.poison_page(0x60'0000);
  const auto completion = bench.run_command(1, io(NvmOpcode::kWrite, 0, 8, 0x60'0000));
  CHECK(completion.status() == Status::kDataTransferError);
  CHECK_FALSE(spec::dnr_of(completion.entry.status));
  CHECK(bench.media.fingerprint() == before);
  CHECK(bench.media.cancelled == 1);
  CHECK(bench.idle());
}
TEST_CASE("a unit that cannot be read is an unrecovered read error") {
  Ready bench;
  bench.media.fail(2, models::MediaStatus::kUncorrectable);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 16, 8)) == Status::kUnrecoveredReadError);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 8, 16, kData, kData + 4096)) ==
        Status::kUnrecoveredReadError);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 8, 8)) == Status::kSuccess);
  CHECK(bench.controller->core().health.media_errors_counter() == 2);
  CHECK(bench.idle());
}
TEST_CASE("a broken unit record is an unrecovered read error") {
  Ready bench;
  bench.media.fail(2, models::MediaStatus::kIntegrity);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 16, 8)) == Status::kUnrecoveredReadError);
}
TEST_CASE("a write that finds no space is a write fault") {
  Ready bench;
  bench.media.fail(2, models::MediaStatus::kNoSpace);
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 16, 8)) == Status::kWriteFault);
  CHECK(bench.media.used_units() == 0);
  CHECK(bench.idle());
}

TEST_CASE("Flush without a volatile cache succeeds at once") {
  Ready bench;
  CHECK(bench.status(1, io(NvmOpcode::kFlush, 0, 1)) == Status::kSuccess);
  CHECK(bench.media.flushes == 0);
}
TEST_CASE("Flush of one namespace and of all goes to the media") {
  Ready bench;
  bench.media.cache = true;
  CHECK(bench.status(1, io(NvmOpcode::kFlush, 0, 1)) == Status::kSuccess);
  auto all = io(NvmOpcode::kFlush, 0, 1);
  all.nsid = spec::kNsidAll;
  CHECK(bench.status(1, all) == Status::kSuccess);
  CHECK(bench.media.flushes == 2);
}
TEST_CASE("Flush refuses an NSID that is not there") {
  Ready bench;
  auto entry = io(NvmOpcode::kFlush, 0, 1);
  entry.nsid = 5;
  bench.check_rejected(1, entry, Status::kInvalidNamespace);
}

TEST_CASE("Write Zeroes zeroes its blocks and no other") {
  Ready bench;
  bench.fill(kData, 8192, 1);
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 16, kData, kData + 4096)) == Status::kSuccess);
  CHECK(bench.status(1, io(NvmOpcode::kWriteZeroes, 3, 2)) == Status::kSuccess);
  const std::uint64_t back = 0x50'0000;
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 16, back, back + 4096)) == Status::kSuccess);
  CHECK(std::memcmp(bench.port.at(back), bench.port.at(kData), 3 * 512) == 0);
  for (std::uint64_t i = 3 * 512; i < 5 * 512; ++i) {
    CHECK(bench.port.load<std::uint8_t>(back + i) == 0);
  }
  CHECK(std::memcmp(bench.port.at(back + 5 * 512), bench.port.at(kData + 5 * 512), 11 * 512) == 0);
}
TEST_CASE("Write Zeroes is not limited by MDTS") {
  Ready bench;
  CHECK(bench.status(1, io(NvmOpcode::kWriteZeroes, 0, 20'000)) == Status::kSuccess);
}

TEST_CASE("Deallocate unmaps the ranges that it names") {
  Ready bench;
  for (std::uint64_t lba = 0; lba < 64; lba += 8) {
    CHECK(bench.status(1, io(NvmOpcode::kWrite, lba, 8)) == Status::kSuccess);
  }
  const spec::DsmRange ranges[] = {{0, 8, 0}, {0, 0, 8}, {0, 16, 24}};
  bench.port.store(kData, ranges);
  auto entry = io(NvmOpcode::kDatasetManagement, 0, 1);
  entry.cdw10 = 2;
  entry.cdw11 = spec::kDsmAttributeAd;
  CHECK(bench.status(1, entry) == Status::kSuccess);
  CHECK(bench.media.used_units() == 5);
  CHECK_FALSE(bench.media.find(0));
  CHECK(bench.media.find(1));
  CHECK_FALSE(bench.media.find(3));
  CHECK_FALSE(bench.media.find(4));
  CHECK(bench.idle());
}
TEST_CASE("hints of Dataset Management change nothing") {
  Ready bench;
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  auto entry = io(NvmOpcode::kDatasetManagement, 0, 1);
  entry.cdw11 = spec::kDsmAttributeIdr | spec::kDsmAttributeIdw;
  CHECK(bench.status(1, entry) == Status::kSuccess);
  CHECK(bench.media.used_units() == 1);
}
TEST_CASE("Deallocate with one bad range deallocates nothing") {
  Ready bench;
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  const spec::DsmRange ranges[] = {{0, 8, 0}, {0, 8, bench.blocks() - 4}};
  bench.port.store(kData, ranges);
  auto entry = io(NvmOpcode::kDatasetManagement, 0, 1);
  entry.cdw10 = 1;
  entry.cdw11 = spec::kDsmAttributeAd;
  bench.check_rejected(1, entry, Status::kLbaOutOfRange);
  CHECK(bench.media.used_units() == 1);
}
TEST_CASE("Deallocate takes 256 ranges over two pages") {
  Ready bench;
  for (std::uint64_t i = 0; i < 256; ++i) {
    bench.port.store((i < 128 ? kData + 0x800 : 0x60'0000 - 128 * 16) + i * 16,
                     spec::DsmRange{0, 8, i * 8});
  }
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 255 * 8, 8, 0x70'0000)) == Status::kSuccess);
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 256 * 8, 8, 0x70'0000)) == Status::kSuccess);
  auto entry = io(NvmOpcode::kDatasetManagement, 0, 1, kData + 0x800, 0x60'0000);
  entry.cdw10 = 255;
  entry.cdw11 = spec::kDsmAttributeAd;
  CHECK(bench.status(1, entry) == Status::kSuccess);
  CHECK(bench.media.used_units() == 1);
  CHECK(bench.media.find(256));
}
TEST_CASE("ranges that cannot be read are a data transfer error") {
  Ready bench;
  bench.port.poison_page(0x60'0000);
  auto entry = io(NvmOpcode::kDatasetManagement, 0, 1, 0x60'0000);
  entry.cdw11 = spec::kDsmAttributeAd;
  CHECK(bench.status(1, entry) == Status::kDataTransferError);
  CHECK(bench.idle());
}
