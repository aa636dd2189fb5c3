// Identify and Get Log Page.
#include <cstring>
#include <string>

#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::LogPageId;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = small_config()) : Bench(wanted) {
    REQUIRE(enable());
  }
};

device::ControllerConfig with_namespaces(std::vector<std::uint64_t> blocks,
                                         std::uint32_t block_bytes = 512) {
  device::ControllerConfig config = small_config();
  config.logical_block_bytes = block_bytes;
  config.namespaces.clear();
  for (const std::uint64_t count : blocks) config.namespaces.push_back({count});
  return config;
}

}  // namespace

TEST_CASE("Identify controller tells the configuration") {
  device::ControllerConfig config = small_config();
  config.identity.model_number = "A MODEL";
  config.identity.serial_number = "S123";
  config.identity.firmware_revision = "F1";
  config.identity.vendor_id = 0x1234;
  config.identity.ieee_oui = 0x0A0B0C;
  Ready bench(config);
  REQUIRE(bench.status(0, identify(1, 0)) == Status::kSuccess);
  const auto data = bench.port.load<spec::IdentifyController>(kData);
  CHECK(data.vid == 0x1234);
  CHECK(std::string(data.mn.begin(), data.mn.end()) == "A MODEL" + std::string(33, ' '));
  CHECK(std::string(data.sn.begin(), data.sn.end()) == "S123" + std::string(16, ' '));
  CHECK(std::string(data.fr.begin(), data.fr.end()) == "F1      ");
  CHECK(data.ieee[0] == 0x0C);
  CHECK(data.ieee[2] == 0x0A);
  CHECK(data.mdts == 5);
  CHECK(data.ver == spec::kVersion14);
  CHECK(data.nn == 1);
  CHECK(data.sqes == 0x66);
  CHECK(data.cqes == 0x44);
  CHECK(data.oncs == 0x1C);
  CHECK(data.oacs == 0);
  CHECK(data.oaes == 0);
  CHECK(data.vwc == 0);
  CHECK(data.cntrltype == 1);
  CHECK(data.lpa == 4);
}

TEST_CASE("Identify controller of the recorded device can be expressed") {
  device::ControllerConfig config = small_config();
  config.oncs = 0;
  config.lpa = 0;
  Ready bench(config);
  REQUIRE(bench.status(0, identify(1, 0)) == Status::kSuccess);
  const auto data = bench.port.load<spec::IdentifyController>(kData);
  CHECK(data.oncs == 0);
  CHECK(data.lpa == 0);
  CHECK(data.apsta == 0);
  CHECK(data.hmpre == 0);
  CHECK(data.sgls == 0);
  CHECK(data.mdts == 5);
}

TEST_CASE("a volatile cache shows in Identify") {
  Ready bench;
  bench.media.cache = true;
  REQUIRE(bench.status(0, identify(1, 0)) == Status::kSuccess);
  CHECK(bench.port.load<spec::IdentifyController>(kData).vwc == 7);
}

TEST_CASE("Identify namespace tells size, format and use") {
  Ready bench(with_namespaces({0}, 4096));
  bench.create_pair(1);
  REQUIRE(bench.status(1, io(spec::NvmOpcode::kWrite, 3, 1)) == Status::kSuccess);
  REQUIRE(bench.status(0, identify(0, 1)) == Status::kSuccess);
  const auto data = bench.port.load<spec::IdentifyNamespace>(kData);
  CHECK(data.nsze == kMediaUnits);
  CHECK(data.ncap == kMediaUnits);
  CHECK(data.nuse == 1);
  CHECK(data.nlbaf == 0);
  CHECK(data.lbaf[0].lbads == 12);
  CHECK(data.dlfeat == 9);
}

TEST_CASE("namespaces divide the media in order") {
  Ready bench(with_namespaces({100, 8, 0}));
  REQUIRE(bench.status(0, identify(0, 1)) == Status::kSuccess);
  CHECK(bench.port.load<spec::IdentifyNamespace>(kData).nsze == 100);
  REQUIRE(bench.status(0, identify(0, 2)) == Status::kSuccess);
  CHECK(bench.port.load<spec::IdentifyNamespace>(kData).nsze == 8);
  REQUIRE(bench.status(0, identify(0, 3)) == Status::kSuccess);
  CHECK(bench.port.load<spec::IdentifyNamespace>(kData).nsze == (kMediaUnits - 13 - 1) * 8);
}

