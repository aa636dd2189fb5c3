// The order oracle: an unmodified Linux 6.1 kernel and our driver with its generation v6_1, each on
// the same simulated drive, make the same register accesses and send the same admin commands in the
// same order. Nothing is recorded: the kernel runs.
//
// NVMESIM names the program, NVMESIM_LINUX_TESTS=off leaves the kernel out. Without a kernel the
// tests say "SKIP".
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "host/nvme/dev.hpp"
#include "sim/system/system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/wire_lines.hpp"

namespace nvmesim {
namespace {

using test::Lines;

struct Scenario {
  std::string controller;  // members of the JSON object, each with a comma in front
  std::string media = R"("kind": "xpoint", "capacity_bytes": 1073741824)";
  unsigned oncs = 0;
  unsigned lpa = 0;
  Lines driver;                // module parameters, as Linux names them
  std::string guest = "true";  // what runs under the kernel
  std::function<void(system_::System&)> ours = [](system_::System&) {};
};

class Directory {
 public:
  Directory() {
    path_ = (std::filesystem::temp_directory_path() / "nvmesim-oracle-XXXXXX").string();
    REQUIRE(mkdtemp(path_.data()) != nullptr);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The function of the recordings in tests/golden, and what the scenario adds.
std::string drive(const Scenario& scenario) {
  return R"({"link": {"generation": 3, "lanes": 4}, "device": {
    "endpoint": {"vendor_id": 6966, "device_id": 16, "msix_vectors": 8},
    "controller": {"mqes": 1023, "timeout_500ms": 20, "ready_latency_us": 10000,
      "disable_latency_us": 0, "mdts": 5, "max_io_queues": 4,
      "oncs": )" +
         std::to_string(scenario.oncs) + R"(, "lpa": )" + std::to_string(scenario.lpa) +
         scenario.controller + R"(},
    "media": {)" +
         scenario.media + "}}}";
}

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

bool kernel_is_there() {
  const char* wanted = std::getenv("NVMESIM_LINUX_TESTS");
  if (wanted != nullptr && std::string(wanted) == "off") return false;
  const std::string command = std::string(NVMESIM_PROGRAM) + " linux --prepare >/dev/null 2>&1";
  return std::system(command.c_str()) == 0;
}

Lines of_kernel(const Directory& directory, const Scenario& scenario) {
  const std::string trace = directory.file("trace");
  std::string command = std::string(NVMESIM_PROGRAM) + " linux --drive " +
                        quoted(directory.file("drive.json")) + " --trace-wire " + quoted(trace);
  for (const std::string& parameter : scenario.driver) {
    command += " --kernel-args " + quoted(parameter);
  }
  command += " -- sh -ec " + quoted(scenario.guest) + " </dev/null";
  INFO(command);
  CHECK(std::system(command.c_str()) == 0);
  return test::essences(test::read_lines(trace));
}

Lines of_ours(const Directory& directory, const Scenario& scenario) {
  Lines lines;
  system_::SystemHooks hooks;
  hooks.wire_trace = [&](std::string_view line) { lines.emplace_back(line); };
  system_::ConfigRequest request;
  request.drive = directory.file("drive.json");
  // The kernel is built for one processor, with these parts compiled in.
  request.settings = {"host.cpus=1",
                      "host.smp=false",
                      "driver.generation=v6_1",
                      "driver.hwmon=true",
                      "driver.opal=true",
                      "driver.integrity=true",
                      "driver.p2pdma=false",
                      "host.memory_bytes=536870912"};
  request.driver_settings = scenario.driver;
  system_::System system(system_::load_config(request), std::move(hooks));
  REQUIRE(system.run([&] {
    CHECK(system.boot());
    scenario.ours(system);
    system.shutdown();
  }));
  return test::essences(lines);
}

void check_order(const Scenario& scenario) {
  if (!kernel_is_there()) {
    std::printf("SKIP: no Linux kernel to run\n");
    return;
  }
  const Directory directory;
  std::ofstream(directory.file("drive.json")) << drive(scenario);
  const Lines expected = of_kernel(directory, scenario);
  const Lines seen = of_ours(directory, scenario);
  CHECK(expected.size() > 30);
  CHECK(test::first_difference(seen, expected) == "");
}

void reset(system_::System& system) {
  host::NvmeCtrl& ctrl = system.driver().devices().front()->ctrl();
  CHECK(ctrl.reset_ctrl_sync() == 0);
  ctrl.flush_scan();
}

constexpr const char* kReset = "echo 1 > /sys/class/nvme/nvme0/reset_controller; sleep 0.1";

TEST_CASE("probe and shutdown") {
  check_order({});
}

TEST_CASE("reset") {
  Scenario scenario;
  scenario.guest = kReset;
  scenario.ours = reset;
  check_order(scenario);
}

TEST_CASE("remove and rescan") {
  Scenario scenario;
  scenario.guest =
      "echo 1 > /sys/bus/pci/devices/0000:00:00.0/remove; echo 1 > /sys/bus/pci/rescan; sleep 1; "
      "test -b /dev/nvme0n1";
  scenario.ours = [](system_::System& system) {
    system.remove();
    CHECK(system.rescan());
  };
  check_order(scenario);
}

TEST_CASE("write and poll queues") {
  Scenario scenario;
  scenario.driver = {"nvme.write_queues=1", "nvme.poll_queues=1"};
  check_order(scenario);
}

TEST_CASE("host memory buffer and reset") {
  Scenario scenario;
  scenario.controller =
      R"(, "hmb": {"hmpre_pages": 4096, "hmmin_pages": 256, "hmminds_pages": 0, "hmmaxd": 64})";
  scenario.media += R"(, "map_cache": {"bytes": 65536})";
  scenario.guest = kReset;
  scenario.ours = reset;
  check_order(scenario);
}

TEST_CASE("shadow doorbells and reset") {
  Scenario scenario;
  scenario.controller = R"(, "doorbell_buffer_config": true)";
  scenario.guest = kReset;
  scenario.ours = reset;
  check_order(scenario);
}

// User-Mode Linux has no peer-to-peer DMA: the kernel finds the buffer and switches it off again.
TEST_CASE("a controller memory buffer that cannot be used, and reset") {
  Scenario scenario;
  scenario.controller = R"(, "cmb": {"pages": 16})";
  scenario.guest = kReset;
  scenario.ours = reset;
  check_order(scenario);
}

TEST_CASE("several namespaces") {
  Scenario scenario;
  scenario.controller =
      R"(, "namespaces": [{"blocks": 65536}, {"blocks": 131072}, {"blocks": 65536}])";
  scenario.guest = "test -b /dev/nvme0n3";
  check_order(scenario);
}

TEST_CASE("metadata and protection information") {
  Scenario scenario;
  scenario.controller =
      R"(, "namespaces": [{"blocks": 65536, "metadata_bytes": 8, "protection_type": 1},
         {"blocks": 65536, "metadata_bytes": 64, "protection_type": 0}])";
  scenario.media = R"("kind": "xpoint", "capacity_bytes": 1073741824, "keep_metadata": true)";
  scenario.guest = "test -b /dev/nvme0n1";
  check_order(scenario);
}

TEST_CASE("power states with autonomous transitions") {
  Scenario scenario;
  scenario.controller = R"(, "power": {"apst": true, "states": [
      {"max_power_centiwatts": 900},
      {"max_power_centiwatts": 50, "non_operational": true, "entry_latency_us": 2000,
       "exit_latency_us": 3000},
      {"max_power_centiwatts": 5, "non_operational": true, "entry_latency_us": 5000,
       "exit_latency_us": 40000}]})";
  scenario.guest = kReset;
  scenario.ours = reset;
  check_order(scenario);
}

