// A drive begins as its state file says and leaves there what it remembers without power.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "device/persistent_state.hpp"
#include "sim/system/system.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

std::string state_path(const char* name) {
  const auto file = "nvmesim-state-" + std::to_string(getpid()) + name;
  return (std::filesystem::temp_directory_path() / file).string();
}

device::PersistentState read_back(const std::string& path) {
  std::ifstream stream(path);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  return device::read_state(text, path);
}

system_::SystemConfig config_with(const std::string& path) {
  system_::ConfigRequest request;
  request.drive = NVMESIM_SOURCE_DIR "/tests/golden/linux-6.1-device.json";
  request.settings = {"host.cpus=1", "device.state_file=" + path, "simulation.check_protocol=true"};
  return system_::load_config(request);
}

TEST_CASE("a run writes the state of its drive, and the next one goes on from it") {
  const std::string path = state_path("-next");
  system_::System system(config_with(path));
  REQUIRE(system.run([&] {
    CHECK(system.boot());
    system.shutdown();
  }));
  CHECK(system.protocol_violations() == std::vector<std::string>());
  device::PersistentState before = read_back(path);
  // What the second run finds: the same drive with a longer life behind it.
  CHECK(before.clean_shutdown);
  CHECK(before.counters.power_cycles == 1);
  CHECK(before.counters.unsafe_shutdowns == 0);
  CHECK(before.namespaces.size() == 1);
  before.counters.writes = 1234;
  system.controller().function_reset();
  system.controller().restore(before, path);
  const device::PersistentState after = system.controller().save();
  CHECK(after.counters.power_cycles == 2);
  CHECK(after.counters.writes == 1234);
  CHECK(after.counters.unsafe_shutdowns == 0);
  std::remove(path.c_str());
}

TEST_CASE("a state file of another drive is a user's mistake") {
  const std::string path = state_path("-other");
  device::PersistentState other;
  other.serial_number = "ANOTHER";
  std::ofstream(path) << device::write_state(other);
  CHECK_THROWS_AS(system_::System(config_with(path)), base::UserError);
  std::remove(path.c_str());
}

TEST_CASE("a state file that exists is read before the drive starts") {
  const std::string path = state_path("-read");
  device::PersistentState state;
  state.serial_number = "NVMESIM000000001";
  state.namespaces.push_back(
      {.nsid = 1, .first_unit = 0, .units = 100, .blocks = 800, .attached = 1});
  state.firmware.push_back({true, "7.7", 0});
  state.counters.power_cycles = 41;
  std::ofstream(path) << device::write_state(state);
  system_::System system(config_with(path));
  std::uint64_t sectors = 0;
  REQUIRE(system.run([&] {
    if (system.boot()) sectors = system.disk()->capacity_sectors();
    system.shutdown();
  }));
  CHECK(sectors == 800);
  const device::PersistentState after = read_back(path);
  CHECK(after.counters.power_cycles == 42);
  CHECK(after.counters.unsafe_shutdowns == 1);
  CHECK(after.firmware[0].revision == "7.7");
  std::remove(path.c_str());
}

}  // namespace
}  // namespace nvmesim
