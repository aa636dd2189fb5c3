// What a driver developer provokes, and what the driver does: one fault each, by rules at the
// controller's points; then the outcome, and that the disk works again where it should.
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

const auto kReads = fault::io_command(NvmOpcode::kRead);
const auto kAborts = fault::admin_command(AdminOpcode::kAbort);

// A fault of CSTS from `from` until `until`, both after now.
void csts_fault(DriverRig& rig, base::Time until, std::uint64_t bits) {
  rig.rules->on_register({.offset = spec::kRegCsts},
                         {.count = fault::kAlways, .from = rig.now(), .until = rig.now() + until},
                         [bits](device::RegisterAccess& access) { access.value |= bits; });
}

}  // namespace

TEST_CASE("a read that hangs in the drive is aborted and sent again") {
  DriverRig rig;
  rig.after_boot([&] {
    const auto rule = rig.rules->on_command(kReads, {}, {.drop = true});
    const base::Time start = rig.now();
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.now() - start >= 30s);
    CHECK(rig.now() - start < 37s);
    CHECK(rig.rules->disturbed(rule) == 1);
    CHECK(rig.rules->matched(rule) == 2);
  });
  CHECK(rig.logged("timeout, aborting") == 1);
  CHECK(rig.logged("Abort status: 0x0") == 1);
  CHECK(rig.ctrl().resets() == 1);
  CHECK(rig.ctrl().abort_limit == rig.ctrl().identify_data().acl + 1);
}

TEST_CASE("a read that no Abort finds ends in a reset at its second timeout") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->on_completion(kReads, {}, {.drop = true});
    const base::Time start = rig.now();
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.now() - start >= 60s);
  });
  CHECK(rig.logged("timeout, aborting") == 1);
  CHECK(rig.logged("timeout, reset controller") == 1);
  CHECK(rig.ctrl().resets() == 2);
  CHECK(rig.ctrl().state() == CtrlState::kLive);
}

TEST_CASE("an Abort that is never answered ends in a reset") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->on_command(kReads, {}, {.drop = true});
    rig.rules->on_command(kAborts, {}, {.drop = true});
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("timeout, reset controller") >= 1);
  CHECK(rig.ctrl().resets() == 2);
  CHECK(rig.ctrl().abort_limit == rig.ctrl().identify_data().acl + 1);
}

TEST_CASE("no more Aborts are out than the drive takes") {
  DriverRig rig({"device.controller.acl=1"});
  unsigned most = 0;
  rig.after_boot([&] {
    rig.rules->on_command(kReads, {.count = 6}, {.drop = true});
    // Each Abort takes long enough that all others are due meanwhile.
    const auto aborts = rig.rules->on_command(kAborts, kEveryTime, {.delay = 10s});
    std::vector<std::unique_ptr<host::Bio>> bios;
    host::Completion ended(rig.machine().threads);
    for (unsigned i = 0; i < 6; ++i) {
      bios.push_back(std::make_unique<host::Bio>());
      bios.back()->sectors = 8;
      bios.back()->sector = 8 * i;
      bios.back()->buffer = rig.disk().allocate_buffer(4096);
      bios.back()->done = base::Callback::of<&host::Completion::complete>(&ended);
      rig.disk().submit(*bios.back());
    }
    rig.sleep_ms(38'000);
    most = static_cast<unsigned>(rig.rules->matched(aborts));
    for (unsigned i = 0; i < 6; ++i) ended.wait();
    for (const auto& bio : bios) CHECK(bio->status == BlockStatus::kOk);
  });
  CHECK(most == 2);
}

TEST_CASE("any admin command that runs out of time resets the controller") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->on_command(fault::admin_command(AdminOpcode::kGetLogPage), {}, {.drop = true});
    std::vector<std::byte> log(512);
    CHECK(rig.ctrl().get_log(spec::kNsidAll, 2, log) == -EINTR);
    rig.sleep_ms(1000);
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("timeout, reset controller") == 1);
  CHECK(rig.logged("timeout, aborting") == 0);
  CHECK(rig.ctrl().resets() == 2);
}

TEST_CASE("a completion without its interrupt is found by looking") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->on_interrupt({}, {}, {.drop = true});
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("timeout, completion polled") == 1);
  CHECK(rig.ctrl().resets() == 1);
}

TEST_CASE("a late interrupt costs time and nothing else") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->on_interrupt({}, {}, {.delay = 5ms});
    const base::Time start = rig.now();
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.now() - start >= 5ms);
    CHECK(rig.now() - start < 6ms);
  });
}

TEST_CASE("an interrupt of the wrong vector is nobody's, and the right one is missed") {
  DriverRig rig;
  std::uint64_t none = 0;
  rig.after_boot([&] {
    rig.rules->on_interrupt(1, {}, {}, 2);
    CHECK(rig.read() == BlockStatus::kOk);
    for (const auto& count : rig.machine().interrupts.counts()) none += count.none;
  });
  CHECK(none == 1);
  CHECK(rig.logged("timeout, completion polled") == 1);
}

TEST_CASE("a completion that comes twice is reported the second time") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->on_completion(kReads, {}, {.twice = true});
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.dev().queue(1)->invalid_ids() == 1);
  });
}

