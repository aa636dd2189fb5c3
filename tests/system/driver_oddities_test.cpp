// Drives that say odd things of themselves, and what the driver makes of it: Identify data that
// does not fit, times that do not fit, event indexes that are wrong, temperature thresholds.
#include "device/spec/registers.hpp"
#include "host/nvme/hwmon.hpp"
#include "host/nvme/sysfs.hpp"
#include "tests/system/driver_rig.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using fault::kEveryTime;
using host::CtrlState;

namespace {

constexpr std::uint8_t kNamespace = 0;
constexpr std::uint8_t kController = 1;
constexpr std::uint8_t kDescriptors = 3;
constexpr std::size_t kEui64At = 4;  // of the descriptor list: behind its header
constexpr std::size_t kNguidAt = 16;
constexpr std::size_t kSubnqnAt = 768;  // of Identify Controller
constexpr std::size_t kMnanAt = 540;
constexpr std::size_t kMdtsAt = 77;
constexpr std::size_t kNcapAt = 8;  // of Identify Namespace
constexpr std::size_t kLbadsAt = 130;

const std::string kTwoNamespaces =
    "device.controller.namespaces=[{\"blocks\":100000},{\"blocks\":100000}]";

// RDY comes 3 s after EN, CAP.TO promises 1 s, CRTO (of 2.0) 5 s.
void late_ready(const char* generation, bool comes_up) {
  DriverRig rig({"device.controller.registers.revision=v2_0", "device.controller.registers.crms=1",
                 "device.controller.timeout_500ms=2", "device.controller.ready_latency_us=1000",
                 "device.controller.registers.media_ready_latency_us=5000000",
                 std::string("driver.generation=") + generation});
  base::Time enabled = base::kTimeMax;
  rig.rules->on_register({.offset = spec::kRegCc, .write = true}, kEveryTime,
                         [&](device::RegisterAccess& access) {
                           if ((access.value & 1) != 0) enabled = rig.now();
                         });
  rig.rules->on_register({.offset = spec::kRegCsts}, kEveryTime,
                         [&](device::RegisterAccess& access) {
                           if (enabled != base::kTimeMax && rig.now() < enabled + 3s)
                             access.value &= ~std::uint64_t{1};
                         });
  REQUIRE(rig.system->run([&] {
    CHECK(rig.system->boot() == comes_up);
    if (comes_up) CHECK(rig.read() == BlockStatus::kOk);
    rig.sleep_ms(100);
  }));
  CHECK(rig.logged("Device not ready; aborting initialisation") == (comes_up ? 0u : 1u));
}

}  // namespace

TEST_CASE("two namespaces with the same identifiers give one disk") {
  const std::vector<std::uint8_t> same(8, 0xaa);
  DriverRig rig({kTwoNamespaces}, {}, {{kDescriptors, 0, kEui64At, same}});
  rig.after_boot([&] {
    CHECK(rig.ctrl().namespaces().size() == 1);
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("duplicate IDs for nsid 2") == 1);
}

TEST_CASE("two namespaces with identifiers of their own give two disks") {
  DriverRig rig({kTwoNamespaces});
  rig.after_boot([&] { CHECK(rig.ctrl().namespaces().size() == 2); });
  CHECK(rig.logged("duplicate IDs") == 0);
}

TEST_CASE("a namespace whose identifiers change at a rescan goes away, and is found as another") {
  // The first answer is its own, the following ones are not.
  const std::vector<std::uint8_t> other(16, 0x55);
  DriverRig rig({}, {}, {{kDescriptors, 1, kNguidAt, other, 1}});
  rig.after_boot([&] {
    host::Disk& before = rig.disk();
    rig.ctrl().queue_scan();
    rig.ctrl().flush_scan();
    CHECK(rig.ctrl().namespaces().empty());
    CHECK(before.capacity_sectors() == 0);
    rig.ctrl().queue_scan();
    rig.ctrl().flush_scan();
    REQUIRE(rig.ctrl().namespaces().size() == 1);
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("identifiers changed for nsid 1") == 1);
}

TEST_CASE("a drive without the name of its subsystem gets one made of its identity") {
  DriverRig rig({}, {}, {{kController, 0, kSubnqnAt, std::vector<std::uint8_t>(16, 0)}});
  rig.after_boot([&] {
    CHECK(rig.ctrl().subsystem_nqn().starts_with("nqn.2014.08.org.nvmexpress:"));
    CHECK(rig.ctrl().subsystem_nqn().find(rig.ctrl().model()) != std::string::npos);
  });
  CHECK(rig.logged("missing or invalid SUBNQN field.") == 1);
}

TEST_CASE("a name of a subsystem that never ends is none") {
  DriverRig rig({}, {}, {{kController, 0, kSubnqnAt, std::vector<std::uint8_t>(256, 'n')}});
  rig.after_boot(
      [&] { CHECK(rig.ctrl().subsystem_nqn().starts_with("nqn.2014.08.org.nvmexpress:")); });
}

TEST_CASE("more namespaces in the ANA log than there are ends the controller") {
  DriverRig rig({"device.controller.management.ana=true"}, {},
                {{kController, 0, kMnanAt, {0xff, 0, 0, 0}}});
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    rig.sleep_ms(100);
    CHECK(rig.dev().removed());
  }));
  CHECK(rig.logged("Invalid MNAN value 255") == 1);
  CHECK(rig.logged("Removing after probe failure status: -22") == 1);
  rig.check_nothing_leaked();
}

