// Controller memory buffer and persistent memory region.
#include "tests/protocol/support/data_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::NvmOpcode;
using spec::Status;

namespace {

constexpr std::uint64_t kCba = 0x9'0000'0000;  // no host memory there
constexpr std::uint64_t kPmrBase = 0xA'0000'0000;
constexpr std::uint64_t kCmbBytes = 64 * 4096;

device::ControllerConfig with_cmb() {
  device::ControllerConfig config = small_config();
  config.cmb.pages = 64;
  config.cmb.completion_queues = true;
  return config;
}

struct CmbBench : DataBench {
  explicit CmbBench(device::ControllerConfig wanted = with_cmb(), bool on = true)
      : DataBench(wanted) {
    if (on) write64(spec::kRegCmbmsc, kCba | 3);
  }
  void write64(std::uint32_t offset, std::uint64_t value) {
    controller->bar_write(0, offset, std::as_bytes(std::span(&value, 1)));
  }
  template <class T>
  void put_in(std::uint64_t offset, const T& value, unsigned bar = 2) {
    controller->bar_write(bar, offset, std::as_bytes(std::span(&value, 1)));
  }
  template <class T>
  T get(std::uint64_t offset, unsigned bar = 2) {
    T value{};
    controller->bar_read(bar, offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  std::uint64_t traffic() const { return port.reads() + port.writes(); }
};

}  // namespace

TEST_CASE("CMBLOC and CMBSZ are 0 until CMBMSC.CRE is set") {
  CmbBench bench(with_cmb(), false);
  CHECK(spec::Cap{bench.read64(spec::kRegCap)}.cmbs());
  CHECK(bench.read32(spec::kRegCmbloc) == 0);
  CHECK(bench.read32(spec::kRegCmbsz) == 0);
  bench.write32(spec::kRegCmbmsc, 1);
  CHECK((bench.read32(spec::kRegCmbloc) & 7) == 2);
  CHECK(bench.read32(spec::kRegCmbsz) == (64u << 12 | 0x1F));
  CHECK(bench.read32(spec::kRegCmbsts) == 0);
}
TEST_CASE("without a controller memory buffer its registers are 0 and keep nothing") {
  CmbBench bench(small_config(), false);
  CHECK_FALSE(spec::Cap{bench.read64(spec::kRegCap)}.cmbs());
  bench.write32(spec::kRegCmbmsc, 3);
  CHECK(bench.read64(spec::kRegCmbmsc) == 0);
  CHECK(bench.read32(spec::kRegCmbsz) == 0);
}
TEST_CASE("a CMB tells of no elasticity buffer and of its sustained write throughput") {
  CmbBench bench;
  CHECK(bench.read32(spec::kRegCmbebs) == 0);
  CHECK(bench.read32(spec::kRegCmbswtp) == (6'400u << 8 | 2));  // in MB/s
}
TEST_CASE("the host reads what it wrote to the buffer, in any width") {
  CmbBench bench;
  bench.put_in(kCmbBytes - 8, std::uint64_t{0x1122'3344'5566'7788});
  CHECK(bench.get<std::uint32_t>(kCmbBytes - 4) == 0x1122'3344);
  CHECK(bench.get<std::uint8_t>(kCmbBytes - 8) == 0x88);
  bench.put_in(kCmbBytes - 4, std::uint64_t{1});  // over the end: refused as a whole
  CHECK(bench.get<std::uint64_t>(kCmbBytes - 8) == 0x1122'3344'5566'7788);
}
TEST_CASE("data in the buffer costs no traffic on the link") {
  CmbBench bench;
  for (std::uint64_t i = 0; i < 8192; i += 8) bench.put_in(0x4000 + i, i * 3);
  const auto before = bench.traffic();
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 16, kCba + 0x4000, kCba + 0x5000)) ==
        Status::kSuccess);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 16, kCba + 0x8000, kCba + 0xA000)) ==
        Status::kSuccess);
  CHECK(bench.traffic() == before + 4);  // two submission entries, two completion entries
  for (std::uint64_t i = 0; i < 4096; i += 8) {
    CHECK(bench.get<std::uint64_t>(0x8000 + i) == i * 3);
    CHECK(bench.get<std::uint64_t>(0xA000 + i) == (4096 + i) * 3);
  }
  CHECK(bench.idle());
}
TEST_CASE("a PRP list and submission and completion queues can be in the buffer") {
  CmbBench bench;
  auto make = admin(spec::AdminOpcode::kCreateIoCq, 2 | 15u << 16, 1);
  make.prp1 = kCba + 0x10000;
  REQUIRE(bench.status(0, make) == Status::kSuccess);
  make = admin(spec::AdminOpcode::kCreateIoSq, 2 | 15u << 16, 1 | 2u << 16);
  make.prp1 = kCba;
  REQUIRE(bench.status(0, make) == Status::kSuccess);
  bench.fill(kData, 16384, 3);
  for (std::uint64_t i = 0; i < 3; ++i) bench.put_in(0x2000 + i * 8, kData + (i + 1) * 4096);
  auto entry = io(NvmOpcode::kWrite, 8, 32, kData, kCba + 0x2000);
  entry.cid = 77;
  bench.put_in(0, entry);
  const auto before = bench.traffic();
  bench.write32(spec::sq_tail_doorbell(2, 0), 1);
  bench.run(1ms);
  const auto completion = bench.get<spec::CompletionEntry>(0x10000);
  CHECK(completion.cid == 77);
  CHECK(completion.sqhd == 1);
  CHECK(spec::phase_of(completion.status));
  CHECK(spec::status_of(completion.status) == Status::kSuccess);
  CHECK(bench.traffic() == before + 4);  // the data
  const std::uint64_t back = 0x50'0000;
  for (std::uint64_t i = 0; i < 3; ++i) bench.port.store(kLists + i * 8, back + (i + 1) * 4096);
  CHECK(bench.status(1, io(NvmOpcode::kRead, 8, 32, back, kLists)) == Status::kSuccess);
  CHECK(bench.same(back, kData, 16384));
}
TEST_CASE("a submission queue in a buffer that has none is refused") {
  device::ControllerConfig config = with_cmb();
  config.cmb.submission_queues = false;
  CmbBench bench(config);
  auto make = admin(spec::AdminOpcode::kCreateIoSq, 2 | 15u << 16, 1 | 1u << 16);
  make.prp1 = kCba;
  bench.check_rejected(0, make, Status::kInvalidUseOfCmb);
}
TEST_CASE("a completion queue in a buffer that has none is refused") {
  device::ControllerConfig config = with_cmb();
  config.cmb.completion_queues = false;
  CmbBench bench(config);
  auto make = admin(spec::AdminOpcode::kCreateIoCq, 2 | 15u << 16, 1);
  make.prp1 = kCba;
  bench.check_rejected(0, make, Status::kInvalidUseOfCmb);
}
TEST_CASE("a PRP list in a buffer that has none is refused") {
  device::ControllerConfig config = with_cmb();
  config.cmb.lists = false;
  CmbBench bench(config);
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 32, kData, kCba), Status::kInvalidUseOfCmb);
}
TEST_CASE("read data in a buffer that takes none is refused, write data is not") {
  device::ControllerConfig config = with_cmb();
  config.cmb.read_data = false;
  CmbBench bench(config);
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 16, kData, kCba), Status::kInvalidUseOfCmb);
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 16, kData, kCba)) == Status::kSuccess);
}
TEST_CASE("write data in a buffer that gives none is refused") {
  device::ControllerConfig config = with_cmb();
  config.cmb.write_data = false;
  CmbBench bench(config);
  bench.check_rejected(1, io(NvmOpcode::kWrite, 0, 8, kCba), Status::kInvalidUseOfCmb);
}
TEST_CASE("without CMSE the controller does not see its buffer") {
  CmbBench bench;
  bench.write64(spec::kRegCmbmsc, kCba | 1);
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 8, kCba)) == Status::kDataTransferError);
}
TEST_CASE("a base address over the end of the address space sets CMBSTS.CBAI") {
  CmbBench bench;
  bench.write64(spec::kRegCmbmsc, ~std::uint64_t{0xFFF} | 3);
  CHECK(bench.read32(spec::kRegCmbsts) == 1);
  bench.write64(spec::kRegCmbmsc, kCba | 3);
  CHECK(bench.read32(spec::kRegCmbsts) == 0);
}
TEST_CASE("CMBMSC outlives a controller reset and not a function reset") {
  CmbBench bench;
  bench.disable();
  CHECK(bench.read64(spec::kRegCmbmsc) == (kCba | 3));
  bench.controller->function_reset();
  CHECK(bench.read64(spec::kRegCmbmsc) == 0);
}
TEST_CASE("a reset while data moves to the buffer leaves nothing behind") {
  CmbBench bench;
  for (int i = 0; i < 16; ++i) bench.put(1, io(NvmOpcode::kRead, 0, 16, kCba, kCba + 4096));
  bench.ring(1);
  bench.run(12us);
  bench.disable();
  REQUIRE(bench.enable());
  CHECK(bench.alive());
  CHECK(bench.idle());
}

