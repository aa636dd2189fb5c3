// Bring-up against a scripted device: each conditional access and command is there when the device
// has what it asks for, in its place, and only then.
#include <algorithm>

#include "tests/unit/host/nvme/probe_check.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::Generation;

namespace {

RigConfig eight_processors(Generation generation) {
  RigConfig config = config_of(generation);
  config.host.cpus = 8;
  return config;
}

// The drive says that it activates firmware, and takes 500 ms for it.
void for_firmware_activation(Generation generation) {
  ScriptedRig rig(eight_processors(generation));
  rig.device.identify.oaes = 1 << 9;
  rig.device.identify.mtfa = 10;
  base::Time waited{0};
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.machine.threads.msleep(1);
    rig.device.csts_extra = 0x20;
    rig.device.fire_event(0x000102);
    rig.machine.threads.msleep(10);
    CHECK(rig.ctrl().state() == host::CtrlState::kResetting);
    CHECK(rig.device.event_requested() == (generation == Generation::v5_15));
    rig.machine.threads.spawn("firmware", [&] {
      rig.machine.threads.msleep(490);
      rig.device.csts_extra = 0;
    });
    const base::Time start = rig.scheduler.now();
    CHECK(rig.read_block() == host::BlockStatus::kOk);
    waited = rig.scheduler.now() - start;
    rig.machine.threads.msleep(1);
    CHECK(rig.ctrl().state() == host::CtrlState::kLive);
    CHECK(rig.device.event_requested());
  }));
  CHECK(waited >= 490ms);
  CHECK(waited <= 600ms);
  CHECK(rig.ctrl().resets() == 1);
  const auto& wire = rig.device.wire;
  CHECK(std::count(wire.begin(), wire.end(), "02 nsid ffffffff 7f0003 0") == 1);
}

// The drive reports a persistent internal error.
void persistent_error(Generation generation, std::uint64_t resets) {
  ScriptedRig rig(eight_processors(generation));
  rig.device.identify.oaes = 1 << 8;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.machine.threads.msleep(1);
    rig.device.fire_event(0x000300);
    rig.machine.threads.msleep(100);
    CHECK(rig.ctrl().resets() == resets);
    CHECK(rig.ctrl().state() == host::CtrlState::kLive);
    CHECK(rig.device.event_requested());
    CHECK(rig.read_block() == host::BlockStatus::kOk);
  }));
  CHECK(rig.logged("resetting controller due to persistent internal error") == (resets == 2));
}

}  // namespace

TEST_CASE("probe of a plain device goes over the wire in the order of 5.15") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  check_probe(rig, Generation::v5_15, {});
  CHECK(rig.logged("nvme nvme0: pci function 0000:01:00.0"));
  CHECK(rig.logged("nvme nvme0: 8/0/0 default/read/poll queues"));
}

TEST_CASE("probe of a plain device goes over the wire in the order of 6.1") {
  ScriptedRig rig(eight_processors(Generation::v6_1));
  check_probe(rig, Generation::v6_1, {});
}

TEST_CASE("a device with every optional thing is asked and told in order by 5.15") {
  RigConfig config = eight_processors(Generation::v5_15);
  config.driver.hwmon = true;
  ScriptedRig rig(config);
  rig.device.cap.set(36, 36, 1);
  rig.device.cap.set(57, 57, 1);
  rig.device.csts_extra = 0x10;
  rig.device.identify.lpa = 2;
  rig.device.identify.apsta = 1;
  rig.device.identify.npss = 1;
  rig.device.identify.oncs = 1 << 6;
  rig.device.identify.crdt1 = 1;
  Features features;
  features.cmbs = features.nssrs = features.nssro = features.effects = features.apst =
      features.timestamp = features.crdt = features.hwmon = true;
  check_probe(rig, Generation::v5_15, features);
}

TEST_CASE("a device with every optional thing is asked and told in order by 6.1") {
  RigConfig config = eight_processors(Generation::v6_1);
  config.driver.hwmon = true;
  ScriptedRig rig(config);
  rig.device.cap.set(36, 36, 1);
  rig.device.identify.lpa = 2;
  rig.device.identify.apsta = 1;
  rig.device.identify.oncs = 1 << 6;
  rig.device.identify.crdt1 = 1;
  Features features;
  features.nssrs = features.effects = features.apst = features.timestamp = features.crdt =
      features.hwmon = true;
  check_probe(rig, Generation::v6_1, features);
}

TEST_CASE("a device of version 1.0 is scanned one namespace after the other") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.version = 0x10000;
  Features features;
  features.version = 0x10000;
  check_probe(rig, Generation::v5_15, features);
}

TEST_CASE("a device of version 1.2 is asked for no namespace descriptors") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.version = 0x10200;
  Features features;
  features.version = 0x10200;
  check_probe(rig, Generation::v5_15, features);
}

TEST_CASE("doorbells lie as far apart as the device says") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.cap.set(35, 32, 2);
  check_probe(rig, Generation::v5_15, {});
}

TEST_CASE("write and poll queues are asked for, split, and polled ones get no interrupt") {
  RigConfig config = eight_processors(Generation::v6_1);
  config.host.cpus = 1;
  config.driver.write_queues = 1;
  config.driver.poll_queues = 1;
  ScriptedRig rig(config);
  Features features;
  features.queues = features.created = 3;
  features.polled = 1;
  check_probe(rig, Generation::v6_1, features);
  CHECK(rig.logged("1/1/1 default/read/poll queues"));
}

