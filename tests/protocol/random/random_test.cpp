// Random commands and register accesses, mostly sensible, often not: the device never hangs (it
// answers Identify after a reset), keeps its own invariants, and leaves alone what nobody wrote to.
// NVMESIM_RANDOM_STEPS=1000000 makes the run longer and tells what it reached, NVMESIM_RANDOM_SEED
// another one.
#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/protocol/random/monkey.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;

namespace {

constexpr std::uint64_t kSeed = 20260101;
constexpr std::uint64_t kLong = 1'000'000;

using Ids = std::vector<std::uint32_t>;
const Ids kAdminOpcodes = {0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x0D,
                           0x10, 0x11, 0x14, 0x15, 0x18, 0x19, 0x1A, 0x7C, 0x80, 0x82, 0x84};
// Security Send is there, but there is nothing that it could send.
const Ids kRefusedAdminOpcodes = {0x1C, 0x1D, 0x1E, 0x81, 0x86};
const Ids kNvmOpcodes = {0x00, 0x01, 0x02, 0x04, 0x05, 0x08, 0x09,
                         0x0C, 0x0D, 0x0E, 0x11, 0x15, 0x19};
const Ids kFeatures = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D,
                       0x0E, 0x0F, 0x10, 0x11, 0x16, 0x17, 0x18, 0x19, 0x80, 0x81, 0x82, 0x83};
const Ids kAbsentFeatures = {0x12, 0x13, 0x14, 0x15, 0x1D, 0x1E, 0x84};
const Ids kLogs = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                   0x09, 0x0C, 0x0D, 0x0F, 0x12, 0x13, 0x80, 0x81, 0xC0};
const Ids kAbsentLogs = {0x0A, 0x0B, 0x0E};

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Each was fetched at least `least` times; what is offered also succeeded, what is refused never.
void check_reached(const char* what, const Monkey::Counts& counts, const Ids& wanted,
                   std::uint64_t least, bool offered) {
  for (const std::uint32_t each : wanted) {
    const auto found = counts.find(each);
    const Monkey::Count count = found == counts.end() ? Monkey::Count{} : found->second;
    INFO(fmt::format("{} {:02X}h: {} reached, {} succeeded", what, each, count.reached,
                     count.succeeded));
    CHECK(count.reached >= least);
    CHECK((count.succeeded != 0) == offered);
  }
}

std::string table(const char* what, const Monkey::Counts& counts) {
  std::string text = fmt::format("{}:", what);
  for (const auto& [id, count] : counts) {
    if (count.reached >= 100)
      text += fmt::format(" {:02X}h {}/{}", id, count.succeeded, count.reached);
  }
  return text + "\n";
}

}  // namespace

TEST_CASE("random steps neither hang the device nor touch foreign data") {
  const std::uint64_t seed = setting("NVMESIM_RANDOM_SEED", kSeed);
  const std::uint64_t steps = setting("NVMESIM_RANDOM_STEPS", 20'000);
  INFO("seed " << seed);
  const auto monkey = std::make_unique<Monkey>(seed);
  for (std::uint64_t i = 1; i <= steps; ++i) {
    monkey->step();
    if (i % 2'000 == 0) monkey->check_kept_blocks();
  }
  if (steps >= kLong) {
    WARN(steps << " steps: " << monkey->succeeded() << " commands succeeded, " << monkey->failed()
               << " failed, " << monkey->restarts() << " resets, " << monkey->sgls() << " SGLs, "
               << monkey->fused() << " fused pairs\n"
               << table("admin", monkey->admin_opcodes()) << table("NVM", monkey->nvm_opcodes())
               << table("Set Features", monkey->set_features())
               << table("Get Features", monkey->get_features())
               << table("log pages", monkey->logs()));
  }
  const std::uint64_t least = steps >= kLong ? 100 : steps / 4'000;
  check_reached("admin opcode", monkey->admin_opcodes(), kAdminOpcodes, least, true);
  check_reached("admin opcode", monkey->admin_opcodes(), kRefusedAdminOpcodes, least, false);
  check_reached("NVM opcode", monkey->nvm_opcodes(), kNvmOpcodes, least, true);
  check_reached("Set Features", monkey->set_features(), kFeatures, least, true);
  check_reached("Set Features", monkey->set_features(), kAbsentFeatures, least, false);
  check_reached("Get Features", monkey->get_features(), kFeatures, least, true);
  check_reached("Get Features", monkey->get_features(), kAbsentFeatures, least, false);
  check_reached("log page", monkey->logs(), kLogs, least, true);
  check_reached("log page", monkey->logs(), kAbsentLogs, least, false);
  CHECK(monkey->sgls() > steps / 100);
  CHECK(monkey->fused() > steps / 200);
  CHECK(monkey->restarts() > steps / 200);
  CHECK(monkey->succeeded() > steps * 3 / 10);
  CHECK(monkey->failed() > steps / 20);
}
