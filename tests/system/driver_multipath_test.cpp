// A namespace behind its head: the names, the path's states, and requests that fail over to the
// only path when it is back, each with the real controller's ANA states and resets.
#include "tests/system/driver_rig.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::CtrlState;
using spec::AnaState;

namespace {

std::vector<std::string> shared(std::vector<std::string> more = {}) {
  more.insert(
      more.end(),
      {"device.controller.namespaces=[{\"shared\":true}]", "device.controller.management.ana=true",
       "device.controller.management.oaes=2048", "device.controller.management.anatt_s=3"});
  return more;
}

// Sets the state of ANA group 1 at a time from now on.
void ana_at(DriverRig& rig, base::Time after, AnaState state) {
  rig.rules->at(rig.now() + after,
                [&rig, state] { rig.system->controller().set_ana_state(1, state); });
}

void through_states(const char* generation) {
  DriverRig rig(shared({std::string("driver.generation=") + generation}));
  rig.after_boot([&] {
    // The log takes its time: until the host has read it, commands are refused by the drive.
    rig.rules->on_command(fault::admin_command(spec::AdminOpcode::kGetLogPage,
                                               static_cast<std::uint8_t>(
                                                   spec::LogPageId::kAsymmetricNamespaceAccess)),
                          fault::kEveryTime, {.delay = 300us});
    for (unsigned i = 0; i < 8; ++i) {
      ana_at(rig, (500 + 4000 * i) * base::Time(1us),
             i % 2 == 0 ? AnaState::kInaccessible : AnaState::kChange);
      ana_at(rig, (2500 + 4000 * i) * base::Time(1us),
             i % 2 == 0 ? AnaState::kOptimized : AnaState::kNonOptimized);
    }
    const base::Time start = rig.now();
    rig.verified_traffic();
    CHECK(rig.now() - start > 2ms);
    rig.sleep_ms(50);
    INFO("took " << base::to_ns(rig.now() - start) << " ns, retries "
                 << rig.statistic("host.nvme.nvme0.retries") << ", failed "
                 << rig.statistic("device.controller.failed_completions"));
    CHECK(rig.ctrl().failovers() > 0);
    CHECK(rig.ctrl().namespaces().front()->head.disk->waiting() == 0);
    CHECK(rig.ctrl().ana_state(1) == 2);
    CHECK(rig.ctrl().resets() == 1);
    rig.verified_traffic();
  });
  CHECK(rig.logged("no usable path - requeuing I/O") >= 1);
  CHECK(rig.logged("failing I/O") == 0);
}

}  // namespace

TEST_CASE(
    "a shared namespace has a head with the disk's name, and a path named after its controller") {
  DriverRig rig(shared());
  rig.after_boot([&] {
    CHECK(rig.system->disk()->name() == "nvme0n1");
    CHECK(rig.disk().name() == "nvme0c0n1");
    CHECK(rig.system->driver().list()[0].node == "/dev/nvme0n1");
    rig.verified_traffic();
    CHECK(rig.ctrl().failovers() == 0);
  });
}

TEST_CASE("with nvme_core.multipath=0 a shared namespace has no head") {
  DriverRig rig(shared({"driver.multipath=false"}));
  rig.after_boot([&] {
    CHECK(rig.disk().name() == "nvme0n1");
    CHECK(rig.system->disk() == &rig.disk());
    CHECK_FALSE(rig.ctrl().has_ana());
    rig.verified_traffic();
  });
}

TEST_CASE("I/O waits while its group is inaccessible or in transition, with its data right, 5.15") {
  through_states("v5_15");
}

TEST_CASE("I/O waits while its group is inaccessible or in transition, with its data right, 6.1") {
  through_states("v6_1");
}

TEST_CASE("without a head an inaccessible group fails the read after its retries") {
  DriverRig rig(shared({"driver.multipath=false"}));
  rig.after_boot([&] {
    rig.system->controller().set_ana_state(1, AnaState::kInaccessible);
    CHECK(rig.read() == BlockStatus::kIoError);
    CHECK(rig.statistic("host.nvme.nvme0.retries") == 5);
  });
}

TEST_CASE("frozen channels under load send bios back to the head, which fails none") {
  DriverRig rig(shared());
  rig.after_boot([&] {
    rig.machine().threads.spawn("errors", [&] {
      for (int i = 0; i < 5; ++i) {
        rig.machine().threads.sleep_for(400us);
        CHECK(rig.dev().error_detected(host::PciChannelState::kFrozen) ==
              host::PciErrorResult::kNeedReset);
        rig.system->controller().function_reset();
        CHECK(rig.dev().slot_reset() == host::PciErrorResult::kRecovered);
        rig.dev().error_resume();
      }
    });
    rig.verified_traffic();
    rig.sleep_ms(100);
    CHECK(rig.ctrl().failovers() > 0);
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    rig.verified_traffic();
    rig.system->remove();
  });
  rig.check_nothing_leaked();
}

TEST_CASE("a transition that lasts longer than twice ANATT resets the controller") {
  DriverRig rig(shared());
  rig.after_boot([&] {
    rig.system->controller().set_ana_state(1, AnaState::kChange);
    rig.sleep_ms(5900);
    CHECK(rig.ctrl().resets() == 1);
    rig.sleep_ms(200);
    CHECK(rig.ctrl().resets() == 2);
  });
  CHECK(rig.logged("ANATT timeout, resetting controller.") == 1);
}

TEST_CASE("bios that wait for an inaccessible namespace fail when its controller is removed") {
  DriverRig rig(shared());
  rig.after_boot([&] {
    host::BlockDevice& head = *rig.system->disk();
    rig.system->controller().set_ana_state(1, AnaState::kInaccessible);
    host::Completion ended(rig.machine().threads);
    host::Bio bio;
    bio.sectors = 8;
    bio.buffer = head.allocate_buffer(4096);
    bio.done = base::Callback::of<&host::Completion::complete>(&ended);
    head.submit(bio);
    rig.sleep_ms(50);
    unsigned open = 0;
    head.for_each_open(
        [](void* count, const host::OpenBio& each) {
          CHECK(each.stage == "a usable path");
          ++*static_cast<unsigned*>(count);
        },
        &open);
    CHECK(open == 1);
    rig.system->remove();
    ended.wait();
    CHECK(bio.status == BlockStatus::kIoError);
    CHECK(bio.stages.spent(base::Stage::kRequeue) > 49ms);
    head.free_buffer(bio.buffer);
  });
  CHECK(rig.logged("no available path - failing I/O") == 1);
  rig.check_nothing_leaked();
}
