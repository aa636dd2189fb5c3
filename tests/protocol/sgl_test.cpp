// Scatter gather lists: every descriptor, and every way to get one wrong.
#include "tests/protocol/support/data_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;
using spec::sgl_descriptor;
using spec::SglType;
using spec::Status;

namespace {

device::ControllerConfig with_sgls(std::uint32_t sgls = 1) {
  device::ControllerConfig config = small_config();
  config.sgls = sgls;
  return config;
}

struct SglBench : DataBench {
  explicit SglBench(device::ControllerConfig wanted = with_sgls()) : DataBench(wanted) {}

  // Puts descriptors at `address`; gives the (last) segment descriptor that names them.
  spec::SglDescriptor segment(std::uint64_t address, const std::vector<spec::SglDescriptor>& list,
                              SglType type = SglType::kLastSegment) {
    for (std::size_t i = 0; i < list.size(); ++i) port.store(address + i * 16, list[i]);
    return sgl_descriptor(type, address, static_cast<std::uint32_t>(list.size() * 16));
  }
  spec::SglDescriptor data(std::uint64_t address, std::uint32_t bytes) {
    return sgl_descriptor(SglType::kDataBlock, address, bytes);
  }
  void rejects(const spec::SglDescriptor& sgl, Status expected,
               NvmOpcode opcode = NvmOpcode::kWrite, std::uint32_t blocks = 8) {
    check_rejected(1, with_sgl(io(opcode, 0, blocks), sgl), expected);
  }
};

constexpr std::uint64_t kBack = 0x50'0000;

}  // namespace

TEST_CASE("one data block of an SGL holds a whole transfer, at any byte address") {
  SglBench bench;
  bench.fill(kData + 3, 8192, 5);
  CHECK(bench.status(1, with_sgl(io(NvmOpcode::kWrite, 4, 16), bench.data(kData + 3, 8192))) ==
        Status::kSuccess);
  CHECK(bench.status(1, with_sgl(io(NvmOpcode::kRead, 4, 16), bench.data(kBack + 1, 8192))) ==
        Status::kSuccess);
  CHECK(bench.same(kData + 3, kBack + 1, 8192));
  CHECK(bench.port.load<std::uint8_t>(kBack) == 0xA5);
  CHECK(bench.port.load<std::uint8_t>(kBack + 8193) == 0xA5);
  CHECK(bench.idle());
}

TEST_CASE("an SGL chain over pages gathers pieces of any length") {
  SglBench bench;
  bench.fill(kData, 65536, 9);
  std::vector<std::uint8_t> expected;
  std::vector<spec::SglDescriptor> first;
  std::vector<spec::SglDescriptor> second;
  std::uint32_t left = 16384;
  for (std::uint32_t i = 0; left != 0; ++i) {
    const std::uint32_t bytes = std::min<std::uint32_t>(left, 1 + i * 37 % 500);
    const std::uint64_t address = kData + i * 600;
    (i < 30 ? first : second).push_back(bench.data(address, bytes));
    if (i == 10) first.push_back(bench.data(0x123, 0));  // nothing
    for (std::uint32_t b = 0; b < bytes; ++b) {
      expected.push_back(bench.port.load<std::uint8_t>(address + b));
    }
    left -= bytes;
  }
  // The second segment starts so that a descriptor lies across two pages.
  const auto tail = bench.segment(kLists + 0x2FE8, second);
  first.push_back(tail);
  const auto head = bench.segment(kLists + 8, first, SglType::kSegment);
  CHECK(bench.status(1, with_sgl(io(NvmOpcode::kWrite, 0, 32), head)) == Status::kSuccess);
  CHECK(bench.status(1, with_sgl(io(NvmOpcode::kRead, 0, 32), bench.data(kBack, 16384))) ==
        Status::kSuccess);
  CHECK(std::memcmp(bench.port.at(kBack), expected.data(), expected.size()) == 0);
  CHECK(bench.idle());
}

TEST_CASE("a bit bucket swallows what a read gives and is empty for a write") {
  SglBench bench;
  bench.fill(kData, 4096, 3);
  const auto bucket = sgl_descriptor(SglType::kBitBucket, 0xDEAD'BEEF'0000, 1000);
  CHECK(bench.status(1, with_sgl(io(NvmOpcode::kWrite, 0, 8),
                                 bench.segment(kLists, {bench.data(kData, 100), bucket,
                                                        bench.data(kData + 100, 3996)}))) ==
        Status::kSuccess);
  CHECK(bench.status(1, with_sgl(io(NvmOpcode::kRead, 0, 8),
                                 bench.segment(kLists, {bench.data(kBack, 96), bucket,
                                                        bench.data(kBack + 8192, 3000)}))) ==
        Status::kSuccess);
  CHECK(bench.same(kData, kBack, 96));
  CHECK(bench.same(kData + 1096, kBack + 8192, 3000));
  CHECK(bench.all(kBack + 96, 1000, 0xA5));
  CHECK(bench.idle());
}

TEST_CASE("a read whose data all goes into a bit bucket completes") {
  SglBench bench;
  const auto bucket = sgl_descriptor(SglType::kBitBucket, 0, 4096);
  CHECK(bench.status(1, with_sgl(io(NvmOpcode::kRead, 0, 8), bench.segment(kLists, {bucket}))) ==
        Status::kSuccess);
  CHECK(bench.idle());
}

TEST_CASE("Dataset Management takes its ranges from an SGL") {
  SglBench bench;
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  bench.port.store(kData + 1, spec::DsmRange{0, 8, 0});
  auto entry = io(NvmOpcode::kDatasetManagement, 0, 1);
  entry.cdw10 = 0;
  entry.cdw11 = spec::kDsmAttributeAd;
  CHECK(bench.status(1, with_sgl(entry, bench.data(kData + 1, 16))) == Status::kSuccess);
  CHECK(bench.media.used_units() == 0);
}

