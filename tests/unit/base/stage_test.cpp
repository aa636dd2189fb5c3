#include "sim/base/stage.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "tests/support/catch.hpp"

namespace nvmesim::base {

TEST_CASE("every stage has a name of its own in snake_case, and a description") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kStageCount; ++i) {
    const auto stage = static_cast<Stage>(i);
    CHECK(names.insert(name(stage)).second);
    CHECK_FALSE(name(stage).empty());
    CHECK(std::all_of(name(stage).begin(), name(stage).end(), [](char letter) {
      return letter == '_' || (letter >= 'a' && letter <= 'z');
    }));
    CHECK_FALSE(description(stage).empty());
  }
  CHECK(name(Stage::kSubmit) == "submit");
  CHECK(name(Stage::kDieWaitGc) == "die_wait_gc");
  CHECK(name(Stage::kComplete) == "complete");
}

TEST_CASE("stages add up to the whole") {
  StageRecord record;
  record.open(10ns);
  record.stamp(Stage::kSubmit, 15ns);
  record.stamp(Stage::kTagWait, 15ns);
  record.stamp(Stage::kArray, 40ns);
  record.stamp(Stage::kSubmit, 42ns);  // a stage may come again
  Time sum{0};
  for (std::size_t i = 0; i < kStageCount; ++i) sum += record.spent(static_cast<Stage>(i));
  CHECK(sum == record.total());
  CHECK(record.total() == 32ns);
  CHECK(record.spent(Stage::kSubmit) == 7ns);
  CHECK(record.spent(Stage::kTagWait) == 0ns);
  CHECK(record.start() == 10ns);
  CHECK(record.last() == 42ns);
  record.open(50ns);
  CHECK(record.total() == 0ns);
  CHECK(record.spent(Stage::kSubmit) == 0ns);
}

TEST_CASE("a stage that ends before it began is refused") {
  StageRecord record;
  record.open(10ns);
  record.stamp(Stage::kSubmit, 15ns);
  CHECK_THROWS_AS(record.stamp(Stage::kArray, 15ns - Time{1}), ModelBug);
  CHECK(record.last() == 15ns);
}

TEST_CASE("only a part that begins where a record ends is appended") {
  StageRecord whole;
  whole.open(0ns);
  whole.stamp(Stage::kSubmit, 5ns);
  StageRecord part;
  part.open(6ns);
  part.stamp(Stage::kArray, 9ns);
  CHECK_THROWS_AS(whole.append(part), ModelBug);
  whole.stamp(Stage::kDoorbell, 6ns);
  whole.append(part);
  CHECK(whole.total() == 9ns);
  CHECK(whole.spent(Stage::kArray) == 3ns);
}

TEST_CASE("the records of host and device are joined by their key") {
  StageJoin join;
  StageRecord device;
  device.open(20ns);
  device.stamp(Stage::kArray, 70ns);
  StageRecord host;
  host.open(0ns);
  host.stamp(Stage::kSubmit, 15ns);
  const CommandKey key{1, 2, 3};
  CHECK_FALSE(join.join(key, host, 90ns));
  CHECK(host.total() == 15ns);  // unchanged

  join.completed(key, device);
  CHECK(join.waiting() == 1);
  CHECK_FALSE(join.join({2, 1, 3}, host, 90ns));  // no field stands for another
  CHECK_FALSE(join.join({1, 3, 2}, host, 90ns));
  REQUIRE(join.join(key, host, 90ns));
  CHECK(host.spent(Stage::kDoorbell) == 5ns);
  CHECK(host.spent(Stage::kArray) == 50ns);
  CHECK(host.spent(Stage::kInterrupt) == 20ns);
  CHECK(host.total() == 90ns);
  CHECK(join.waiting() == 0);
  CHECK_FALSE(join.join(key, host, 95ns));  // only once

  join.completed(key, device);
  join.clear();
  CHECK(join.waiting() == 0);
}

}  // namespace nvmesim::base