TEST_CASE("the list of active namespaces starts behind the given one") {
  Ready bench(with_namespaces({8, 8, 0}));
  REQUIRE(bench.status(0, identify(2, 0)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint32_t>(kData) == 1);
  CHECK(bench.port.load<std::uint32_t>(kData + 8) == 3);
  CHECK(bench.port.load<std::uint32_t>(kData + 12) == 0);
  REQUIRE(bench.status(0, identify(2, 2)) == Status::kSuccess);
  CHECK(bench.port.load<std::uint32_t>(kData) == 3);
  CHECK(bench.port.load<std::uint32_t>(kData + 4) == 0);
}

TEST_CASE("namespace descriptors agree with Identify namespace and differ between namespaces") {
  Ready bench(with_namespaces({8, 0}));
  std::array<std::array<std::uint8_t, 16>, 2> nguids{};
  for (std::uint32_t nsid = 1; nsid <= 2; ++nsid) {
    REQUIRE(bench.status(0, identify(3, nsid)) == Status::kSuccess);
    const auto first = bench.port.load<spec::NamespaceDescriptor>(kData);
    CHECK(first.nidt == spec::kNidtEui64);
    CHECK(first.nidl == 8);
    const auto second = bench.port.load<spec::NamespaceDescriptor>(kData + 12);
    CHECK(second.nidt == spec::kNidtNguid);
    CHECK(second.nidl == 16);
    nguids[nsid - 1] = bench.port.load<std::array<std::uint8_t, 16>>(kData + 16);
    CHECK(bench.port.load<std::uint32_t>(kData + 32) == 0);
    REQUIRE(bench.status(0, identify(0, nsid)) == Status::kSuccess);
    CHECK(bench.port.load<spec::IdentifyNamespace>(kData).nguid == nguids[nsid - 1]);
  }
  CHECK(nguids[0] != nguids[1]);
}

TEST_CASE("Identify fills exactly its 4096 bytes, whatever the offset") {
  Ready bench;
  auto entry = identify(1, 0, kData + 0xA00);
  entry.prp2 = kData + 0x8000;
  REQUIRE(bench.status(0, entry) == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x9FF) == 0xA5);
  CHECK(bench.port.load<std::uint16_t>(kData + 0xA00) == 0x1B36);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x8000 + 0x9FF) == 0);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x8000 + 0xA00) == 0xA5);
  CHECK(bench.port.load<std::uint8_t>(kData + 0x1000) == 0xA5);
}