TEST_CASE("Identify tells of SGLs, and of none without them") {
  SglBench bench;
  CHECK(bench.status(0, identify(1, 0)) == Status::kSuccess);
  CHECK(bench.port.load<spec::IdentifyController>(kData).sgls ==
        (spec::kSglsSupported | spec::kSglsBitBucket | spec::kSglsMetadataSegment));
}

TEST_CASE("PSDT 11b is refused") {
  SglBench bench;
  bench.check_rejected(1, with_sgl(io(NvmOpcode::kRead, 0, 8), bench.data(kData, 4096), 3),
                       Status::kInvalidField);
}
TEST_CASE("admin commands refuse SGLs where I/O commands may have them") {
  SglBench bench;
  bench.check_rejected(0, with_sgl(identify(1, 0), bench.data(kData, 4096)), Status::kInvalidField);
}
TEST_CASE("a data SGL that is too short is refused") {
  SglBench bench;
  bench.rejects(bench.data(kData, 4095), Status::kDataSglLengthInvalid);
  bench.rejects(bench.segment(kLists, {bench.data(kData, 2048), bench.data(kData, 2044)}),
                Status::kDataSglLengthInvalid);
}
TEST_CASE("a data SGL that is too long is refused") {
  SglBench bench;
  bench.rejects(bench.data(kData, 4097), Status::kDataSglLengthInvalid);
}
TEST_CASE("a keyed data block is refused") {
  SglBench bench;
  bench.rejects(sgl_descriptor(SglType::kKeyedDataBlock, kData, 4096), Status::kSglTypeInvalid);
}
TEST_CASE("a transport data block and a vendor's descriptor are refused") {
  SglBench bench;
  bench.rejects(sgl_descriptor(SglType::kTransportDataBlock, kData, 4096), Status::kSglTypeInvalid);
  bench.rejects(sgl_descriptor(static_cast<SglType>(15), kData, 4096), Status::kSglTypeInvalid);
}
TEST_CASE("a descriptor with an offset or a transport's subtype is refused") {
  SglBench bench;
  bench.rejects(sgl_descriptor(SglType::kDataBlock, kData, 4096, 1), Status::kSglTypeInvalid);
  bench.rejects(sgl_descriptor(SglType::kDataBlock, kData, 4096, 0xA), Status::kSglTypeInvalid);
}
TEST_CASE("a bit bucket cannot be the command's own descriptor") {
  SglBench bench;
  bench.rejects(sgl_descriptor(SglType::kBitBucket, 0, 4096), Status::kInvalidSglSegment,
                NvmOpcode::kRead);
}
TEST_CASE("a segment of no length, or not of whole descriptors, is refused") {
  SglBench bench;
  bench.rejects(sgl_descriptor(SglType::kLastSegment, kLists, 0), Status::kInvalidSglSegment);
  bench.rejects(sgl_descriptor(SglType::kSegment, kLists, 24), Status::kInvalidSglSegment);
}
TEST_CASE("a segment that is not aligned to a qword is refused") {
  SglBench bench;
  bench.rejects(sgl_descriptor(SglType::kLastSegment, kLists + 4, 16), Status::kInvalidSglSegment);
}
TEST_CASE("a segment descriptor before the end of its segment is refused") {
  SglBench bench;
  const auto inner = bench.segment(kLists + 0x1000, {bench.data(kData, 4096)});
  bench.rejects(bench.segment(kLists, {inner, bench.data(kData, 4096)}, SglType::kSegment),
                Status::kInvalidSglCount);
}
TEST_CASE("a last segment that leads on is refused") {
  SglBench bench;
  const auto inner = bench.segment(kLists + 0x1000, {bench.data(kData, 4096)});
  bench.rejects(bench.segment(kLists, {inner}), Status::kInvalidSglSegment);
}
TEST_CASE("a segment that is not the last and leads nowhere is refused") {
  SglBench bench;
  bench.rejects(bench.segment(kLists, {bench.data(kData, 4096)}, SglType::kSegment),
                Status::kInvalidSglSegment);
}
TEST_CASE("a chain of segments in a circle ends at the limit of descriptors") {
  device::ControllerConfig config = with_sgls();
  config.sgl_max_descriptors = 50;
  SglBench bench(config);
  const auto self = sgl_descriptor(SglType::kSegment, kLists, 16);
  bench.segment(kLists, {self});
  bench.rejects(self, Status::kInvalidSglCount);
}
TEST_CASE("a segment that cannot be read is a data transfer error") {
  SglBench bench;
  const auto segment = bench.segment(kLists, {bench.data(kData, 4096)});
  bench.port.poison_page(kLists);
  bench.rejects(segment, Status::kDataTransferError);
}
TEST_CASE("with dword granularity odd addresses and lengths are refused") {
  SglBench bench(with_sgls(2));
  bench.rejects(bench.data(kData + 2, 4096), Status::kSglGranularityInvalid);
  bench.rejects(bench.segment(kLists, {bench.data(kData, 2), bench.data(kData, 4094)}),
                Status::kSglGranularityInvalid);
  CHECK(bench.status(1, with_sgl(io(NvmOpcode::kWrite, 0, 8), bench.data(kData + 4, 4096))) ==
        Status::kSuccess);
}
TEST_CASE("an SGL does not help over MDTS") {
  SglBench bench;
  bench.rejects(bench.data(kData, 257 * 512), Status::kInvalidField, NvmOpcode::kRead, 257);
}
