// The life of a controller beyond its probe: reset, sleep, function level reset, PCI errors,
// removal and rescan; each time the disk works afterwards, or fails as it should.
#include "tests/system/driver_load.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::CtrlState;
using host::PciChannelState;
using host::PciErrorResult;
using host::SuspendKind;
using spec::AdminOpcode;

TEST_CASE("under load a reset loses no request and fails none") {
  DriverRig rig;
  rig.after_boot([&] {
    Load load(rig, rig.disk());
    rig.sleep_ms(1);
    const unsigned before = load.ended;
    CHECK(before > 100);
    CHECK(rig.ctrl().reset_ctrl_sync() == 0);
    rig.sleep_ms(1);
    load.stop();
    CHECK(load.ended > before + 100);
    CHECK(load.failed == 0);
    CHECK(rig.dev().tags_in_use() == 0);
    CHECK(rig.dev().pool_blocks_in_use() == 0);
  });
}

TEST_CASE("a drive without power states is shut down in suspend and reset in resume") {
  DriverRig rig;
  rig.after_boot([&] {
    Load load(rig, rig.disk());
    rig.sleep_ms(1);
    CHECK(rig.dev().suspend(SuspendKind::kToRam) == 0);
    CHECK(rig.ctrl().state() == CtrlState::kResetting);
    const unsigned asleep = load.ended;
    rig.sleep_ms(5000);
    CHECK(load.ended == asleep);
    CHECK(rig.dev().resume() == 0);
    rig.ctrl().flush_reset();
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    rig.sleep_ms(1);
    load.stop();
    CHECK(load.failed == 0);
    CHECK(load.ended > asleep + 100);
  });
}

TEST_CASE("a resume without suspend is refused, and I/O goes on") {
  DriverRig rig;
  rig.after_boot([&] {
    CHECK(rig.dev().resume() == -EBUSY);
    CHECK(rig.read() == BlockStatus::kOk);
  });
}

TEST_CASE("a function level reset under load loses no request and fails none") {
  DriverRig rig;
  rig.after_boot([&] {
    Load load(rig, rig.disk());
    rig.sleep_ms(1);
    CHECK(rig.dev().reset_function() == 0);
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    rig.sleep_ms(1);
    load.stop();
    CHECK(load.failed == 0);
    CHECK(rig.dev().tags_in_use() == 0);
  });
}

TEST_CASE("a PCI error that stopped nothing needs nothing") {
  DriverRig rig;
  rig.after_boot([&] {
    CHECK(rig.dev().error_detected(PciChannelState::kNormal) == PciErrorResult::kCanRecover);
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.ctrl().resets() == 1);
  });
}

TEST_CASE("a frozen channel is disabled, reset and brought up again, under load") {
  DriverRig rig;
  rig.after_boot([&] {
    Load load(rig, rig.disk());
    rig.sleep_ms(1);
    CHECK(rig.dev().error_detected(PciChannelState::kFrozen) == PciErrorResult::kNeedReset);
    rig.system->controller().function_reset();
    CHECK(rig.dev().slot_reset() == PciErrorResult::kRecovered);
    rig.dev().error_resume();
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    rig.sleep_ms(1);
    load.stop();
    CHECK(load.failed == 0);
  });
  CHECK(rig.logged("frozen state error detected, reset controller") == 1);
  CHECK(rig.logged("restart after slot reset") == 1);
}

TEST_CASE("a permanent failure asks to be disconnected, and removal fails what is open") {
  DriverRig rig;
  rig.after_boot([&] {
    host::Disk& disk = rig.disk();
    Load load(rig, disk);
    rig.sleep_ms(1);
    CHECK(rig.dev().error_detected(PciChannelState::kPermanentFailure) ==
          PciErrorResult::kDisconnect);
    load.quit();
    rig.system->remove();
    load.stop();
  });
  CHECK(rig.dev().removed());
}

TEST_CASE("removed and found again the drive has the same name and data") {
  DriverRig rig;
  rig.after_boot([&] {
    CHECK(rig.io(BioOp::kWrite, 80) == BlockStatus::kOk);
    rig.system->remove();
    CHECK(rig.system->disk() == nullptr);
    CHECK(rig.system->rescan());
    CHECK(rig.system->disk()->name() == "nvme0n1");
    host::Bio bio;
    host::Completion ended(rig.machine().threads);
    bio.sector = 80;
    bio.sectors = 8;
    bio.buffer = rig.system->disk()->allocate_buffer(4096);
    bio.done = base::Callback::of<&host::Completion::complete>(&ended);
    rig.system->disk()->submit(bio);
    ended.wait();
    CHECK(bio.status == BlockStatus::kOk);
    rig.system->disk()->free_buffer(bio.buffer);
    rig.system->remove();
  });
  CHECK(rig.machine().pages.coherent_bytes_in_use() == 0);
  CHECK(rig.machine().interrupts.vectors_in_use() == 0);
}

TEST_CASE("a shut-down controller answers no more and removal after it is quiet") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.system->shutdown();
    CHECK(rig.ctrl().state() == CtrlState::kResetting);
    CHECK(rig.ctrl().reset_ctrl() == -EBUSY);
    rig.system->remove();
  });
  rig.check_nothing_leaked();
}

TEST_CASE("a drive that was pulled out is taken down without a word to it") {
  // From the 1st I/O read on nothing gets through any more.
  bool pulled = false;
  DriverRig rig({}, {{.when = [&pulled](auto, const auto&) { return pulled; },
                      .count = ~0ull,
                      .action = fault::RequestRule::Action::kFail}});
  rig.after_boot([&] {
    host::Disk& disk = rig.disk();
    Load load(rig, disk);
    rig.sleep_ms(1);
    pulled = true;
    load.quit();
    rig.system->remove();
    load.stop();
    CHECK(rig.ctrl().state() == CtrlState::kDeletingNoIo);  // by way of DEAD
  });
  rig.check_nothing_leaked();
}
