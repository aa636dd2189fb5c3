// A drive begins as it was saved and remembers what it does without power.
#include "device/persistent_state.hpp"
#include "sim/system/drive_state.hpp"
#include "sim/system/system.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

system_::SystemConfig drive() {
  system_::ConfigRequest request;
  request.drive = NVMESIM_SOURCE_DIR "/tests/golden/linux-6.1-device.json";
  request.settings = {"host.cpus=1"};
  return system_::load_config(request);
}

device::PersistentState used_drive(std::uint64_t blocks) {
  device::PersistentState state;
  state.serial_number = "NVMESIM000000001";
  state.namespaces.push_back(
      {.nsid = 1, .first_unit = 0, .units = blocks / 8, .blocks = blocks, .attached = 1});
  state.firmware.push_back({true, "7.7", 0});
  state.counters.power_cycles = 41;
  return state;
}

TEST_CASE("a saved drive has been shut down cleanly, and counts its lives") {
  system_::System system(drive());
  device::PersistentState before;
  REQUIRE(system.run([&] {
    CHECK(system.boot());
    system.shutdown();
    before = system.controller().save();
  }));
  CHECK(before.clean_shutdown);
  CHECK(before.counters.power_cycles == 1);
  CHECK(before.counters.unsafe_shutdowns == 0);
  CHECK(before.namespaces.size() == 1);
  before.counters.writes = 1234;
  system.controller().function_reset();
  system.controller().restore(before, "before");
  const device::PersistentState after = system.controller().save();
  CHECK(after.counters.power_cycles == 2);
  CHECK(after.counters.writes == 1234);
  CHECK(after.counters.unsafe_shutdowns == 0);
}

TEST_CASE("the state of another drive is a user's mistake") {
  system_::System system(drive());
  device::PersistentState other = used_drive(800);
  other.serial_number = "ANOTHER";
  CHECK_THROWS_AS(system.controller().restore(other, "other"), base::UserError);
}

TEST_CASE("a drive that is loaded goes on as it was saved") {
  system_::System system(drive());
  system.controller().restore(used_drive(800), "first");
  const std::string file = system_::save_drive(system.controller(), system.media());
  system.controller().restore(used_drive(1600), "second");
  system_::load_drive(file, "file", system.controller(), system.media());
  std::uint64_t sectors = 0;
  device::PersistentState after;
  REQUIRE(system.run([&] {
    if (system.boot()) sectors = system.disk()->capacity_sectors();
    system.shutdown();
    after = system.controller().save();
  }));
  CHECK(sectors == 800);
  CHECK(after.firmware[0].revision == "7.7");
  CHECK(after.counters.power_cycles == 43);  // 41, and two times on
}

TEST_CASE("the state of media alone is not one of a drive") {
  system_::System system(drive());
  system.media().power_cut();
  const std::string file = system.media().save();
  CHECK_THROWS_AS(system_::load_drive(file, "file", system.controller(), system.media()),
                  base::UserError);
}

}  // namespace
}  // namespace nvmesim