TEST_CASE("a completion of another generation or of an unknown tag completes nothing") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->change_completion(1, {}, [](spec::CompletionEntry& entry) { entry.cid ^= 0x1000; });
    CHECK(rig.read() == BlockStatus::kOk);
    rig.rules->change_completion(1, {}, [](spec::CompletionEntry& entry) { entry.cid ^= 0x0200; });
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("genctr mismatch") == 1);
  CHECK(rig.logged("could not locate request for tag") == 1);
  CHECK(rig.logged("completed on queue 1") == 2);
  CHECK(rig.ctrl().resets() == 3);
}

TEST_CASE("a completion with the wrong phase is not seen until the time runs out") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->change_completion(1, {}, [](spec::CompletionEntry& entry) { entry.status ^= 1; });
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("timeout, reset controller") == 1);
}

TEST_CASE("a lost doorbell ends in a reset, because the drive knows no such command") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->on_register({.offset = spec::sq_tail_doorbell(1, 0), .write = true}, {},
                           [](device::RegisterAccess& access) { access.drop = true; });
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("timeout, aborting") == 1);
  CHECK(rig.logged("timeout, reset controller") == 1);
}

TEST_CASE("a doorbell lost on the link is the same, and a delayed one is only late") {
  const auto doorbell = [](base::Splice::Direction direction,
                           const tlm::tlm_generic_payload& payload) {
    return direction == base::Splice::Direction::kDownstream && payload.is_write() &&
           payload.get_data_length() == 4 && (payload.get_address() & 0xffff) == 0x1008;
  };
  // The first is the search for partitions: left alone.
  DriverRig rig(
      {},
      {{.when = doorbell, .nth = 2, .action = fault::RequestRule::Action::kDrop},
       {.when = doorbell, .nth = 3, .action = fault::RequestRule::Action::kDelay, .delay = 1ms}});
  rig.after_boot([&] {
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.logged("timeout, reset controller") == 1);
    rig.ctrl().flush_scan();
    const base::Time start = rig.now();
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.now() - start < 2ms);
  });
  CHECK(rig.system->link_faults()[0]->disturbed() == 1);
  CHECK(rig.system->link_faults()[1]->disturbed() == 1);
}

TEST_CASE("a fatal status is noticed inside a timeout and the controller is reset") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->on_command(kReads, {}, {.drop = true});
    csts_fault(rig, 40s, 2);
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("controller is down; will reset: CSTS=0x3") == 1);
  CHECK(rig.logged("timeout, aborting") == 0);
  CHECK(rig.ctrl().resets() == 2);
}

TEST_CASE("a subsystem reset is noticed inside a timeout and the controller is reset") {
  DriverRig rig({"device.controller.nssrs=true"});
  rig.after_boot([&] {
    CHECK(rig.ctrl().reset_subsystem() == 0);
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    CHECK(rig.read() == BlockStatus::kOk);
  });
  CHECK(rig.logged("controller is down; will reset: CSTS=0x10") == 1);
  CHECK(rig.ctrl().resets() == 2);
}

TEST_CASE("in 6.1 a subsystem reset passes through the states of a reset") {
  DriverRig rig({"device.controller.nssrs=true", "driver.generation=v6_1"});
  rig.after_boot([&] {
    CHECK(rig.ctrl().reset_subsystem() == 0);
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    CHECK(rig.read() == BlockStatus::kOk);
  });
}

TEST_CASE("without subsystem reset support it is refused") {
  DriverRig rig({"device.controller.nssrs=false"});
  rig.after_boot([&] { CHECK(rig.ctrl().reset_subsystem() == -ENOTTY); });
}

TEST_CASE("a status with DNR is final, one without is tried again, five times at most") {
  DriverRig rig;
  rig.after_boot([&] {
    const auto status = [](unsigned word) {
      return [word](spec::CompletionEntry& entry) {
        entry.status = static_cast<std::uint16_t>((entry.status & 1u) | word << 1);
      };
    };
    rig.rules->change_completion(1, {}, status(0x4281));
    CHECK(rig.read() == BlockStatus::kMedium);
    rig.rules->change_completion(1, {}, status(0x0082));
    CHECK(rig.read() == BlockStatus::kOk);
    rig.rules->change_completion(1, {.count = 6}, status(0x0281));
    CHECK(rig.read() == BlockStatus::kMedium);
  });
}

TEST_CASE("at a chosen time the drive breaks, and the next request finds out") {
  DriverRig rig;
  rig.after_boot([&] {
    rig.rules->at(rig.now() + 5ms, [&] {
      rig.rules->on_command(kReads, {}, {.status = Status::kUnrecoveredReadError});
    });
    CHECK(rig.read() == BlockStatus::kOk);
    rig.sleep_ms(10);
    CHECK(rig.read() == BlockStatus::kOk);  // the retry
  });
  std::uint64_t retries = 0;
  for (const base::Statistic& statistic : rig.system->statistics().statistics())
    if (statistic.name == "host.nvme.nvme0.retries") retries = statistic.value();
  CHECK(retries == 1);
}

TEST_CASE("a polled queue's request that hangs is aborted too") {
  DriverRig rig({"driver.poll_queues=1"});
  rig.after_boot([&] {
    rig.rules->on_command(kReads, {}, {.drop = true});
    host::Completion ended(rig.machine().threads);
    host::Bio bio;
    bio.sectors = 8;
    bio.polled = true;
    bio.buffer = rig.disk().allocate_buffer(4096);
    bio.done = base::Callback::of<&host::Completion::complete>(&ended);
    rig.disk().submit(bio);
    ended.wait();
    CHECK(bio.status == BlockStatus::kOk);
    rig.disk().free_buffer(bio.buffer);
  });
  CHECK(rig.logged("timeout, aborting") == 1);
}
