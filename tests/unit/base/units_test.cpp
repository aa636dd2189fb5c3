#include "sim/base/units.hpp"

#include <map>
#include <unordered_set>

#include "sim/base/callback.hpp"
#include "sim/base/random.hpp"
#include "sim/base/strong_id.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::base {
namespace {

struct QueueTag;
using QueueId = StrongId<QueueTag, std::uint16_t>;

struct Counter {
  void plain() { ++calls; }
  void with(std::uint64_t value) { sum += value; }
  int calls = 0;
  std::uint64_t sum = 0;
};

}  // namespace

TEST_CASE("time is counted in picoseconds") {
  CHECK(Time(5ns) == picoseconds(5'000));
  CHECK(Time(3ms).count() == 3'000'000'000);
  CHECK(to_ns(1'999ns + Time{999}) == 1'999);
  CHECK(kTimeMax > std::chrono::hours(24 * 106));
}

TEST_CASE("a pace rounds up to whole picoseconds") {
  const Pace pci = Pace::bytes_per_second(3'938'461'538);  // four lanes of generation 3
  CHECK(pci(0) == 0ns);
  CHECK(pci(1) == picoseconds(254));  // 253.9
  CHECK(Pace::frequency_mhz(333)(1) == picoseconds(3'004));
  CHECK(Pace::frequency_mhz(1'000)(7) == 7ns);
  CHECK(Pace(2'000'000, 1'000).numerator_ps() == 2'000);
  CHECK(Pace(2'000'000, 1'000).denominator() == 1);
}

TEST_CASE("a pace is exact beyond 64 bits") {
  const Pace pace = Pace::bytes_per_second(7'000'000'001);
  const std::uint64_t bytes = 600'000'000'000'007;  // * 10^12 needs 90 bits
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{bytes} * 1'000'000'000'000;
  const auto expected = static_cast<std::int64_t>((product + 7'000'000'000) / 7'000'000'001);
  CHECK(pace(bytes).count() == expected);
}

TEST_CASE("parts never take less time than the whole") {
  const Pace pace = Pace::bytes_per_second(1'969'230'769);
  Random random(3, "pace");
  for (int i = 0; i < 1000; ++i) {
    const auto a = random.below(1 << 20);
    const auto b = random.below(1 << 20);
    REQUIRE(pace(a) + pace(b) >= pace(a + b));
    REQUIRE(pace(a) + pace(b) <= pace(a + b) + Time{1});
  }
}

TEST_CASE("division rounds up without overflow") {
  CHECK(ceil_div(0, 4) == 0);
  CHECK(ceil_div(8, 4) == 2);
  CHECK(ceil_div(9, 4) == 3);
  CHECK(ceil_div(~std::uint64_t{0}, 2) == std::uint64_t{1} << 63);
}

TEST_CASE("a strong id compares, hashes and prints as its number") {
  CHECK(QueueId(3) == QueueId(3));
  CHECK(QueueId(3) < QueueId(4));
  CHECK(QueueId().value() == 0);
  CHECK(fmt::format("{:04x}", QueueId(255)) == "00ff");
  CHECK(std::unordered_set<QueueId>{QueueId(1), QueueId(2), QueueId(1)}.size() == 2);
  CHECK(std::map<QueueId, int>{{QueueId(2), 1}, {QueueId(1), 2}}.begin()->second == 2);
  static_assert(!std::is_convertible_v<int, QueueId>);
  static_assert(!std::is_convertible_v<QueueId, int>);
}

TEST_CASE("a call-back calls the member function it names, with or without its argument") {
  Counter counter;
  Callback none;
  CHECK_FALSE(none);
  const auto plain = Callback::of<&Counter::plain>(&counter);
  const auto with = Callback::of<&Counter::with>(&counter, 41);
  CHECK(plain);
  plain();
  plain();
  with();
  CHECK(counter.calls == 2);
  CHECK(counter.sum == 41);
}

}  // namespace nvmesim::base