TEST_CASE("Identify refuses CNS values that are not there") {
  Ready bench;
  for (const std::uint32_t cns :
       {0x04u, 0x05u, 0x06u, 0x07u, 0x08u, 0x10u, 0x11u, 0x12u, 0x13u, 0x14u, 0x15u,
        0x16u, 0x17u, 0x18u, 0x19u, 0x1Au, 0x1Bu, 0x1Cu, 0x1Du, 0x1Fu, 0xFFu}) {
    bench.check_rejected(0, identify(cns, 0), Status::kInvalidField);
  }
}
TEST_CASE(
    "Identify of virtualization, UUIDs and domains is refused also by a drive with all else") {
  Ready bench(full_config());
  for (const std::uint32_t cns : {0x14u, 0x15u, 0x17u, 0x18u}) {
    bench.check_rejected(0, identify(cns, 0), Status::kInvalidField);
  }
}
TEST_CASE("Identify namespace refuses NSID 0") {
  Ready bench;
  bench.check_rejected(0, identify(0, 0), Status::kInvalidNamespace);
}
TEST_CASE("Identify namespace refuses an NSID above NN") {
  Ready bench;
  bench.check_rejected(0, identify(0, 2), Status::kInvalidNamespace);
}
TEST_CASE("Identify namespace refuses NSID FFFFFFFFh without namespace management") {
  Ready bench;
  bench.check_rejected(0, identify(0, spec::kNsidAll), Status::kInvalidNamespace);
}
TEST_CASE("the active list refuses NSID FFFFFFFEh and FFFFFFFFh") {
  Ready bench;
  bench.check_rejected(0, identify(2, 0xFFFF'FFFE), Status::kInvalidNamespace);
  bench.check_rejected(0, identify(2, 0xFFFF'FFFF), Status::kInvalidNamespace);
}
TEST_CASE("namespace descriptors refuse an NSID that is not there") {
  Ready bench;
  bench.check_rejected(0, identify(3, 9), Status::kInvalidNamespace);
}
TEST_CASE("Identify refuses PRP1 that is not dword aligned") {
  Ready bench;
  bench.check_rejected(0, identify(1, 0, kData + 2), Status::kPrpOffsetInvalid);
}
TEST_CASE("Identify refuses PRP2 with an offset") {
  Ready bench;
  auto entry = identify(1, 0, kData + 0x800);
  entry.prp2 = kData + 0x8004;
  bench.check_rejected(0, entry, Status::kPrpOffsetInvalid);
}

TEST_CASE("Get Log Page refuses pages that are not there") {
  Ready bench;
  for (const std::uint32_t page : {0x00u, 0x04u, 0x05u, 0x06u, 0x07u, 0x08u, 0x09u, 0x0Cu, 0x0Du,
                                   0x0Fu, 0x12u, 0x13u, 0x70u, 0x80u, 0x81u, 0xC0u}) {
    bench.check_rejected(0, get_log(static_cast<LogPageId>(page), 512), Status::kInvalidField);
  }
}
TEST_CASE("Get Log Page refuses an offset that is not dword aligned") {
  Ready bench;
  bench.check_rejected(0, get_log(LogPageId::kSmart, 64, 6), Status::kInvalidField);
}
TEST_CASE("Get Log Page refuses an offset at the end of the page") {
  Ready bench;
  bench.check_rejected(0, get_log(LogPageId::kSmart, 64, 512), Status::kInvalidField);
  bench.check_rejected(0, get_log(LogPageId::kErrorInformation, 64, 4096), Status::kInvalidField);
}
TEST_CASE("Get Log Page refuses an offset beyond 32 bits") {
  Ready bench;
  bench.check_rejected(0, get_log(LogPageId::kSmart, 64, 1ull << 32), Status::kInvalidField);
}
TEST_CASE("Get Log Page refuses more than MDTS") {
  Ready bench;
  bench.check_rejected(0, get_log(LogPageId::kSmart, 128 * 1024 + 4), Status::kInvalidField);
}
TEST_CASE("Get Log Page refuses a namespace") {
  Ready bench;
  auto entry = get_log(LogPageId::kSmart, 512);
  entry.nsid = 1;
  bench.check_rejected(0, entry, Status::kInvalidField);
}
TEST_CASE("without extended data Get Log Page refuses offsets and long lengths") {
  device::ControllerConfig config = small_config();
  config.lpa = 0;
  Ready bench(config);
  bench.check_rejected(0, get_log(LogPageId::kSmart, 64, 64), Status::kInvalidField);
  auto entry = get_log(LogPageId::kSmart, 64);
  entry.cdw11 = 1;
  bench.check_rejected(0, entry, Status::kInvalidField);
  CHECK(bench.status(0, get_log(LogPageId::kSmart, 512)) == Status::kSuccess);
}

TEST_CASE("the SMART log counts commands, data and errors") {
  Ready bench;
  bench.create_pair(1);
  for (int i = 0; i < 3; ++i) {
    CHECK(bench.status(1, io(spec::NvmOpcode::kWrite, 0, 8)) == Status::kSuccess);
  }
  CHECK(bench.status(1, io(spec::NvmOpcode::kRead, 0, 8)) == Status::kSuccess);
  CHECK(bench.status(1, io(spec::NvmOpcode::kRead, 1ull << 40, 8)) == Status::kLbaOutOfRange);
  REQUIRE(bench.status(0, get_log(LogPageId::kSmart, 512)) == Status::kSuccess);
  const auto log = bench.port.load<spec::SmartLog>(kData);
  CHECK(log.host_write_commands.low == 3);
  CHECK(log.host_read_commands.low == 1);
  CHECK(log.data_units_written.low == 1);  // 12 KiB, rounded up to 512,000 bytes
  CHECK(log.data_units_read.low == 1);
  CHECK(log.num_err_log_entries.low == 1);
  CHECK(log.composite_temperature == 310);
  CHECK(log.critical_warning == 0);
  CHECK(log.available_spare == 100);
  CHECK(log.power_cycles.low == 1);
}

TEST_CASE("an offset gives the rest of the page and zeroes behind it") {
  Ready bench;
  REQUIRE(bench.status(0, get_log(LogPageId::kSmart, 512)) == Status::kSuccess);
  const auto temperature = bench.port.load<std::uint16_t>(kData + 1);
  CHECK(temperature == 310);
  REQUIRE(bench.status(0, get_log(LogPageId::kFirmwareSlot, 1024, 8, kData)) == Status::kSuccess);
  CHECK(bench.port.load<char>(kData) == '1');  // revision "1.0" of slot 1
  CHECK(bench.port.load<char>(kData + 8) == 0);
  CHECK(bench.port.load<std::uint8_t>(kData + 1023) == 0);
  CHECK(bench.port.load<std::uint8_t>(kData + 1024) == 0xA5);
}

TEST_CASE("a long log page goes over a PRP list and is zeroes behind its end") {
  Ready bench;
  constexpr std::uint32_t kBytes = 128 * 1024;
  for (std::uint64_t i = 1; i < 32; ++i) {
    bench.port.store(kLists + (i - 1) * 8, kData + 0x10000 + i * 0x2000);
  }
  auto entry = get_log(LogPageId::kErrorInformation, kBytes);
  entry.prp2 = kLists;
  REQUIRE(bench.status(0, entry) == Status::kSuccess);
  CHECK(bench.port.load<std::uint8_t>(kData + 4095) == 0);
  for (std::uint64_t i = 1; i < 32; ++i) {
    const std::uint64_t page = kData + 0x10000 + i * 0x2000;
    CHECK(bench.port.load<std::uint64_t>(page) == 0);
    CHECK(bench.port.load<std::uint64_t>(page + 4088) == 0);
    CHECK(bench.port.load<std::uint8_t>(page + 4096) == 0xA5);
  }
}

TEST_CASE("the error log has the newest error first") {
  Ready bench;
  bench.create_pair(1);
  const auto first = bench.run_command(1, io(spec::NvmOpcode::kRead, 1ull << 40, 8));
  const auto second = bench.run_command(0, identify(0x55, 7));
  CHECK((first.entry.status & spec::kStatusMore) != 0);
  CHECK(spec::dnr_of(first.entry.status));
  REQUIRE(bench.status(0, get_log(LogPageId::kErrorInformation, 256)) == Status::kSuccess);
  const auto newest = bench.port.load<spec::ErrorLogEntry>(kData);
  const auto older = bench.port.load<spec::ErrorLogEntry>(kData + 64);
  const auto none = bench.port.load<spec::ErrorLogEntry>(kData + 128);
  CHECK(newest.error_count == 2);
  CHECK(newest.sqid == 0);
  CHECK(newest.cid == second.entry.cid);
  CHECK(newest.nsid == 7);
  CHECK(older.error_count == 1);
  CHECK(older.sqid == 1);
  CHECK(older.cid == first.entry.cid);
  CHECK(older.lba == 1ull << 40);
  CHECK(spec::status_of(older.status_field) == Status::kLbaOutOfRange);
  CHECK(none.error_count == 0);
}

TEST_CASE("the error log keeps the last entries only") {
  device::ControllerConfig config = small_config();
  config.elpe = 3;
  Ready bench(config);
  for (std::uint32_t i = 0; i < 9; ++i) bench.run_command(0, identify(0x80 + i, 0));
  REQUIRE(bench.status(0, get_log(LogPageId::kErrorInformation, 320)) == Status::kSuccess);
  for (std::uint32_t i = 0; i < 4; ++i) {
    CHECK(bench.port.load<spec::ErrorLogEntry>(kData + i * 64).error_count == 9 - i);
  }
  CHECK(bench.port.load<spec::ErrorLogEntry>(kData + 256).error_count == 0);
}

TEST_CASE("the firmware log names the active slot") {
  Ready bench;
  REQUIRE(bench.status(0, get_log(LogPageId::kFirmwareSlot, 512)) == Status::kSuccess);
  const auto log = bench.port.load<spec::FirmwareSlotLog>(kData);
  CHECK(log.afi == 1);
  CHECK(std::string(log.frs[0].begin(), log.frs[0].end()) == "1.0     ");
  CHECK(log.frs[1][0] == 0);
}

TEST_CASE("unsupported admin opcodes are refused") {
  Ready bench;
  for (const AdminOpcode opcode :
       {AdminOpcode::kNamespaceManagement, AdminOpcode::kNamespaceAttachment,
        AdminOpcode::kFirmwareCommit, AdminOpcode::kFirmwareImageDownload,
        AdminOpcode::kDeviceSelfTest, AdminOpcode::kKeepAlive, AdminOpcode::kDirectiveSend,
        AdminOpcode::kDirectiveReceive, AdminOpcode::kVirtualizationManagement,
        AdminOpcode::kNvmeMiSend, AdminOpcode::kNvmeMiReceive, AdminOpcode::kDoorbellBufferConfig,
        AdminOpcode::kFormatNvm, AdminOpcode::kSecuritySend, AdminOpcode::kSecurityReceive,
        AdminOpcode::kSanitize, AdminOpcode::kGetLbaStatus, static_cast<AdminOpcode>(0x03),
        static_cast<AdminOpcode>(0xFF)}) {
    bench.check_rejected(0, admin(opcode), Status::kInvalidOpcode);
  }
}
TEST_CASE("admin commands refuse SGLs") {
  Ready bench;
  auto entry = identify(1, 0);
  entry.flags = 0x40;
  bench.check_rejected(0, entry, Status::kInvalidField);
  entry.flags = 0xC0;
  bench.check_rejected(0, entry, Status::kInvalidField);
}
TEST_CASE("admin commands refuse fusing") {
  Ready bench;
  auto entry = identify(1, 0);
  entry.flags = 1;
  bench.check_rejected(0, entry, Status::kInvalidField);
}