TEST_CASE("an MDTS that no number holds is no limit") {
  DriverRig rig({}, {}, {{kController, 0, kMdtsAt, {60}}});
  rig.after_boot([&] {
    CHECK(rig.disk().limits().max_sectors == 2560);
    CHECK(rig.ctrl().ctrl_limits().max_hw_sectors == 8192);
  });
}

TEST_CASE("in 6.1 too a namespace without capacity is not attached") {
  DriverRig rig({"driver.generation=v6_1"}, {},
                {{kNamespace, 1, kNcapAt, std::vector<std::uint8_t>(8, 0)}});
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    CHECK(rig.ctrl().namespaces().empty());
  }));
}

TEST_CASE("blocks larger than a page make a disk that holds nothing") {
  DriverRig rig({}, {}, {{kNamespace, 1, kLbadsAt, {13}}});
  REQUIRE(rig.system->run([&] {
    rig.system->boot();
    REQUIRE(rig.ctrl().namespaces().size() == 1);
    CHECK(rig.disk().capacity_sectors() == 0);
    CHECK(rig.disk().limits().logical_block_bytes == 512);
    CHECK(rig.read() == BlockStatus::kIoError);
  }));
}

TEST_CASE("5.15 waits for readiness as long as CAP.TO says and gives the drive up") {
  late_ready("v5_15", false);
}

TEST_CASE("6.1 waits as long as CRTO says where that is longer") {
  late_ready("v6_1", true);
}

TEST_CASE("a drive that writes a wrong event index is not rung: the command's time runs out") {
  bool wrong = false;
  std::uint64_t events = 0;
  fault::RequestRule rule;
  rule.count = fault::kAlways;
  rule.action = fault::RequestRule::Action::kChange;
  rule.when = [&](base::Splice::Direction direction, const tlm::tlm_generic_payload& payload) {
    return wrong && direction == base::Splice::Direction::kUpstream && payload.is_write() &&
           payload.get_address() >= events && payload.get_address() < events + 64;
  };
  // Far behind the tail: a new tail never passes it.
  rule.change = [](tlm::tlm_generic_payload& payload) { payload.get_data_ptr()[1] ^= 0x40; };
  DriverRig rig({"device.controller.doorbell_buffer_config=true"}, {rule});
  rig.rules->change_command(fault::admin_command(spec::AdminOpcode::kDoorbellBufferConfig),
                            kEveryTime, [&](spec::SubmissionEntry& entry) { events = entry.prp2; });
  rig.after_boot([&] {
    REQUIRE(events != 0);
    CHECK(rig.read() == BlockStatus::kOk);
    wrong = true;
    for (int i = 0; i < 3; ++i) CHECK(rig.read() == BlockStatus::kOk);
    wrong = false;
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("timeout, aborting") >= 1);
  CHECK(rig.logged("timeout, reset controller") >= 1);
}

TEST_CASE("temperature thresholds are read and written by the names of hwmon") {
  DriverRig rig({"driver.hwmon=true"});
  rig.after_boot([&] {
    host::NvmeDev& dev = rig.dev();
    const auto store = [&](const char* name, const char* value) {
      return host::sysfs_store(dev, name, value, true);
    };
    host::Hwmon hwmon(rig.ctrl());
    REQUIRE(hwmon.update() == 0);
    CHECK(hwmon.has_thresholds(0));
    CHECK(store("hwmon0/temp1_max", "70000") == 0);
    CHECK(store("hwmon0/temp1_min", "-10000") == 0);
    std::int64_t value = 0;
    CHECK(hwmon.threshold(0, false, value) == 0);
    CHECK(value == 343'000 - 273'150);  // to the nearest kelvin
    CHECK(hwmon.threshold(0, true, value) == 0);
    CHECK(value == 263'000 - 273'150);
    CHECK(store("hwmon0/temp1_crit", "70000") == -ENOENT);
    CHECK(store("hwmon0/temp0_max", "70000") == -ENOENT);
    CHECK(store("hwmon0/temp1_max", "warm") == -EINVAL);
    CHECK(store("nothing", "1") == -ENOENT);
    CHECK(store("hmb", "1") == -ENOENT);  // it wants none
    // The drive warns when it is above its threshold.
    CHECK_FALSE(hwmon.alarm());
    CHECK(store("hwmon0/temp1_max", "20000") == 0);
    REQUIRE(hwmon.update() == 0);
    CHECK(hwmon.alarm());
    CHECK(store("reset_controller", "1") == 0);
    CHECK(rig.ctrl().resets() == 2);
  });
}

TEST_CASE("a drive that does not stand a change of its thresholds is left as it is") {
  DriverRig rig({"driver.hwmon=true", "device.persona=intel-f1a5"});
  rig.after_boot([&] {
    CHECK(host::sysfs_store(rig.dev(), "hwmon0/temp1_max", "70000", true) == -EACCES);
    CHECK(host::sysfs_store(rig.dev(), "hwmon0/temp1_max", "70000", false) == -ENOENT);
  });
}
