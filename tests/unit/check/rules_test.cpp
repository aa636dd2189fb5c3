// Fault rules by themselves: what matches, whose turn it is, and that nothing is armed for nobody.
#include "sim/fault/rules.hpp"

#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::fault;
using spec::AdminOpcode;
using spec::NvmOpcode;
using spec::SubmissionEntry;

namespace {

SubmissionEntry entry_of(std::uint8_t opcode, std::uint32_t cdw10 = 0) {
  SubmissionEntry entry{};
  entry.opc = opcode;
  entry.cdw10 = cdw10;
  return entry;
}

}  // namespace

TEST_CASE("a command matches by queue and by the bits under the mask alone") {
  CHECK(any_command()(0, entry_of(6)));
  CHECK_FALSE(any_io()(0, entry_of(2)));
  CHECK(any_io()(3, entry_of(2)));
  CHECK(io_command(NvmOpcode::kRead)(1, entry_of(2)));
  CHECK_FALSE(io_command(NvmOpcode::kRead)(1, entry_of(1)));
  CHECK_FALSE(io_command(NvmOpcode::kRead)(0, entry_of(2)));
  const CommandMatch feature = admin_command(AdminOpcode::kSetFeatures, 7);
  CHECK(feature(0, entry_of(9, 0x8000'0007)));
  CHECK_FALSE(feature(0, entry_of(9, 6)));
  CHECK_FALSE(feature(1, entry_of(9, 7)));
  CommandMatch last = any_io();
  last.queue = 2;
  last.value.cdw15 = 0x80;
  last.mask.cdw15 = 0x80;
  SubmissionEntry entry = entry_of(2);
  CHECK_FALSE(last(2, entry));
  entry.cdw15 = 0xff;
  CHECK(last(2, entry));
  CHECK_FALSE(last(1, entry));
}

TEST_CASE("without rules no point is armed, and a rule arms its own only") {
  base::Scheduler scheduler("scheduler");
  device::Points points;
  Rules rules(scheduler);
  rules.arm(points);
  CHECK(rules.empty());
  CHECK_FALSE(points.command_fate.armed());
  CHECK_FALSE(points.completion_fate.armed());
  CHECK_FALSE(points.register_access.armed());
  CHECK_FALSE(points.interrupt.armed());
  rules.on_interrupt({}, {}, {.drop = true});
  CHECK(points.interrupt.armed());
  CHECK_FALSE(points.command_fate.armed());
}

TEST_CASE("a rule applies from the nth on, so often, within its time, and can be taken away") {
  base::Scheduler scheduler("scheduler");
  device::Points points;
  Rules rules(scheduler);
  rules.arm(points);
  const auto second = rules.on_command(any_io(), {.nth = 2, .count = 2}, {.drop = true});
  const auto late = rules.on_command(any_io(), {.count = kAlways, .from = 1us}, {.delay = 5us});
  const auto both = rules.on_command(any_io(), {.nth = 3}, {.delay = 2us});
  std::string pattern;
  const auto pass = [&] {
    device::Fate fate;
    points.command_fate(1, entry_of(2), fate);
    pattern += fate.drop ? 'x' : '.';
    return fate.delay;
  };
  CHECK(pass() == 0ns);
  CHECK(pass() == 0ns);
  CHECK(pass() == 2us);
  CHECK(pass() == 0ns);
  CHECK(pattern == ".xx.");
  CHECK(rules.matched(second) == 4);
  CHECK(rules.disturbed(second) == 2);
  CHECK(rules.matched(late) == 0);
  CHECK(rules.disturbed(both) == 1);
  rules.remove(second);
  pass();
  CHECK(rules.disturbed(second) == 2);
}

TEST_CASE("register rules see accesses of their kind and range, and act in the order of making") {
  base::Scheduler scheduler("scheduler");
  device::Points points;
  Rules rules(scheduler);
  rules.arm(points);
  rules.on_register({.offset = 0x1000, .write = true, .bytes = 16}, kEveryTime,
                    [](device::RegisterAccess& access) { access.value += 1; });
  rules.on_register({.offset = 0x1008, .write = true}, kEveryTime,
                    [](device::RegisterAccess& access) { access.value *= 2; });
  const auto write = [&](std::uint32_t offset, bool is_write) {
    device::RegisterAccess access{is_write, offset, 4, 10};
    points.register_access(access);
    return access.value;
  };
  CHECK(write(0x1000, true) == 11);
  CHECK(write(0x1008, true) == 22);
  CHECK(write(0x1010, true) == 10);
  CHECK(write(0x1008, false) == 10);
}