TEST_CASE("a device that grants fewer queues gets as many as the smaller of its two numbers") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.script =
      [](std::uint16_t qid,
         const spec::SubmissionEntry& entry) -> std::optional<ScriptedDevice::Answer> {
    if (qid != 0 || entry.opc != 9 || entry.cdw10 != 7) return {};
    return ScriptedDevice::Answer{.result = 4u | 2u << 16};
  };
  Features features;
  features.created = 3;
  check_probe(rig, Generation::v5_15, features);
}

TEST_CASE("a device with short queues gets queues of that depth") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.cap.set(15, 0, 31);
  Features features;
  features.depth = 32;
  check_probe(rig, Generation::v5_15, features);
}

TEST_CASE("a device that refuses queues stays as an admin-only controller") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.script =
      [](std::uint16_t,
         const spec::SubmissionEntry& entry) -> std::optional<ScriptedDevice::Answer> {
    if (entry.opc != 9 || entry.cdw10 != 7) return {};
    return ScriptedDevice::Answer{.status = 0x6};
  };
  bool live = false;
  REQUIRE(rig.run([&] { live = rig.boot(); }));
  CHECK(live);
  CHECK(rig.driver->disks().empty());
  CHECK(rig.logged("Could not set queue count"));
  CHECK(rig.logged("IO queues not created"));
}

TEST_CASE("a device that refuses the third queue is set up again with two") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.script =
      [](std::uint16_t qid,
         const spec::SubmissionEntry& entry) -> std::optional<ScriptedDevice::Answer> {
    if (qid != 0 || entry.opc != 5 || (entry.cdw10 & 0xffff) != 3) return {};
    return ScriptedDevice::Answer{.status = 0x101};
  };
  bool live = false;
  REQUIRE(rig.run([&] { live = rig.boot(); }));
  CHECK(live);
  CHECK(rig.dev().online_queues() == 3);
  CHECK(rig.logged("2/0/0 default/read/poll queues"));
  unsigned deleted = 0;
  for (const std::string& line : rig.device.wire) deleted += line.rfind("00 ", 0) == 0;
  CHECK(deleted == 2);
}

TEST_CASE(
    "an event request follows only where the device offers events, and a changed namespace is "
    "found") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.identify.oaes = 1 << 8;
  rig.device.identify.nn = 2;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.machine.threads.msleep(1);
    CHECK(rig.device.event_requested());
    CHECK(rig.driver->disks().size() == 1);
    rig.device.nsids = {1, 2};
    rig.device.fire_event(0x040002);
    rig.machine.threads.msleep(5);
    CHECK(rig.driver->disks().size() == 2);
    CHECK(rig.device.event_requested());
    rig.device.nsids = {2};
    rig.device.fire_event(0x040002);
    rig.machine.threads.msleep(5);
    CHECK(rig.driver->disks().size() == 1);
    CHECK(rig.disk().name() == "nvme0n2");
  }));
  const auto& wire = rig.device.wire;
  CHECK(std::count(wire.begin(), wire.end(), "09 nsid 0 b 100") == 1);
  CHECK(std::count(wire.begin(), wire.end(), "0c nsid 0 0 0") == 3);
  CHECK(std::count(wire.begin(), wire.end(), "02 nsid ffffffff 3ff0004 0") == 2);
}

TEST_CASE("I/O rests while the drive activates firmware, and goes on when it has") {
  for_firmware_activation(Generation::v5_15);
}

TEST_CASE("in 6.1 the next event is asked for only after the firmware is active") {
  for_firmware_activation(Generation::v6_1);
}

TEST_CASE("a firmware activation that takes longer than announced ends in a reset") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.identify.oaes = 1 << 9;
  rig.device.identify.mtfa = 3;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.machine.threads.msleep(1);
    rig.device.csts_extra = 0x20;
    rig.device.fire_event(0x000102);
    rig.machine.threads.msleep(600);
    rig.device.csts_extra = 0;
    rig.machine.threads.msleep(100);
    CHECK(rig.ctrl().state() == host::CtrlState::kLive);
    CHECK(rig.read_block() == host::BlockStatus::kOk);
  }));
  CHECK(rig.logged("Fw activation timeout, reset controller"));
  CHECK(rig.ctrl().resets() == 2);
}

TEST_CASE("a persistent internal error is for user space in 5.15: the next event is asked for") {
  persistent_error(Generation::v5_15, 1);
}

TEST_CASE("a persistent internal error resets the controller in 6.1") {
  persistent_error(Generation::v6_1, 2);
}

TEST_CASE("a device that never becomes ready is given up after the time it asked for") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.ready_follows_enable = false;
  bool live = true;
  REQUIRE(rig.run([&] {
    live = rig.boot();
    rig.machine.threads.msleep(1000);
  }));
  CHECK_FALSE(live);
  CHECK(rig.logged("Device not ready; aborting initialisation, CSTS=0x0"));
  CHECK(rig.logged("Removing after probe failure status: -19"));
  CHECK(rig.dev().removed());
  CHECK(rig.scheduler.now() > 10s);
  CHECK(rig.machine.pages.coherent_bytes_in_use() == 0);
  CHECK(rig.machine.interrupts.vectors_in_use() == 0);
}

TEST_CASE("a device whose registers read as ones is given up at once") {
  ScriptedRig rig(eight_processors(Generation::v5_15));
  rig.device.gone = true;
  bool live = true;
  REQUIRE(rig.run([&] {
    live = rig.boot();
    rig.machine.threads.msleep(100);
  }));
  CHECK_FALSE(live);
  CHECK(rig.dev().removed());
  CHECK(rig.device.wire.front() == "R CSTS");
}
