// The order of a probe on the wire: against recordings of an unmodified Linux 6.1, and line by line
// for 5.15. Addresses, times, command ids and the MSI-X table (the host's interrupt layer) apart.
#include <algorithm>

#include "device/spec/registers.hpp"
#include "host/nvme/dev.hpp"
#include "sim/fault/rules.hpp"
#include "sim/system/system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/wire_lines.hpp"

namespace nvmesim {
namespace {

using test::essences;
using test::Lines;

// The recorded function keeps CSTS.SHST over a controller reset, which clears it in ours (and by
// the specification): reads of CSTS are changed to what that function would say.
void keep_shutdown_status(fault::Rules& rules) {
  rules.on_register({.offset = device::spec::kRegCsts}, fault::kEveryTime,
                    [was_shut_down = false](device::RegisterAccess& access) mutable {
                      was_shut_down |= (access.value & 0xc) == 8;
                      if (was_shut_down) access.value = (access.value & ~std::uint64_t{0xc}) | 8;
                    });
}

template <class F>
Lines wire_of(const system_::ConfigRequest& request, F scenario,
              void (*faults)(fault::Rules& rules) = nullptr) {
  Lines lines;
  std::unique_ptr<fault::Rules> rules;
  system_::SystemHooks hooks;
  hooks.built = [&](system_::System& built) {
    rules = std::make_unique<fault::Rules>(built.scheduler());
    if (faults != nullptr) faults(*rules);
    rules->arm(built.controller().points());
  };
  hooks.wire_trace = [&](std::string_view line) { lines.emplace_back(line); };
  system_::System system(system_::load_config(request), std::move(hooks));
  const bool ended = system.run([&] {
    CHECK(system.boot());
    scenario(system);
    system.shutdown();
  });
  REQUIRE(ended);
  CHECK(system.protocol_violations().empty());
  return essences(lines);
}

Lines probe_and_shut_down(const system_::ConfigRequest& request) {
  return wire_of(request, [](system_::System&) {});
}

void read_hundred(system_::System& system) {
  host::BlockDevice& disk = *system.disk();
  host::Completion ended(system.machine().threads);
  host::Bio bio;
  bio.sectors = 8;
  bio.buffer = disk.allocate_buffer(4096);
  bio.done = base::Callback::of<&host::Completion::complete>(&ended);
  for (unsigned i = 0; i < 100; ++i) {
    bio.sector = 8 * i;
    disk.submit(bio);
    ended.wait();
    CHECK(bio.status == host::BlockStatus::kOk);
  }
  disk.free_buffer(bio.buffer);
}

system_::ConfigRequest recorded_device(const std::string& generation) {
  system_::ConfigRequest request;
  request.drive = NVMESIM_SOURCE_DIR "/tests/golden/linux-6.1-device.json";
  // The recorded kernels were built for one processor.
  request.settings = {"host.cpus=1", "host.smp=false", "driver.generation=" + generation,
                      "simulation.check_protocol=true"};
  return request;
}

Lines recording(const std::string& name) {
  return essences(test::read_lines(NVMESIM_SOURCE_DIR "/tests/golden/" + name));
}

TEST_CASE("probe and shutdown equal the recording of Linux 6.1") {
  const Lines expected = recording("linux-6.1-probe-shutdown.txt");
  REQUIRE(expected.size() > 25);
  CHECK(probe_and_shut_down(recorded_device("v6_1")) == expected);
}

TEST_CASE("with temperature monitoring it equals the recording of Linux 6.1") {
  auto request = recorded_device("v6_1");
  request.settings.push_back("driver.hwmon=true");
  CHECK(probe_and_shut_down(request) == recording("linux-6.1-hwmon-probe-shutdown.txt"));
}

TEST_CASE("with write and poll queues on one processor it equals the recording of Linux 6.1") {
  auto request = recorded_device("v6_1");
  request.driver_settings = {"nvme.write_queues=1", "nvme.poll_queues=1"};
  CHECK(probe_and_shut_down(request) ==
        recording("linux-6.1-probe-shutdown-write-and-poll-queues.txt"));
}

TEST_CASE("a kernel for several processors makes the second queue one that interrupts") {
  auto request = recorded_device("v6_1");
  request.driver_settings = {"nvme.write_queues=1", "nvme.poll_queues=1"};
  request.settings.push_back("host.smp=true");
  const Lines lines = probe_and_shut_down(request);
  const auto has = [&](const char* text) {
    return std::find(lines.begin(), lines.end(), text) != lines.end();
  };
  CHECK(has("op 05 nsid 0 prp1 c10 3ff0002 c11 20003"));
  CHECK(has("op 05 nsid 0 prp1 c10 3ff0003 c11 1"));
}

TEST_CASE("reset, removal and rescan equal the recording of Linux 6.1") {
  const Lines expected = recording("linux-6.1-probe-reset-remove-rescan.txt");
  REQUIRE(expected.size() > 80);
  const Lines seen = wire_of(
      recorded_device("v6_1"),
      [](system_::System& system) {
        host::NvmeCtrl& ctrl = system.driver().devices().front()->ctrl();
        CHECK(ctrl.reset_ctrl_sync() == 0);
        ctrl.flush_scan();
        read_hundred(system);
        system.remove();
        CHECK(system.rescan());
        read_hundred(system);
      },
      keep_shutdown_status);
  CHECK(test::first_difference(seen, expected) == "");
}

// Linux 5.15: the controller limits are asked for before the queues, CC is written once, a
// namespace is identified once.
TEST_CASE("probe and shutdown of Linux 5.15 in order") {
  const Lines expected = {"R 001c 0",  // alive?
                          "R 0000 140103ff",
                          "R 0004 20",
                          "R 003c 0",  // no controller memory buffer
                          "R 0008 10400",
                          "W 0014 0",
                          "R 001c 0",  // disabled
                          "W 0024 1f001f",
                          "W 0028 address",
                          "W 002c address",
                          "W 0030 address",
                          "W 0034 address",
                          "R 0000 140103ff",
                          "R 0004 20",
                          "W 0014 460001",
                          "R 001c 0",
                          "R 001c 1",
                          "R 0008 10400",
                          "op 06 nsid 0 prp1 c10 1 c11 0",
                          "op 06 nsid 0 prp1 c10 6 c11 0",
                          "op 09 nsid 0 no prp1 c10 7 c11 0",
                          "op 05 nsid 0 prp1 c10 3ff0001 c11 10003",
                          "op 01 nsid 0 prp1 c10 3ff0001 c11 10001",
                          "op 06 nsid 0 prp1 c10 2 c11 0",
                          "op 06 nsid 1 prp1 c10 3 c11 0",
                          "op 06 nsid 1 prp1 c10 0 c11 0",
                          "R 001c 1",
                          "op 00 nsid 0 no prp1 c10 1 c11 0",
                          "op 04 nsid 0 no prp1 c10 1 c11 0",
                          "W 0014 464001",
                          "R 001c 9"};
  CHECK(probe_and_shut_down(recorded_device("v5_15")) == expected);
}

}  // namespace
}  // namespace nvmesim