namespace {
device::ControllerConfig with_pmr() {
  device::ControllerConfig config = small_config();
  config.pmr.pages = 16;
  config.pmr.ready_latency_us = 20;
  return config;
}
}  // namespace

TEST_CASE("the persistent memory is there when NRDY goes, and its contents outlive resets") {
  CmbBench bench(with_pmr(), false);
  CHECK(spec::Cap{bench.read64(spec::kRegCap)}.pmrs());
  CHECK((bench.read32(spec::kRegPmrcap) >> 5 & 7) == 4);
  CHECK(bench.read32(spec::kRegPmrsts) == 0x100);
  bench.put_in(0, std::uint64_t{1}, 4);  // not ready: lost
  bench.write32(spec::kRegPmrctl, 1);
  bench.run(19us);
  CHECK(bench.read32(spec::kRegPmrsts) == 0x100);
  bench.run(2us);
  CHECK(bench.read32(spec::kRegPmrsts) == 0);
  CHECK(bench.get<std::uint64_t>(0, 4) == 0);
  bench.put_in(0x2008, std::uint64_t{0xFEED}, 4);
  bench.disable();
  CHECK(bench.read32(spec::kRegPmrctl) == 1);
  bench.controller->function_reset();
  CHECK(bench.read32(spec::kRegPmrctl) == 0);
  CHECK(bench.read32(spec::kRegPmrsts) == 0x100);
  bench.write32(spec::kRegPmrctl, 1);
  bench.run(21us);
  CHECK(bench.get<std::uint64_t>(0x2008, 4) == 0xFEED);
}
TEST_CASE("the controller reaches the persistent memory where PMRMSC says") {
  CmbBench bench(with_pmr(), false);
  bench.write32(spec::kRegPmrctl, 1);
  bench.run(21us);
  bench.write32(spec::kRegPmrmscu, static_cast<std::uint32_t>(kPmrBase >> 32));
  bench.write32(spec::kRegPmrmscl, static_cast<std::uint32_t>(kPmrBase) | 2);
  bench.fill(kData, 4096, 5);
  CHECK(bench.status(1, io(NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  const auto before = bench.traffic();
  CHECK(bench.status(1, io(NvmOpcode::kRead, 0, 8, kPmrBase + 0x3000)) == Status::kSuccess);
  CHECK(bench.traffic() == before + 2);
  for (std::uint64_t i = 0; i < 4096; i += 8) {
    CHECK(bench.get<std::uint64_t>(0x3000 + i, 4) == bench.port.load<std::uint64_t>(kData + i));
  }
  // Neither queues nor lists belong there.
  bench.check_rejected(1, io(NvmOpcode::kRead, 0, 32, kData, kPmrBase), Status::kInvalidUseOfCmb);
  bench.write32(spec::kRegPmrmscu, 0xFFFF'FFFF);
  bench.write32(spec::kRegPmrmscl, 0xFFFF'F002);
  CHECK((bench.read32(spec::kRegPmrsts) & 0x1000) != 0);
}
