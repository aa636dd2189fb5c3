// Metadata, separate and extended, and end-to-end protection of the three types. The guard is
// checked against a bitwise CRC of the test's own.
#include "tests/protocol/support/data_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;
using spec::Status;

namespace {

constexpr std::uint64_t kBack = 0x50'0000;
constexpr std::uint64_t kMeta = 0x60'0000;
constexpr std::uint64_t kMetaBack = 0x61'0000;

struct Shape {
  std::uint32_t metadata = 8;
  bool extended = false;
  unsigned type = 0;
  bool first = false;
  std::uint32_t block = 512;
};

device::ControllerConfig formatted(const Shape& shape) {
  device::ControllerConfig config = small_config();
  config.sgls = 1;
  config.oncs = 0x1FF & ~spec::kOncsReservations;
  config.logical_block_bytes = shape.block;
  config.namespaces[0].metadata_bytes = shape.metadata;
  config.namespaces[0].extended_metadata = shape.extended;
  config.namespaces[0].protection_type = shape.type;
  config.namespaces[0].protection_first = shape.first;
  return config;
}

std::uint16_t crc_step(std::uint16_t crc, std::uint8_t byte) {
  crc = static_cast<std::uint16_t>(crc ^ byte << 8);
  for (int bit = 0; bit < 8; ++bit) {
    crc = static_cast<std::uint16_t>(crc & 0x8000 ? crc << 1 ^ 0x8BB7 : crc << 1);
  }
  return crc;
}

struct Formatted : DataBench {
  explicit Formatted(const Shape& wanted) : DataBench(formatted(wanted)), shape(wanted) {}

