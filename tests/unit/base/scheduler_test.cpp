// What runs when: order, handles, far entries, running ahead.
#include "sim/base/scheduler.hpp"

#include <algorithm>
#include <string>

#include "sim/base/assert.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/base/scheduler_fixture.hpp"

namespace nvmesim::base {
namespace {

using test::Function;
using test::Recorder;

}  // namespace

TEST_CASE("entries run in the order of time, then phase, then scheduling") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  recorder.at(7, 'd');
  recorder.at(5, 'c', Phase::kLate);
  recorder.at(5, 'a');
  recorder.at(5, 'b');
  recorder.at(0, 'x');
  scheduler.simulate();
  CHECK(recorder.text == "0x 5a 5b 5c 7d");
  CHECK(scheduler.entries_run() == 5);
  CHECK(scheduler.pending_count() == 0);
}

TEST_CASE("a normal entry made in the late phase runs before the late entries that are left") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  Function late([&] { recorder.at(5, 'n'); });
  scheduler.at<&Function::call>(Time{5}, &late, 0, Phase::kLate);
  recorder.at(5, 'l', Phase::kLate);
  recorder.at(5, 'm', Phase::kLate);
  scheduler.simulate();
  CHECK(recorder.text == "5n 5l 5m");
}

TEST_CASE("an entry scheduled at its own instant runs behind those that were there before") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  Function first([&] { recorder.at(5, 'z'); });
  scheduler.at<&Function::call>(Time{5}, &first);
  recorder.at(5, 'a');
  recorder.at(6, 'b');
  scheduler.simulate();
  CHECK(recorder.text == "5a 5z 6b");
}

TEST_CASE("a cancelled entry does not run and its handle stays stale when its place is reused") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  auto gone = recorder.at(5, 'a');
  auto copy = gone;
  CHECK(scheduler.when(copy) == Time{5});
  CHECK(scheduler.cancel(gone));
  CHECK_FALSE(scheduler.cancel(gone));
  auto reused = recorder.at(9, 'b');  // takes the same storage
  CHECK_FALSE(scheduler.pending(copy));
  CHECK_FALSE(scheduler.cancel(copy));
  CHECK(scheduler.pending(reused));
  CHECK_THROWS_AS(scheduler.when(copy), ModelBug);
  CHECK_THROWS_AS(scheduler.move(copy, Time{10}), ModelBug);
  CHECK_FALSE(scheduler.pending(Scheduler::Handle{}));
  scheduler.simulate();
  CHECK(recorder.text == "9b");
  CHECK_FALSE(scheduler.pending(reused));
}

TEST_CASE("an entry is not pending any more while it runs, and can schedule itself anew") {
  Scheduler scheduler("scheduler");
  Scheduler::Handle handle;
  int left = 3;
  std::string pending;
  Function again([&] {
    pending += scheduler.pending(handle) ? 'p' : '-';
    if (--left > 0) handle = scheduler.after<&Function::call>(1ns, &again);
  });
  handle = scheduler.at<&Function::call>(1ns, &again);
  scheduler.simulate();
  CHECK(pending == "---");
  CHECK(scheduler.now() == 3ns);
}

TEST_CASE("a moved entry gets a place behind those of its new instant and keeps its phase") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  auto moved = recorder.at(1, 'a');
  auto late = recorder.at(1, 'l', Phase::kLate);
  recorder.at(5, 'b');
  scheduler.move(moved, Time{5});
  scheduler.move(late, Time{5});
  recorder.at(5, 'c');
  auto far = recorder.at(6, 'f');
  scheduler.move(far, 30min);
  CHECK(scheduler.when(far) == 30min);
  scheduler.move(far, Time{3});
  auto same = recorder.at(3, 'g');
  scheduler.move(far, Time{3});
  CHECK(scheduler.pending(same));
  scheduler.simulate();
  CHECK(recorder.text == "3g 3f 5b 5a 5c 5l");
}

TEST_CASE("nothing is scheduled or moved into the past") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  Function check([&] {
    auto handle = recorder.at(9, 'a');
    CHECK_THROWS_AS(recorder.at(4, 'b'), ModelBug);
    CHECK_THROWS_AS(scheduler.move(handle, Time{4}), ModelBug);
  });
  CHECK_THROWS_AS(recorder.at(-1, 'b'), ModelBug);
  scheduler.at<&Function::call>(Time{5}, &check);
  scheduler.simulate();
  CHECK(recorder.text == "9a");
}

TEST_CASE("far entries keep their order across slots, laps and hours") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  constexpr std::int64_t kSlot = std::int64_t{1} << 30;
  constexpr std::int64_t kLap = kSlot * 256;
  recorder.at(3 * kLap, 'h');
  recorder.at(kLap, 'f');
  recorder.at(kLap - 1, 'e');
  recorder.at(kSlot, 'c');
  recorder.at(kSlot - 1, 'b');
  recorder.at(3 * kLap + 255 * kSlot, 'i');
  recorder.at(2 * kLap, 'g');
  recorder.at(kSlot, 'd');
  recorder.at(to_ns(5h) * 1000, 'j');
  recorder.at(0, 'a');
  CHECK(scheduler.pending_count() == 10);
  scheduler.simulate();
  std::string letters;
  for (const char letter : recorder.text) {
    if (letter >= 'a') letters += letter;
  }
  CHECK(letters == "abcdefghij");
  CHECK(scheduler.now() == 5h);
}

TEST_CASE("the delay argument is the distance to SystemC's clock") {
  Scheduler scheduler("scheduler", 1s);
  Time largest{0};
  bool right = true;
  Function check([&] {
    largest = std::max(largest, from_sc_time(scheduler.ahead()));
    right = right && sc_core::sc_time_stamp() + scheduler.ahead() == to_sc_time(scheduler.now());
    right = right && scheduler.in_entry();
  });
  for (int i = 0; i < 10; ++i) scheduler.at<&Function::call>(i * 10us, &check);
  scheduler.simulate();
  CHECK(right);
  CHECK(largest == 90us);  // all of it in one activation
  CHECK(scheduler.ahead() == sc_core::SC_ZERO_TIME);
  CHECK_FALSE(scheduler.in_entry());
}

TEST_CASE("entries never run further ahead than the quantum") {
  Scheduler scheduler("scheduler", 25us);
  Time largest{0};
  Function check([&] { largest = std::max(largest, from_sc_time(scheduler.ahead())); });
  for (int i = 0; i < 10; ++i) scheduler.at<&Function::call>(i * 10us, &check);
  scheduler.simulate();
  CHECK(largest == 20us);
}

}  // namespace nvmesim::base
