// Runs that fail must say so by their exit status, wherever in the run the failure lies.
#include "device/controller.hpp"
#include "models/media_points.hpp"
#include "sim/app/host_log.hpp"
#include "sim/app/simulation.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

namespace spec = device::spec;

// Writes of 512 bytes, each into a unit of its own, so that seven sectors beside it stay unwritten.
constexpr const char* kSectors = NVMESIM_SOURCE_DIR "/tests/system/sectors.fio";

int run_job(std::vector<std::string> arguments, std::function<void(system_::System&)> built) {
  system_::SystemHooks hooks;
  hooks.built = std::move(built);
  // Without a write buffer: what is read back comes from the medium.
  arguments.insert(arguments.begin(), {kSectors, "--drive", "p4800x", "--no-summary", "--set",
                                       "simulation.check_protocol=true"});
  return app::run_with(arguments, std::move(hooks));
}

// The first write command goes to sectors beyond the drive and fails for good.
void spoil_first_write(system_::System& system, std::shared_ptr<bool> spoiled) {
  system.controller().points().command_fetched.arm([spoiled](std::uint16_t queue,
                                                             spec::SubmissionEntry& entry) {
    if (queue == 0 || *spoiled || entry.opc != static_cast<std::uint8_t>(spec::NvmOpcode::kWrite)) {
      return;
    }
    *spoiled = true;
    entry.cdw11 = 0xffff'ffff;
  });
}

TEST_CASE("a request that fails in the measured part fails the run") {
  auto spoiled = std::make_shared<bool>(false);
  CHECK(run_job({}, [&](auto& system) { spoil_first_write(system, spoiled); }) == 1);
  CHECK(*spoiled);
}

TEST_CASE("a request that fails in the warm-up fails the run as well") {
  auto spoiled = std::make_shared<bool>(false);
  CHECK(run_job({"--warmup", "1"}, [&](auto& system) { spoil_first_write(system, spoiled); }) == 1);
  CHECK(*spoiled);
}

TEST_CASE("a merge that damages the sectors beside a write fails the verification") {
  auto damaged = std::make_shared<bool>(false);
  CHECK(run_job({"--verify"}, [&](auto& system) {
          system.media().points().store_read.arm(
              [damaged](models::UnitId, std::span<std::byte> data) {
                if (*damaged) return;
                *damaged = true;
                data[8 * 512 - 1] = std::byte{1};
              });
        }) == 1);
  CHECK(*damaged);
}

TEST_CASE("the same job undamaged passes") {
  CHECK(run_job({"--verify"}, [](system_::System&) {}) == 0);
}

TEST_CASE("of a host's log the first warnings and errors are kept, the others counted") {
  app::HostLog log;
  for (int i = 0; i < 30; ++i) {
    log.add({base::Time{0}, host::PrintLevel::kInfo, "fine"});
    log.add({base::Time{0}, i % 2 == 0 ? host::PrintLevel::kWarning : host::PrintLevel::kError,
             "I/O timeout"});
  }
  const auto lines = log.warnings();
  REQUIRE(lines.size() == 21);
  CHECK(lines[19].find("I/O timeout") != std::string::npos);
  CHECK(lines[20].find("10 more") != std::string::npos);
  CHECK(log.lines().size() == 60);
}

}  // namespace
}  // namespace nvmesim
