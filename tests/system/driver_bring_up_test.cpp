// Faults while the driver brings a controller up or takes it down: registers that say the wrong
// thing, queues that cannot be made, admin commands that hang.
#include "device/spec/registers.hpp"
#include "tests/system/driver_rig.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using fault::kEveryTime;
using host::CtrlState;
using spec::AdminOpcode;
using spec::NvmOpcode;
using spec::Status;

namespace {

void set_ready(device::RegisterAccess& access, bool ready) {
  access.value = (access.value & ~std::uint64_t{1}) | std::uint64_t{ready};
}

}  // namespace

TEST_CASE("a drive whose status reads as ones is given up while it is enabled") {
  DriverRig rig;
  rig.rules->on_register({.offset = spec::kRegCsts}, kEveryTime,
                         [](device::RegisterAccess& access) { access.value = 0xffff'ffff; });
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    rig.sleep_ms(100);
    CHECK(rig.dev().removed());
  }));
  CHECK(rig.logged("Removing after probe failure status: -19") == 1);
  rig.check_nothing_leaked();
}

TEST_CASE("a drive that goes away while it becomes ready is given up at once") {
  DriverRig rig;
  rig.rules->on_register({.offset = spec::kRegCsts}, {.nth = 3, .count = fault::kAlways},
                         [](device::RegisterAccess& access) { access.value = 0xffff'ffff; });
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    rig.sleep_ms(100);
    CHECK(rig.dev().removed());
    CHECK(rig.now() < 1s);
  }));
  CHECK(rig.logged("Device not ready") == 0);
}

TEST_CASE("a drive that is late to be ready is waited for as long as it asked") {
  DriverRig rig({"device.controller.timeout_500ms=20"});
  rig.rules->on_register({.offset = spec::kRegCsts}, {.count = fault::kAlways, .until = 9s},
                         [](device::RegisterAccess& access) { set_ready(access, false); });
  rig.after_boot([&] {
    CHECK(rig.now() > 9s);
    CHECK(rig.read() == BlockStatus::kOk);
  });
}

TEST_CASE("a drive that is never ready is given up") {
  DriverRig rig({"device.controller.timeout_500ms=4"});
  rig.rules->on_register({.offset = spec::kRegCsts}, kEveryTime,
                         [](device::RegisterAccess& access) { set_ready(access, false); });
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    rig.sleep_ms(100);
    CHECK(rig.now() > 2500ms);
    CHECK(rig.now() < 4s);
  }));
  CHECK(rig.logged("Device not ready; aborting initialisation, CSTS=0x0") == 1);
  rig.check_nothing_leaked();
}

TEST_CASE("a shutdown that never completes is given up after its time") {
  DriverRig rig;
  base::Time took{0};
  rig.after_boot([&] {
    rig.rules->on_register({.offset = spec::kRegCsts}, kEveryTime,
                           [](device::RegisterAccess& access) { access.value &= ~0xcull; });
    const base::Time start = rig.now();
    rig.system->shutdown();
    took = rig.now() - start;
  });
  CHECK(rig.logged("Device shutdown incomplete; abort shutdown") == 1);
  CHECK(took >= base::Time(1s) * rig.ctrl().shutdown_timeout_s());
}

TEST_CASE("a drive with pages larger than the host's is refused") {
  DriverRig rig;
  rig.rules->on_register({.offset = spec::kRegCap + 4}, kEveryTime,
                         [](device::RegisterAccess& access) { access.value |= 1u << 16; });
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    rig.sleep_ms(100);
  }));
  CHECK(rig.logged("Minimum device page size 8192 too large for host (4096)") == 1);
}

TEST_CASE("short queues and doorbells far apart are taken as they are") {
  DriverRig rig({"device.controller.mqes=15", "device.controller.dstrd=2"});
  rig.after_boot([&] {
    CHECK(rig.dev().queue_depth() == 16);
    for (unsigned i = 0; i < 40; ++i) CHECK(rig.read() == BlockStatus::kOk);
  });
}

TEST_CASE("a drive that refuses to set the number of queues stays admin-only") {
  DriverRig rig;
  rig.rules->on_command(fault::admin_command(AdminOpcode::kSetFeatures, 7), kEveryTime,
                        {.status = Status::kInternalError});
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    std::vector<std::byte> log(512);
    CHECK(rig.ctrl().get_log(spec::kNsidAll, 2, log) == 0);
  }));
  CHECK(rig.logged("Could not set queue count") == 1);
  CHECK(rig.logged("IO queues not created") == 1);
}

TEST_CASE("a queue that cannot be created leaves fewer queues, made anew") {
  DriverRig rig;
  auto third = fault::admin_command(AdminOpcode::kCreateIoCq, 3);
  const auto rule = rig.rules->on_command(third, {}, {.status = Status::kInvalidQueueId});
  rig.after_boot([&] {
    CHECK(rig.rules->disturbed(rule) == 1);
    CHECK(rig.dev().online_queues() == 3);
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("2/0/0 default/read/poll queues") == 1);
}

TEST_CASE("a Delete that hangs is not waited for longer than an admin command") {
  DriverRig rig({"driver.admin_timeout=2"});
  rig.after_boot([&] {
    rig.rules->on_command(fault::admin_command(AdminOpcode::kDeleteIoSq), {}, {.drop = true});
    const base::Time start = rig.now();
    rig.system->shutdown();
    CHECK(rig.now() - start >= 2s);
    CHECK(rig.now() - start < 8s);
    CHECK(rig.dev().online_queues() == 0);
  });
}

TEST_CASE("an admin command that hangs while connecting ends the controller") {
  DriverRig rig;
  rig.rules->on_command(fault::admin_command(AdminOpcode::kIdentify, 1), {}, {.drop = true});
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    rig.sleep_ms(10'000);
    CHECK(rig.dev().removed());
  }));
  CHECK(rig.logged("timeout, disable controller") == 1);
  CHECK(rig.logged("Removing after probe failure status: -5") == 1);
  rig.check_nothing_leaked();
}

TEST_CASE("an admin command that hangs during a reset ends the controller, and its disks fail") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->on_command(fault::admin_command(AdminOpcode::kSetFeatures, 7), {}, {.drop = true});
    host::Disk& disk = rig.disk();
    CHECK(rig.ctrl().reset_ctrl_sync() == -ENETRESET);
    rig.sleep_ms(10'000);
    CHECK(rig.dev().removed());
    CHECK(disk.capacity_sectors() == 0);
  });
  CHECK(rig.logged("timeout, disable controller") == 1);
  rig.check_nothing_leaked();
}
