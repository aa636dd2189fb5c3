// Commands of user space with their effects, keep alive, and suspend, in front of a scripted
// device.
#include <algorithm>
#include <cstring>

#include "tests/unit/host/nvme/probe_check.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::BioOp;
using host::BlockStatus;
using host::Generation;

namespace {

using Answer = ScriptedDevice::Answer;
using Script = std::optional<Answer>;

// The effects log says that Set Features changes the controller: only then is its Keep Alive
// noticed.
void give_effects(ScriptedRig& rig, std::uint8_t opcode, std::uint32_t effects) {
  rig.device.identify.lpa = 2;
  rig.device.script = [&rig, opcode, effects](std::uint16_t qid,
                                              const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 2 && (entry.cdw10 & 0xff) == 5)
      rig.machine.memory.store(entry.prp1 + std::uint64_t{opcode} * 4, effects);
    return {};
  };
}

void set_keep_alive(ScriptedRig& rig, std::uint32_t milliseconds) {
  host::NvmeCtrl::Passthrough command;
  command.command.opc = 9;
  command.command.cdw10 = 0xf;
  command.command.cdw11 = milliseconds;
  CHECK(rig.ctrl().passthru(command) == 0);
}

}  // namespace

TEST_CASE("a user's command is refused while the controller is not live") {
  ScriptedRig rig(config_of(Generation::v5_15));
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    host::NvmeCtrl::Passthrough command;
    command.command.opc = 0x0a;
    command.command.cdw10 = 2;
    CHECK(rig.ctrl().passthru(command) == 0);
    rig.driver->shutdown();
    CHECK(rig.ctrl().state() == host::CtrlState::kResetting);
    // The queue is open so that waiting commands fail, but it is disabled.
    CHECK(rig.ctrl().passthru(command) != 0);
  }));
}

TEST_CASE("a format by the user rests all I/O and is followed by a scan") {
  ScriptedRig rig(config_of(Generation::v5_15));
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.wire.clear();
    rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (qid == 0 && entry.opc == 0x80) {
        CHECK(rig.disk().queue().frozen());
        rig.device.ns.lbaf[0].lbads = 12;
        rig.device.ns.nsze = rig.device.ns.ncap = 1 << 17;
      }
      return {};
    };
    host::NvmeCtrl::Passthrough command;
    command.command.opc = 0x80;
    command.command.nsid = 1;
    CHECK(rig.ctrl().passthru(command) == 0);
    CHECK_FALSE(rig.disk().queue().frozen());
    CHECK(rig.disk().limits().logical_block_bytes == 4096);
    const std::vector<std::string> scan{"80 nsid 1 0 0", "06 nsid 0 2 0", "06 nsid 1 3 0",
                                        "06 nsid 1 0 0"};
    CHECK(rig.device.wire == scan);
  }));
}

TEST_CASE("a command that may change the controller is followed by its identification") {
  ScriptedRig rig(config_of(Generation::v5_15));
  give_effects(rig, 0x10, 1 | 1 << 4);  // firmware commit
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.wire.clear();
    host::NvmeCtrl::Passthrough command;
    command.command.opc = 0x10;
    CHECK(rig.ctrl().passthru(command) == 0);
    CHECK(rig.device.wire.at(0) == "10 nsid 0 0 0");
    CHECK(rig.device.wire.at(1) == "R VS");
    CHECK(rig.device.wire.at(2) == "06 nsid 0 1 0");
  }));
}

TEST_CASE("keep alive asks for a reserved tag that PCI has not, and resets") {
  ScriptedRig rig(config_of(Generation::v5_15));
  give_effects(rig, 0x09, 1 | 1 << 1);
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    set_keep_alive(rig, 3500);
    CHECK(rig.ctrl().kato() == 4);
    rig.machine.threads.msleep(2500);
    CHECK(rig.logged("keep-alive failed"));
    CHECK(rig.ctrl().resets() == 2);
  }));
}

TEST_CASE("a drive that counts traffic as keep alive is left alone as long as there is some") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.ctratt = 1 << 6;
  rig.device.identify.kas = 10;
  give_effects(rig, 0x09, 1 | 1 << 1);
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    set_keep_alive(rig, 2000);
    for (int i = 0; i < 5; ++i) {
      CHECK(rig.read_block() == BlockStatus::kOk);
      rig.machine.threads.msleep(900);
    }
    CHECK(rig.ctrl().resets() == 1);
    rig.machine.threads.msleep(3000);
    CHECK(rig.ctrl().resets() >= 2);
  }));
}

TEST_CASE("suspend to idle uses the deepest power state, and resume goes back") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.npss = 4;
  rig.device.identify.hmpre = 1024;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (qid == 0 && entry.opc == 10) return Answer{.result = 2};
      return {};
    };
    rig.device.wire.clear();
    CHECK(rig.dev().suspend(host::SuspendKind::kToIdle) == 0);
    CHECK(rig.ctrl().state() == host::CtrlState::kLive);
    CHECK(rig.dev().resume() == 0);
    CHECK(rig.read_block() == BlockStatus::kOk);
  }));
  CHECK(rig.device.wire == std::vector<std::string>{"09 nsid 0 d 0", "0a nsid 0 2 0",
                                                    "09 nsid 0 2 4", "09 nsid 0 2 2",
                                                    "09 nsid 0 d 3"});
}

TEST_CASE("a drive that refuses its deepest power state is shut down instead") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.npss = 4;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (qid == 0 && entry.opc == 9 && entry.cdw10 == 2) return Answer{.status = 2};
      return {};
    };
    CHECK(rig.dev().suspend(host::SuspendKind::kToIdle) == 0);
    CHECK(rig.ctrl().state() == host::CtrlState::kResetting);
    rig.device.script = nullptr;
    CHECK(rig.dev().resume() == 0);
    rig.ctrl().flush_reset();
    CHECK(rig.ctrl().state() == host::CtrlState::kLive);
    CHECK(rig.read_block() == BlockStatus::kOk);
  }));
}

TEST_CASE("firmware that wants drives shut down, or links that may not sleep, are obeyed") {
  RigConfig config = config_of(Generation::v5_15);
  config.host.storage_d3 = true;
  ScriptedRig rig(config);
  rig.device.identify.npss = 4;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.dev().suspend(host::SuspendKind::kToIdle) == 0);
    CHECK(rig.ctrl().state() == host::CtrlState::kResetting);
  }));
}
