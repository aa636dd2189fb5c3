// Reservations: two controllers of one subsystem, each with a host of its own.
#include "tests/protocol/support/data_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::FeatureId;
using spec::NvmOpcode;
using spec::ReservationType;
using spec::Status;

namespace {

constexpr std::uint64_t kKeyA = 0xAAAA;
constexpr std::uint64_t kKeyB = 0xBBBB;
constexpr auto kWe = ReservationType::kWriteExclusive;
constexpr auto kEa = ReservationType::kExclusiveAccess;
constexpr auto kWeRo = ReservationType::kWriteExclusiveRegistrants;
constexpr auto kEaRo = ReservationType::kExclusiveAccessRegistrants;
constexpr auto kWeAr = ReservationType::kWriteExclusiveAllRegistrants;
constexpr auto kEaAr = ReservationType::kExclusiveAccessAllRegistrants;

device::ControllerConfig reserving(std::uint32_t id) {
  device::ControllerConfig config = small_config();
  config.oncs = 0x1FF;
  config.identity.controller_id = id;
  config.namespaces = {{.blocks = 8'000, .shared = true}};
  return config;
}

// What a host does with reservations, through its controller.
class Host {
 public:
  Host(Bench& bench, std::uint8_t id) : bench_(bench) {
    REQUIRE(bench_.enable());
    bench_.create_pair(1);
    if (id != 0) identify_as(id);
  }
  void identify_as(std::uint8_t id) {
    std::memset(bench_.port.at(kData), 0, 16);
    bench_.port.store(kData, id);
    auto set = admin(spec::AdminOpcode::kSetFeatures,
                     static_cast<std::uint32_t>(FeatureId::kHostIdentifier));
    set.prp1 = kData;
    REQUIRE(bench_.status(0, set) == Status::kSuccess);
  }
  spec::SubmissionEntry entry(NvmOpcode opcode, std::uint32_t cdw10, std::uint64_t first,
                              std::uint64_t second = 0) {
    bench_.port.store(kData, first);
    bench_.port.store(kData + 8, second);
    auto result = io(opcode, 0, 1);
    result.cdw10 = cdw10;
    result.cdw11 = result.cdw12 = 0;
    return result;
  }
  Status run(const spec::SubmissionEntry& command) { return bench_.status(1, command); }
  Status enroll(std::uint64_t key) {
    return run(entry(NvmOpcode::kReservationRegister, 0, 0, key));
  }
  Status leave(std::uint64_t key, bool ignore = false) {
    return run(entry(NvmOpcode::kReservationRegister, 1u | (ignore ? 8u : 0), key));
  }
  Status replace(std::uint64_t key, std::uint64_t fresh, bool ignore = false) {
    return run(entry(NvmOpcode::kReservationRegister, 2u | (ignore ? 8u : 0), key, fresh));
  }
  Status acquire(std::uint64_t key, ReservationType type) {
    return run(entry(NvmOpcode::kReservationAcquire, static_cast<std::uint32_t>(type) << 8, key));
  }
  Status preempt(std::uint64_t key, std::uint64_t other, ReservationType type, bool abort = false) {
    return run(entry(NvmOpcode::kReservationAcquire,
                     static_cast<std::uint32_t>(type) << 8 | (abort ? 2u : 1u), key, other));
  }
  Status release(std::uint64_t key, ReservationType type) {
    return run(entry(NvmOpcode::kReservationRelease, static_cast<std::uint32_t>(type) << 8, key));
  }
  Status clear(std::uint64_t key) { return run(entry(NvmOpcode::kReservationRelease, 1, key)); }
  bool can_read() { return access(NvmOpcode::kRead); }
  bool can_write() { return access(NvmOpcode::kWrite); }
  bool access(NvmOpcode opcode) {
    const Status status = run(io(opcode, 0, 1));
    REQUIRE((status == Status::kSuccess || status == Status::kReservationConflict));
    return status == Status::kSuccess;
  }
  spec::ReservationStatus report() {
    auto command = entry(NvmOpcode::kReservationReport, 1023, 0);
    REQUIRE(run(command) == Status::kSuccess);
    return bench_.port.load<spec::ReservationStatus>(kData);
  }
  spec::RegisteredController registered(unsigned index) {
    report();
    return bench_.port.load<spec::RegisteredController>(kData + 24 + index * 24);
  }
  spec::ReservationNotification notification() {
    REQUIRE(bench_.status(0, get_log(spec::LogPageId::kReservationNotification, 64)) ==
            Status::kSuccess);
    return bench_.port.load<spec::ReservationNotification>(kData);
  }

 private:
  Bench& bench_;
};

struct Pair {
  Bench first{reserving(1)};
  Bench second{reserving(2), first};
  Host a{first, 0xA0};
  Host b{second, 0xB0};
};

// Who may read and write: holder, registrant, other.
void check_type(ReservationType type, const char* holder, const char* registrant,
                const char* other) {
  Bench first{reserving(1)};
  Bench second{reserving(2), first};
  Bench third{reserving(3), first};
  Host a(first, 1);
  Host b(second, 2);
  Host c(third, 3);
  REQUIRE(a.enroll(kKeyA) == Status::kSuccess);
  REQUIRE(b.enroll(kKeyB) == Status::kSuccess);
  REQUIRE(a.acquire(kKeyA, type) == Status::kSuccess);
  const auto rights = [](Host& host) {
    return std::string(host.can_read() ? "r" : "") + (host.can_write() ? "w" : "");
  };
  CHECK(rights(a) == holder);
  CHECK(rights(b) == registrant);
  CHECK(rights(c) == other);
  for (const NvmOpcode opcode :
       {NvmOpcode::kFlush, NvmOpcode::kWriteZeroes, NvmOpcode::kWriteUncorrectable}) {
    CHECK(c.access(opcode) == (std::string(other).find('w') != std::string::npos));
  }
  CHECK(c.access(NvmOpcode::kVerify) == (std::string(other).find('r') != std::string::npos));
  REQUIRE(a.release(kKeyA, type) == Status::kSuccess);
  CHECK(rights(c) == "rw");
}

}  // namespace

TEST_CASE("Write Exclusive: the holder writes, all read") {
  check_type(kWe, "rw", "r", "r");
}
TEST_CASE("Exclusive Access: the holder alone") {
  check_type(kEa, "rw", "", "");
}
TEST_CASE("Write Exclusive, registrants only") {
  check_type(kWeRo, "rw", "rw", "r");
}
TEST_CASE("Exclusive Access, registrants only") {
  check_type(kEaRo, "rw", "rw", "");
}
TEST_CASE("Write Exclusive, all registrants") {
  check_type(kWeAr, "rw", "rw", "r");
}
TEST_CASE("Exclusive Access, all registrants") {
  check_type(kEaAr, "rw", "rw", "");
}

TEST_CASE("a key is registered, replaced and taken back") {
  Pair pair;
  CHECK(pair.a.enroll(kKeyA) == Status::kSuccess);
  CHECK(pair.a.enroll(kKeyA) == Status::kSuccess);
  CHECK(pair.a.enroll(kKeyB) == Status::kReservationConflict);
  CHECK(pair.a.replace(kKeyB, 5) == Status::kReservationConflict);
  CHECK(pair.a.replace(kKeyA, 5) == Status::kSuccess);
  CHECK(pair.a.replace(99, 6, true) == Status::kSuccess);
  CHECK(pair.b.replace(6, 7, true) == Status::kReservationConflict);
  CHECK(pair.a.leave(5) == Status::kReservationConflict);
  CHECK(pair.a.report().gen == 3);
  CHECK(pair.a.leave(6) == Status::kSuccess);
  CHECK(pair.a.leave(6) == Status::kReservationConflict);
  CHECK(pair.a.report().regctl == 0);
  CHECK(pair.a.report().gen == 4);
}
TEST_CASE("Reservation Report lists the registered controllers and the holder") {
  Pair pair;
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.b.acquire(kKeyB, kEaRo);
  const auto status = pair.a.report();
  CHECK(status.gen == 2);
  CHECK(status.rtype == 4);
  CHECK(status.regctl == 2);
  CHECK(status.ptpls == 0);
  CHECK(pair.a.registered(0).cntlid == 1);
  CHECK(pair.a.registered(0).rcsts == 0);
  CHECK(pair.a.registered(0).hostid == 0xA0);
  CHECK(pair.a.registered(1).rkey == kKeyB);
  CHECK(pair.a.registered(1).rcsts == 1);
}
TEST_CASE("a reservation cannot be acquired twice, without a key or by a stranger") {
  Pair pair;
  pair.a.enroll(kKeyA);
  CHECK(pair.a.acquire(kKeyB, kWe) == Status::kReservationConflict);
  CHECK(pair.b.acquire(kKeyB, kWe) == Status::kReservationConflict);
  CHECK(pair.a.acquire(kKeyA, kWe) == Status::kSuccess);
  CHECK(pair.a.acquire(kKeyA, kWe) == Status::kSuccess);
  CHECK(pair.a.acquire(kKeyA, kEa) == Status::kReservationConflict);
  pair.b.enroll(kKeyB);
  CHECK(pair.b.acquire(kKeyB, kWe) == Status::kReservationConflict);
  CHECK(pair.b.release(kKeyB, kWe) == Status::kSuccess);  // nothing of its own
  CHECK(pair.a.release(kKeyA, kEa) == Status::kInvalidField);
  CHECK(pair.a.release(kKeyB, kWe) == Status::kReservationConflict);
  CHECK_FALSE(pair.b.can_write());
}
TEST_CASE("preempting takes the reservation and the registration of the holder") {
  Pair pair;
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.a.acquire(kKeyA, kEa);
  CHECK(pair.b.preempt(kKeyB, 0x123, kWe) == Status::kReservationConflict);
  CHECK(pair.b.preempt(kKeyB, 0, kWe) == Status::kInvalidField);
  CHECK(pair.b.preempt(kKeyB, kKeyA, kWe) == Status::kSuccess);
  CHECK(pair.b.report().rtype == 1);
  CHECK(pair.b.report().regctl == 1);
  CHECK_FALSE(pair.a.can_write());
  CHECK(pair.a.can_read());
  const auto page = pair.a.notification();
  CHECK(page.type == 1);
  CHECK(page.nsid == 1);
  CHECK(pair.a.notification().type == 0);
}
TEST_CASE("preempting all registrants leaves only the one who did") {
  Pair pair;
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.a.acquire(kKeyA, kWeAr);
  CHECK(pair.b.preempt(kKeyB, 0, kEa) == Status::kSuccess);
  CHECK(pair.b.report().regctl == 1);
  CHECK(pair.b.report().rtype == 2);
  CHECK(pair.b.can_write());
  CHECK_FALSE(pair.a.can_read());
}
TEST_CASE("a holder that preempts itself changes the type") {
  Pair pair;
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.a.acquire(kKeyA, kWeRo);
  CHECK(pair.a.preempt(kKeyA, kKeyA, kEa) == Status::kSuccess);
  CHECK(pair.a.report().rtype == 2);
  CHECK(pair.a.report().regctl == 2);
  CHECK(pair.b.notification().type == 2);
}
TEST_CASE("Preempt and Abort ends the commands of the other host") {
  Pair pair;
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.a.acquire(kKeyA, kEa);
  pair.first.media.held = true;
  const auto cid = pair.first.submit(1, io(NvmOpcode::kRead, 0, 8, kData + 0x8000));
  pair.first.run(5us);
  CHECK(pair.b.preempt(kKeyB, kKeyA, kEa, true) == Status::kSuccess);
  const auto ended = pair.first.wait(1, cid);
  REQUIRE(ended.has_value());
  CHECK(ended->status() == Status::kPreemptAndAbort);
}
TEST_CASE("a released reservation is told to the other registrants") {
  Pair pair;
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.a.acquire(kKeyA, kWeRo);
  const auto cid = pair.second.submit(0, admin(spec::AdminOpcode::kAsyncEventRequest));
  pair.second.run(5us);
  pair.a.release(kKeyA, kWeRo);
  const auto event = pair.second.wait(0, cid);
  REQUIRE(event.has_value());
  CHECK(event->entry.dw0 == 0x80'0006);
  const auto page = pair.b.notification();
  CHECK(page.type == 2);
  CHECK(page.log_page_count == 1);
  CHECK(page.available_pages == 0);
  CHECK(pair.a.notification().type == 0);
}
TEST_CASE("the holder's leaving releases, of all registrants the last one's") {
  Pair pair;
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.a.acquire(kKeyA, kEaAr);
  pair.a.leave(kKeyA);
  CHECK(pair.b.report().rtype == 6);
  pair.b.leave(kKeyB);
  CHECK(pair.b.report().rtype == 0);
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.a.acquire(kKeyA, kEa);
  pair.a.leave(0, true);
  CHECK(pair.b.report().rtype == 0);
  CHECK(pair.b.can_write());
}
TEST_CASE("Clear ends registrations and reservation") {
  Pair pair;
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.a.acquire(kKeyA, kEa);
  CHECK(pair.b.clear(kKeyA) == Status::kReservationConflict);
  CHECK(pair.b.clear(kKeyB) == Status::kSuccess);
  CHECK(pair.b.report().regctl == 0);
  CHECK(pair.b.report().rtype == 0);
  CHECK(pair.a.notification().type == 3);
}
TEST_CASE("masked notifications are not made") {
  Pair pair;
  auto mask = admin(spec::AdminOpcode::kSetFeatures,
                    static_cast<std::uint32_t>(FeatureId::kReservationNotificationMask), 1u << 3);
  mask.nsid = 1;
  REQUIRE(pair.first.status(0, mask) == Status::kSuccess);
  pair.a.enroll(kKeyA);
  pair.b.enroll(kKeyB);
  pair.b.clear(kKeyB);
  CHECK(pair.a.notification().type == 0);
}
TEST_CASE("a reservation outlives a controller reset, and the host comes back to it by its name") {
  Pair pair;
  pair.a.enroll(kKeyA);
  pair.a.acquire(kKeyA, kEa);
  pair.first.disable();
  REQUIRE(pair.first.enable());
  pair.first.create_pair(1);
  CHECK_FALSE(pair.a.can_read());  // it did not say yet who it is
  pair.a.identify_as(0xA0);
  CHECK(pair.a.can_read());
  CHECK_FALSE(pair.b.can_read());
}
TEST_CASE("a 128-bit host identifier needs the extended report") {
  Pair pair;
  for (unsigned i = 0; i < 16; ++i) pair.first.port.store(kData + i, static_cast<std::uint8_t>(i));
  auto set = admin(spec::AdminOpcode::kSetFeatures, 0x81, 1);
  set.prp1 = kData;
  REQUIRE(pair.first.status(0, set) == Status::kSuccess);
  pair.a.enroll(kKeyA);
  auto report = pair.a.entry(NvmOpcode::kReservationReport, 1023, 0);
  pair.first.check_rejected(1, report, Status::kHostIdInconsistent);
  report.cdw11 = 1;
  CHECK(pair.first.status(1, report) == Status::kSuccess);
  const auto entry = pair.first.port.load<spec::RegisteredControllerExtended>(kData + 64);
  CHECK(entry.rkey == kKeyA);
  CHECK(entry.hostid[15] == std::byte{15});
}
TEST_CASE("Persist Through Power Loss is a state of the namespace, set by CPTPL or feature 83h") {
  Pair pair;
  const auto feature = [&](Bench& bench, std::uint32_t value) {
    auto set = admin(spec::AdminOpcode::kSetFeatures,
                     static_cast<std::uint32_t>(FeatureId::kReservationPersistence), value);
    set.nsid = 1;
    return bench.status(0, set);
  };
  const auto value = [](Bench& bench) {
    auto get = admin(spec::AdminOpcode::kGetFeatures,
                     static_cast<std::uint32_t>(FeatureId::kReservationPersistence));
    get.nsid = 1;
    return bench.run_command(0, get).entry.dw0;
  };
  CHECK(pair.first.status(0, identify(0, 1)) == Status::kSuccess);
  CHECK(pair.first.port.load<spec::IdentifyNamespace>(kData).rescap == 0xFF);
  CHECK(value(pair.first) == 0);
  CHECK(feature(pair.first, 1) == Status::kSuccess);
  CHECK(value(pair.second) == 1);
  CHECK(pair.b.report().ptpls == 1);
  const std::uint32_t clear = 2u << 30;
  const std::uint32_t set = 3u << 30;
  CHECK(pair.b.run(pair.b.entry(NvmOpcode::kReservationRegister, clear, 0, kKeyB)) ==
        Status::kSuccess);
  CHECK(value(pair.first) == 0);
  // A Register that is refused changes nothing of it.
  CHECK(pair.a.run(pair.a.entry(NvmOpcode::kReservationRegister, 1 | set, 5)) ==
        Status::kReservationConflict);
  CHECK(value(pair.first) == 0);
  CHECK(pair.a.run(pair.a.entry(NvmOpcode::kReservationRegister, set, 0, kKeyA)) ==
        Status::kSuccess);
  CHECK(value(pair.second) == 1);
}
TEST_CASE("reserved actions and types are refused") {
  Pair pair;
  pair.a.enroll(kKeyA);
  using Op = NvmOpcode;
  const auto refuse = [&](Op opcode, std::uint32_t cdw10) {
    pair.first.check_rejected(1, pair.a.entry(opcode, cdw10, kKeyA), Status::kInvalidField);
  };
  refuse(Op::kReservationRegister, 3);
  refuse(Op::kReservationRegister, 1u << 30);  // CPTPL
  refuse(Op::kReservationAcquire, 3 | 1 << 8);
  refuse(Op::kReservationAcquire, 8 | 1 << 8);
  refuse(Op::kReservationAcquire, 0);
  refuse(Op::kReservationAcquire, 7 << 8);
  refuse(Op::kReservationRelease, 2);
  refuse(Op::kReservationRelease, 8);
}
TEST_CASE("without ONCS bit 5 there are no reservations") {
  Bench bench;
  REQUIRE(bench.enable());
  bench.create_pair(1);
  for (const NvmOpcode opcode : {NvmOpcode::kReservationRegister, NvmOpcode::kReservationReport,
                                 NvmOpcode::kReservationAcquire, NvmOpcode::kReservationRelease}) {
    bench.check_rejected(1, io(opcode, 0, 1), Status::kInvalidOpcode);
  }
}
