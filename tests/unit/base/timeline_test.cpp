#include "sim/base/timeline.hpp"

#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::base {

TEST_CASE("an idle timeline serves at once, a busy one in order") {
  Timeline bus("bus");
  CHECK(bus.reserve(10ns, 5ns) == 10ns);
  CHECK(bus.reserve(12ns, 5ns) == 15ns);
  CHECK(bus.reserve(12ns, 1ns) == 20ns);
  CHECK(bus.reserve(30ns, 2ns) == 30ns);
  CHECK(bus.free_at() == 32ns);
  CHECK(bus.count() == 4);
  CHECK(bus.busy() == 13ns);
  CHECK(bus.waited() == 11ns);
  CHECK(bus.name() == "bus");
}

TEST_CASE("a service of no duration waits like any other and takes no room") {
  Timeline bus("bus");
  bus.reserve(0ns, 10ns);
  CHECK(bus.reserve(3ns, 0ns) == 10ns);
  CHECK(bus.free_at() == 10ns);
}

TEST_CASE("a reservation earlier than the last one is refused and changes nothing") {
  Timeline bus("bus");
  bus.reserve(10ns, 5ns);
  CHECK_THROWS_AS(bus.reserve(10ns - Time{1}, 5ns), ModelBug);
  CHECK(bus.count() == 1);
  CHECK(bus.free_at() == 15ns);
  CHECK(bus.reserve(10ns, 1ns) == 15ns);  // the same instant is fine
}

TEST_CASE("services never overlap and busy time is the sum of services") {
  Timeline bus("bus");
  Random random(7, "timeline");
  Time earliest{0};
  Time last_end{0};
  Time sum{0};
  for (int i = 0; i < 10'000; ++i) {
    earliest += Time{static_cast<std::int64_t>(random.below(2000))};
    const Time duration{static_cast<std::int64_t>(random.below(2000))};
    const Time start = bus.reserve(earliest, duration);
    REQUIRE(start >= earliest);
    REQUIRE(start >= last_end);
    REQUIRE((start == earliest || start == last_end));  // work-conserving
    last_end = start + duration;
    sum += duration;
  }
  CHECK(bus.busy() == sum);
  CHECK(bus.count() == 10'000);
}

}  // namespace nvmesim::base