  std::uint64_t stride() const { return shape.block + (shape.extended ? shape.metadata : 0); }
  std::uint64_t block_at(std::uint64_t base, std::uint64_t i) const { return base + i * stride(); }
  std::uint64_t meta_at(std::uint64_t base, std::uint64_t meta, std::uint64_t i) const {
    return shape.extended ? block_at(base, i) + shape.block : meta + i * shape.metadata;
  }
  std::uint64_t pi_at(std::uint64_t base, std::uint64_t meta, std::uint64_t i) const {
    return meta_at(base, meta, i) + (shape.first ? 0 : shape.metadata - 8);
  }
  std::uint16_t guard(std::uint64_t base, std::uint64_t meta, std::uint64_t i) {
    std::uint16_t crc = 0;
    for (std::uint64_t b = 0; b < shape.block; ++b) {
      crc = crc_step(crc, port.load<std::uint8_t>(block_at(base, i) + b));
    }
    for (std::uint64_t b = 0; !shape.first && b + 8 < shape.metadata; ++b) {
      crc = crc_step(crc, port.load<std::uint8_t>(meta_at(base, meta, i) + b));
    }
    return crc;
  }
  void tag(std::uint64_t i, std::uint16_t application, std::uint32_t reference) {
    const std::uint64_t place = pi_at(kData, kMeta, i);
    store_big(place, 2, guard(kData, kMeta, i));
    store_big(place + 2, 2, application);
    store_big(place + 4, 4, reference);
  }
  // PRPs for a transfer of whole blocks from `base`, a page boundary.
  spec::SubmissionEntry command(NvmOpcode opcode, std::uint64_t lba, std::uint32_t count,
                                std::uint64_t base, std::uint64_t meta, unsigned prinfo = 0) {
    auto entry = io(opcode, lba, count, base, base + 4096);
    const std::uint64_t bytes = count * stride();
    if (bytes > 8192) {
      const std::uint64_t list = kLists + (base >> 12) % 512 * 4096;
      for (std::uint64_t page = 1; page * 4096 < bytes; ++page) {
        port.store(list + (page - 1) * 8, base + page * 4096);
      }
      entry.prp2 = list;
    }
    entry.mptr = meta;
    entry.cdw12 |= prinfo << 26;
    entry.cdw14 = static_cast<std::uint32_t>(lba);
    entry.cdw15 = 0xFFFF'1234;
    return entry;
  }
  Shape shape;
};

void check_metadata(const Shape& shape) {
  Formatted bench(shape);
  for (const std::uint32_t count : {1u, 3u, 8u, 13u}) {
    const std::uint64_t lba = count * 5;
    const std::uint64_t bytes = count * bench.stride();
    bench.fill(kData, bytes, static_cast<std::uint8_t>(count));
    bench.fill(kMeta, count * shape.metadata, static_cast<std::uint8_t>(count + 100));
    CHECK(bench.status(1, bench.command(NvmOpcode::kWrite, lba, count, kData, kMeta)) ==
          Status::kSuccess);
    bench.set(kBack, bytes + 64, 0xEE);
    bench.set(kMetaBack, 4096, 0xEE);
    CHECK(bench.status(1, bench.command(NvmOpcode::kRead, lba, count, kBack, kMetaBack)) ==
          Status::kSuccess);
    CHECK(bench.same(kData, kBack, bytes));
    CHECK(bench.all(kBack + bytes, 64, 0xEE));
    const std::uint64_t separate = shape.extended ? 0 : count * shape.metadata;
    CHECK(bench.same(kMeta, kMetaBack, separate));
    CHECK(bench.all(kMetaBack + separate, 64, 0xEE));
  }
  CHECK(bench.idle());
}

// Every tag, wrong one after another; `type` decides which of them are looked at.
void check_protection(const Shape& shape) {
  Formatted bench(shape);
  constexpr std::uint64_t kLba = 10;
  const auto write = [&](unsigned prinfo) {
    return bench.command(NvmOpcode::kWrite, kLba, 5, kData, kMeta, prinfo);
  };
  const auto read = [&](unsigned prinfo) {
    return bench.command(NvmOpcode::kRead, kLba, 5, kBack, kMetaBack, prinfo);
  };
  const unsigned all = shape.type == 3 ? 6u : 7u;
  bench.fill(kData, 5 * bench.stride(), 1);
  bench.fill(kMeta, 5 * shape.metadata, 50);
  const auto tag_all = [&] {
    for (std::uint32_t i = 0; i < 5; ++i) {
      bench.tag(i, 0x1234, static_cast<std::uint32_t>(kLba) + (shape.type == 3 ? 0 : i));
    }
  };
  tag_all();
  CHECK(bench.status(1, write(all)) == Status::kSuccess);
  CHECK(bench.status(1, read(all)) == Status::kSuccess);
  CHECK(bench.same(kData, kBack, 5 * bench.stride()));
  if (!shape.extended) CHECK(bench.same(kMeta, kMetaBack, 5 * shape.metadata));

  const std::uint64_t third = bench.pi_at(kData, kMeta, 3);
  bench.store_big(third, 2, bench.load_big(third, 2) ^ 1);
  bench.check_rejected(1, write(all), Status::kGuardCheckError);
  CHECK(bench.status(1, write(all & 3u)) == Status::kSuccess);  // stores the wrong guard
  CHECK(bench.status(1, read(all)) == Status::kGuardCheckError);
  CHECK(bench.status(1, read(all & 3u)) == Status::kSuccess);
  auto verify = read(all);
  verify.opc = static_cast<std::uint8_t>(NvmOpcode::kVerify);
  bench.check_rejected(1, verify, Status::kGuardCheckError);
  tag_all();
  bench.store_big(third + 2, 2, 0x1235);
  bench.check_rejected(1, write(all), Status::kApplicationTagCheckError);
  auto masked = write(all);
  masked.cdw15 = 0xFFFE'1234;
  CHECK(bench.status(1, masked) == Status::kSuccess);
  tag_all();
  if (shape.type != 3) {
    bench.store_big(third + 4, 4, 99);
    bench.check_rejected(1, write(all), Status::kReferenceTagCheckError);
  }
  // The escape values switch the checks off.
  bench.store_big(third, 2, 0xBAD0);
  bench.store_big(third + 2, 2, 0xFFFF);
  if (shape.type == 3) {
    bench.check_rejected(1, write(all), Status::kGuardCheckError);
    bench.store_big(third + 4, 4, 0xFFFF'FFFF);
  }
  CHECK(bench.status(1, write(all)) == Status::kSuccess);
  CHECK(bench.status(1, read(all)) == Status::kSuccess);
  CHECK(bench.idle());
}

// With PRACT the controller makes the information on write and, if there is nothing else in the
// metadata, keeps it to itself on read.
void check_action(const Shape& shape) {
  Formatted bench(shape);
  const bool whole = shape.metadata == 8;
  const std::uint64_t stride = whole ? shape.block : bench.stride();
  bench.fill(kData, 4 * stride, 7);
  bench.fill(kMeta, 4 * shape.metadata, 70);
  auto write = bench.command(NvmOpcode::kWrite, 20, 4, kData, kMeta, 8);
  CHECK(bench.status(1, write) == Status::kSuccess);
  // Read as it is stored: with tags.
  CHECK(bench.status(1, bench.command(NvmOpcode::kRead, 20, 4, kBack, kMetaBack,
                                      shape.type == 3 ? 6u : 7u)) == Status::kSuccess);
  for (std::uint64_t i = 0; i < 4; ++i) {
    CHECK(bench.same(kData + i * stride, bench.block_at(kBack, i), shape.block));
    const std::uint64_t pi = bench.pi_at(kBack, kMetaBack, i);
    CHECK(bench.load_big(pi, 2) == bench.guard(kBack, kMetaBack, i));
    CHECK(bench.load_big(pi + 2, 2) == 0x1234);
    CHECK(bench.load_big(pi + 4, 4) == 20 + (shape.type == 3 ? 0 : i));
  }
  bench.set(kBack, 8192, 0xEE);
  bench.set(kMetaBack, 4096, 0xEE);
  CHECK(bench.status(1, bench.command(NvmOpcode::kRead, 20, 4, kBack, kMetaBack,
                                      8u | (shape.type == 3 ? 6u : 7u))) == Status::kSuccess);
  if (whole) {
    CHECK(bench.same(kData, kBack, 4 * shape.block));
    CHECK(bench.all(kBack + 4 * shape.block, 64, 0xEE));
    CHECK(bench.all(kMetaBack, 64, 0xEE));
  } else {
    CHECK(bench.load_big(bench.pi_at(kBack, kMetaBack, 3) + 2, 2) == 0x1234);
  }
  CHECK(bench.idle());
}

}  // namespace

TEST_CASE("8 bytes of separate metadata are kept") {
  check_metadata({8, false});
}
TEST_CASE("16 bytes of separate metadata are kept") {
  check_metadata({16, false});
}
TEST_CASE("64 bytes of separate metadata are kept") {
  check_metadata({64, false});
}
TEST_CASE("8 bytes of extended metadata are kept") {
  check_metadata({8, true});
}
TEST_CASE("16 bytes of extended metadata are kept") {
  check_metadata({16, true});
}
TEST_CASE("64 bytes of extended metadata are kept") {
  check_metadata({64, true});
}
TEST_CASE("64 bytes of extended metadata of 4 KiB blocks are kept") {
  check_metadata({64, true, 0, false, 4096});
}
TEST_CASE("8 bytes of separate metadata of 4 KiB blocks are kept") {
  check_metadata({8, false, 0, false, 4096});
}

TEST_CASE("type 1 checks all tags, separate") {
  check_protection({8, false, 1});
}
TEST_CASE("type 1 checks all tags, extended") {
  check_protection({8, true, 1});
}
TEST_CASE("type 1 in the last of 16 bytes guards the metadata before it") {
  check_protection({16, true, 1, false});
}
TEST_CASE("type 1 in the first of 64 bytes guards the data only") {
  check_protection({64, false, 1, true});
}
TEST_CASE("type 1 of 4 KiB blocks") {
  check_protection({8, true, 1, false, 4096});
}
TEST_CASE("type 2 checks all tags") {
  check_protection({8, true, 2});
}
TEST_CASE("type 3 leaves the reference tag to the host") {
  check_protection({16, false, 3});
}

TEST_CASE("PRACT makes and strips type 1 information, separate") {
  check_action({8, false, 1});
}
TEST_CASE("PRACT makes and strips type 1 information, extended") {
  check_action({8, true, 1});
}
TEST_CASE("PRACT makes type 2 information within other metadata") {
  check_action({16, true, 2});
}
TEST_CASE("PRACT makes type 3 information in front of other metadata") {
  check_action({64, false, 3, true});
}

TEST_CASE("with type 1 the initial reference tag must be the LBA") {
  Formatted bench({8, false, 1});
  auto entry = bench.command(NvmOpcode::kWrite, 10, 1, kData, kMeta, 1);
  entry.cdw14 = 11;
  bench.check_rejected(1, entry, Status::kInvalidProtectionInformation);
  entry.opc = static_cast<std::uint8_t>(NvmOpcode::kRead);
  bench.check_rejected(1, entry, Status::kInvalidProtectionInformation);
  entry.opc = static_cast<std::uint8_t>(NvmOpcode::kVerify);
  bench.check_rejected(1, entry, Status::kInvalidProtectionInformation);
}
TEST_CASE("with type 3 the reference tag cannot be checked") {
  Formatted bench({8, false, 3});
  bench.check_rejected(1, bench.command(NvmOpcode::kRead, 10, 1, kBack, kMetaBack, 1),
                       Status::kInvalidProtectionInformation);
}
TEST_CASE("blocks never written have information that switches the checks off") {
  Formatted bench({8, false, 1});
  bench.fill(kData, 512, 1);
  CHECK(bench.status(1, bench.command(NvmOpcode::kWrite, 1, 1, kData, kMeta, 8)) ==
        Status::kSuccess);
  CHECK(bench.status(1, bench.command(NvmOpcode::kRead, 0, 3, kBack, kMetaBack, 7)) ==
        Status::kSuccess);
  CHECK(bench.all(kMetaBack, 8, 0xFF));
  CHECK(bench.all(kMetaBack + 16, 8, 0xFF));
  CHECK(bench.all(kBack, 512, 0));
}
TEST_CASE("Write Zeroes with PRACT makes protection information") {
  Formatted bench({8, false, 1});
  CHECK(bench.status(1, bench.command(NvmOpcode::kWriteZeroes, 30, 3000, kData, kMeta, 8)) ==
        Status::kSuccess);
  CHECK(bench.status(1, bench.command(NvmOpcode::kRead, 2000, 4, kBack, kMetaBack, 7)) ==
        Status::kSuccess);
  CHECK(bench.all(kBack, 4 * 512, 0));
  CHECK(bench.load_big(kMetaBack + 12, 4) == 2001);
  CHECK(bench.load_big(kMetaBack + 10, 2) == 0x1234);
}
TEST_CASE("Compare compares metadata and checks protection information") {
  Formatted bench({16, false, 1});
  bench.fill(kData, 1024, 1);
  bench.fill(kMeta, 32, 2);
  bench.tag(0, 0x1234, 7);
  bench.tag(1, 0x1234, 8);
  CHECK(bench.status(1, bench.command(NvmOpcode::kWrite, 7, 2, kData, kMeta, 7)) ==
        Status::kSuccess);
  const auto compare = bench.command(NvmOpcode::kCompare, 7, 2, kData, kMeta, 7);
  CHECK(bench.status(1, compare) == Status::kSuccess);
  bench.port.store(kMeta + 17, std::uint8_t{0});
  bench.check_rejected(1, compare, Status::kCompareFailure);
}
TEST_CASE("Copy checks the source's tags and makes the destination's") {
  Formatted bench({8, false, 1});
  bench.fill(kData, 2048, 1);
  CHECK(bench.status(1, bench.command(NvmOpcode::kWrite, 40, 4, kData, kMeta, 8)) ==
        Status::kSuccess);
  spec::CopyRange range{};
  range.slba = 40;
  range.nlb = 3;
  range.eilbrt = 40;
  range.elbat = 0x1234;
  range.elbatm = 0xFFFF;
  bench.port.store(kLists, range);
  auto entry = io(NvmOpcode::kCopy, 80, 1, kLists);
  entry.cdw12 = 7u << 12 | 8u << 26;  // check all, make new
  entry.cdw14 = 80;
  entry.cdw15 = 0xFFFF'4321;
  CHECK(bench.status(1, entry) == Status::kSuccess);
  auto back = bench.command(NvmOpcode::kRead, 80, 4, kBack, kMetaBack, 7);
  back.cdw15 = 0xFFFF'4321;
  CHECK(bench.status(1, back) == Status::kSuccess);
  CHECK(bench.same(kData, kBack, 2048));
  CHECK(bench.load_big(kMetaBack + 8 + 4, 4) == 81);
  range.elbat = 0x1233;
  bench.port.store(kLists, range);
  bench.check_rejected(1, entry, Status::kApplicationTagCheckError);
  range.eilbrt = 41;
  bench.port.store(kLists, range);
  bench.check_rejected(1, entry, Status::kInvalidProtectionInformation);
}
TEST_CASE("metadata goes where an SGL at MPTR says") {
  Formatted bench({16, false});
  bench.fill(kData, 2048, 1);
  bench.fill(kMeta, 64, 2);
  using spec::sgl_descriptor;
  using spec::SglType;
  bench.port.store(kLists + 8, sgl_descriptor(SglType::kLastSegment, kLists + 0x100, 32));
  bench.port.store(kLists + 0x100, sgl_descriptor(SglType::kDataBlock, kMeta + 1, 24));
  bench.port.store(kLists + 0x110, sgl_descriptor(SglType::kDataBlock, kMeta + 101, 40));
  auto write = with_sgl(bench.command(NvmOpcode::kWrite, 3, 4, kData, kLists + 8),
                        sgl_descriptor(SglType::kDataBlock, kData, 2048), 2);
  CHECK(bench.status(1, write) == Status::kSuccess);
  CHECK(bench.status(1, bench.command(NvmOpcode::kRead, 3, 4, kBack, kMetaBack)) ==
        Status::kSuccess);
  CHECK(bench.same(kMetaBack, kMeta + 1, 24));
  CHECK(bench.same(kMetaBack + 24, kMeta + 101, 40));
  bench.port.store(kLists + 0x110, sgl_descriptor(SglType::kDataBlock, kMeta + 101, 39));
  bench.check_rejected(1, write, Status::kMetadataSglLengthInvalid);
  write.mptr = kLists + 4;
  bench.check_rejected(1, write, Status::kInvalidSglSegment);
}
TEST_CASE("a metadata pointer must be aligned to a dword") {
  Formatted bench({8, false});
  bench.check_rejected(1, bench.command(NvmOpcode::kWrite, 0, 1, kData, kMeta + 2),
                       Status::kInvalidField);
}
TEST_CASE("metadata that cannot be read is a data transfer error and changes nothing") {
  Formatted bench({8, false});
  bench.port.poison_page(kMeta);
  bench.check_rejected(1, bench.command(NvmOpcode::kWrite, 0, 1, kData, kMeta),
                       Status::kDataTransferError);
}
TEST_CASE("extended metadata counts for MDTS, separate metadata does not") {
  Formatted bench({8, true});
  bench.check_rejected(1, bench.command(NvmOpcode::kRead, 0, 256, kBack, 0), Status::kInvalidField);
  CHECK(bench.status(1, bench.command(NvmOpcode::kRead, 0, 252, kBack, 0)) == Status::kSuccess);
}
TEST_CASE("separate metadata does not count for MDTS") {
  Formatted bench({8, false});
  CHECK(bench.status(1, bench.command(NvmOpcode::kRead, 0, 256, kBack, kMetaBack)) ==
        Status::kSuccess);
}
TEST_CASE("Identify tells of metadata and protection") {
  Formatted bench({16, true, 2, true});
  CHECK(bench.status(0, identify(0, 1)) == Status::kSuccess);
  const auto space = bench.port.load<spec::IdentifyNamespace>(kData);
  CHECK(space.lbaf[0].ms == 16);
  CHECK(space.flbas == 0x10);
  CHECK(space.dps == (2 | 8));
  CHECK(space.mc == 3);
}
TEST_CASE("a drive whose media keeps no metadata cannot have any") {
  device::ControllerConfig config = formatted({8, false});
  base::Scheduler scheduler("scheduler");
  FakePort port(scheduler, 5);
  FakeMedia media(scheduler, kMediaUnits, false);
  base::StageJoin stages;
  base::Log log;
  CHECK_THROWS_AS(device::Controller(config, scheduler, port, media, stages, log, true),
                  base::UserError);
}
