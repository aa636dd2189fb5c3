// Where Linux itself is wrong, and the driver with it.
//
// Shadow doorbells: 5.15 keeps the event indexes that the drive wrote before a reset
// (GenerationFacts::shadow_doorbells_zeroed), and this drive writes none when it is told of the
// buffers again: the driver takes an index of before for the drive's wish not to be rung.
// Controller memory: a function level reset switches it off (CMBMSC), and no generation switches it
// on again: what lies in it then is nothing to the drive.
#include "tests/system/driver_load.hpp"

using namespace nvmesim;
using namespace nvmesim::test;

namespace {

std::vector<std::string> shadows(const char* generation, const char* namespaces) {
  return {std::string("driver.generation=") + generation, "driver.io_timeout=1",
          "device.controller.doorbell_buffer_config=true",
          std::string("device.controller.namespaces=") + namespaces};
}

// Ten reads by one queue leave its event index at 10 or more; then the controller is reset.
void use_and_reset(DriverRig& rig) {
  for (unsigned i = 0; i < 10; ++i) CHECK(rig.read() == BlockStatus::kOk);
  rig.sleep_ms(1);
  CHECK(rig.ctrl().reset_ctrl_sync() == 0);
  rig.ctrl().flush_scan();
}

base::Time first_read_after_reset(DriverRig& rig) {
  use_and_reset(rig);
  const base::Time start = rig.now();
  CHECK(rig.read() == BlockStatus::kOk);
  return rig.now() - start;
}

// Through the head. True if it ends within ten seconds.
bool head_read_ends(DriverRig& rig) {
  use_and_reset(rig);
  host::BlockDevice& head = *rig.system->disk();
  bool ended = false;
  struct Note {
    bool* flag;
    void set() { *flag = true; }
  } note{&ended};
  host::Bio bio;
  bio.sectors = 8;
  bio.buffer = head.allocate_buffer(4096);
  bio.done = base::Callback::of<&Note::set>(&note);
  head.submit(bio);
  rig.sleep_ms(10'000);
  const bool result = ended;
  rig.system->remove();  // what hangs ends here at the latest
  rig.sleep_ms(1);
  CHECK(ended);
  return result;
}

void loses_its_queues(const char* generation) {
  DriverRig rig({std::string("driver.generation=") + generation, "driver.io_timeout=1",
                 "device.controller.cmb.pages=512"});
  REQUIRE(rig.system->run([&] {
    CHECK(rig.system->boot());
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.dev().queue(1)->in_controller_memory());
    CHECK(rig.ctrl().reset_ctrl_sync() == 0);  // this kind of reset leaves CMBMSC alone
    CHECK(rig.read() == BlockStatus::kOk);
    host::Disk& disk = rig.disk();
    host::Completion ended(rig.machine().threads);
    host::Bio bio;
    bio.sectors = 8;
    bio.buffer = disk.allocate_buffer(4096);
    bio.done = base::Callback::of<&host::Completion::complete>(&ended);
    CHECK(rig.dev().reset_function() == 0);
    disk.submit(bio);
    ended.wait();
    CHECK(bio.status != BlockStatus::kOk);
    disk.free_buffer(bio.buffer);
  }));
}

// The same with a request open all the time: it is sent again while the controller comes up, and
// runs out of time there, so that the controller is disabled in the middle of its reset.
void is_disabled_while_it_resets(const char* generation) {
  DriverRig rig({std::string("driver.generation=") + generation, "driver.io_timeout=1",
                 "device.controller.cmb.pages=512"});
  REQUIRE(rig.system->run([&] {
    CHECK(rig.system->boot());
    Load load(rig, rig.disk());
    rig.machine().threads.sleep_for(100us);
    load.quit();
    CHECK(rig.dev().reset_function() == 0);
    load.stop();
    CHECK(load.failed > 0);
    rig.sleep_ms(1000);
    CHECK(rig.dev().removed());
  }));
  CHECK(rig.logged("timeout, disable controller") >= 1);
  CHECK(rig.logged("Removing after probe failure status: -19") == 1);
  rig.check_nothing_leaked();
}

constexpr const char* kPrivate = "[{}]";
constexpr const char* kShared = "[{\"shared\":true}]";

}  // namespace

TEST_CASE("5.15 does not ring after a reset: the first read waits until its time runs out twice") {
  DriverRig rig(shadows("v5_15", kPrivate));
  rig.after_boot([&] {
    const base::Time took = first_read_after_reset(rig);
    CHECK(took > 2s);
    CHECK(rig.statistic("host.nvme.nvme0.aborts") == 1);
    CHECK(rig.statistic("host.nvme.nvme0.timeouts") == 2);
    CHECK(rig.ctrl().resets() == 3);  // the start, the test's, and the one for the second time-out
  });
}

TEST_CASE("6.1 clears the event indexes at a reset, and its first read is rung") {
  DriverRig rig(shadows("v6_1", kPrivate));
  rig.after_boot([&] {
    CHECK(first_read_after_reset(rig) < 1ms);
    CHECK(rig.statistic("host.nvme.nvme0.timeouts") == 0);
  });
}

// Requests that a reset gave up go back to the head, which sends them when the controller is live:
// once more behind the stale index. Without a head they are sent again while it comes up, when the
// register is still written.
TEST_CASE("behind a head the read that 5.15 did not ring goes from reset to reset and never ends") {
  DriverRig rig(shadows("v5_15", kShared));
  rig.after_boot([&] {
    CHECK_FALSE(head_read_ends(rig));
    CHECK(rig.ctrl().resets() >= 4);
    CHECK(rig.ctrl().failovers() >= 2);
  });
}

TEST_CASE("behind a head the first read of 6.1 after a reset ends") {
  DriverRig rig(shadows("v6_1", kShared));
  rig.after_boot([&] {
    CHECK(head_read_ends(rig));
    CHECK(rig.ctrl().resets() == 2);
    CHECK(rig.ctrl().failovers() == 0);
  });
}

TEST_CASE("queues in the drive's memory are lost at a function level reset, 5.15") {
  loses_its_queues("v5_15");
}

TEST_CASE("queues in the drive's memory are lost at a function level reset, 6.1") {
  loses_its_queues("v6_1");
}

TEST_CASE("a controller that is disabled while it resets is given up, 5.15") {
  is_disabled_while_it_resets("v5_15");
}

TEST_CASE("a controller that is disabled while it resets is given up, 6.1") {
  is_disabled_while_it_resets("v6_1");
}