TEST_CASE("optional commands and log pages") {
  Scenario scenario;
  scenario.oncs = 0x5F;
  scenario.lpa = 0xE;
  scenario.controller = R"(, "ocp_log": true, "management": {"security": true, "namespaces": true,
      "max_namespaces": 8, "format": true, "oaes": 768})";
  check_order(scenario);
}

// The same two commands from user space of either side, without what a tool asks around them. The
// drive gives no notice to the controller that they were sent to.
constexpr const char* kCreateAndAttach =
    R"(dd if=/dev/zero of=/tmp/zeroes bs=4096 count=1 2>/dev/null
    { printf '\0\020\0\0\0\0\0\0\0\020\0\0\0\0\0\0'; cat /tmp/zeroes; } | head -c 4096 > /tmp/create
    { printf '\001\0\001\0'; cat /tmp/zeroes; } | head -c 4096 > /tmp/attach
    nvme admin-passthru /dev/nvme0 -o 0x0d -l 4096 -w -i /tmp/create >/dev/null 2>&1
    nvme admin-passthru /dev/nvme0 -o 0x15 -n 2 -l 4096 -w -i /tmp/attach >/dev/null 2>&1
    sleep 1; test -b /dev/nvme0n2)";

void create_and_attach(system_::System& system) {
  host::NvmeCtrl& ctrl = system.driver().devices().front()->ctrl();
  std::vector<std::byte> data(4096);
  const std::uint64_t blocks = 4096;
  std::memcpy(data.data(), &blocks, sizeof blocks);
  std::memcpy(data.data() + 8, &blocks, sizeof blocks);
  host::NvmeCtrl::Passthrough create{};
  create.command.opc = 0x0D;
  create.data = data;
  CHECK(ctrl.passthru(create) == 0);
  std::fill(data.begin(), data.end(), std::byte{0});
  data[0] = data[2] = std::byte{1};
  host::NvmeCtrl::Passthrough attach{};
  attach.command.opc = 0x15;
  attach.command.nsid = 2;
  attach.data = data;
  CHECK(ctrl.passthru(attach) == 0);
  system.machine().threads.msleep(1000);
  CHECK(ctrl.namespaces().size() == 2);
}

TEST_CASE("a namespace that comes while the drive works") {
  Scenario scenario;
  scenario.controller = R"(, "namespaces": [{"blocks": 65536}],
      "management": {"namespaces": true, "max_namespaces": 8, "oaes": 256})";
  scenario.lpa = 2;  // the effects log tells the hosts to look
  scenario.guest = kCreateAndAttach;
  scenario.ours = create_and_attach;
  check_order(scenario);
}

}  // namespace
}  // namespace nvmesim
