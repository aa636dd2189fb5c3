// How a run begins and ends: parts, stop, watch, exceptions, threads and foreign processes.
#include <string>
#include <vector>

#include "sim/base/assert.hpp"
#include "sim/base/scheduler.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/base/in_child.hpp"
#include "tests/unit/base/scheduler_fixture.hpp"

namespace nvmesim::base {
namespace {

using test::Function;
using test::in_child;
using test::Recorder;
using test::Script;

constexpr Time kQuanta[] = {0ns, 1us, 1s};

}  // namespace

TEST_CASE("entries are scheduled before the start, and after one part of the simulation") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  recorder.at(1'000'000, 'a');
  recorder.at(2'000'000, 'b');
  recorder.at(3'000'000, 'c');
  scheduler.simulate(2us);
  CHECK(recorder.text == "1000000a");  // what is at 2 us belongs to the next part
  CHECK(scheduler.now() == 2us);
  recorder.at(2'000'000, 'd');
  scheduler.simulate(2'500ns);
  CHECK(recorder.text == "1000000a 2000000b 2000000d");
  recorder.at(2'500'000, 'e');
  scheduler.simulate();
  CHECK(recorder.text == "1000000a 2000000b 2000000d 2500000e 3000000c");
  CHECK(scheduler.now() == 3us);
  scheduler.simulate();  // nothing is left: returns at once
  CHECK(scheduler.now() == 3us);
}

TEST_CASE("parts of a simulation end alike whatever the quantum") {
  auto run = [](Time quantum) {
    Scheduler scheduler("scheduler", quantum);
    std::string text;
    Function tick([&] {
      text += std::to_string(scheduler.now().count()) + ' ';
      scheduler.after<&Function::call>(300ns, &tick);
    });
    scheduler.at<&Function::call>(0ns, &tick);
    for (Time until = 500ns; until <= 3us; until += 500ns) {
      scheduler.simulate(until);
      text += '|' + std::to_string(scheduler.now().count()) + '|';
    }
    return text;
  };
  const std::string expected = in_child([&] { return run(0ns); });
  CHECK(expected.substr(0, 26) == "0 300000 |500000|600000 90");
  CHECK(in_child([&] { return run(1us); }) == expected);
  CHECK(in_child([&] { return run(1s); }) == expected);
}

TEST_CASE("the clock catches up with the last entry at the end") {
  for (const Time quantum : kQuanta) {
    CHECK(in_child([&] {
            Scheduler scheduler("scheduler", quantum);
            Recorder recorder(scheduler);
            recorder.at(5, 'a');
            recorder.at(70'000'000, 'b');
            scheduler.simulate();
            return recorder.text + ' ' + std::to_string(scheduler.now().count()) + ' ' +
                   std::to_string(sc_core::sc_time_stamp().value());
          }) == "5a 70000000b 70000000 70000000");
  }
}

TEST_CASE("stop ends the run after the running entry, at its time, for any quantum") {
  for (const Time quantum : kQuanta) {
    CHECK(in_child([&] {
            Scheduler scheduler("scheduler", quantum);
            Recorder recorder(scheduler);
            Function stop([&] {
              scheduler.stop();
              scheduler.stop();  // twice does no harm
            });
            recorder.at(1'000'000, 'a');
            scheduler.at<&Function::call>(3us, &stop);
            recorder.at(3'000'000, 'b');
            recorder.at(4'000'000, 'c');
            scheduler.simulate();
            return recorder.text + ' ' + std::to_string(scheduler.now().count()) +
                   (scheduler.stopped() ? " stopped" : " not stopped");
          }) == "1000000a 3000000 stopped");
  }
}

TEST_CASE("stop from a thread ends the run before the next entry, for any quantum") {
  for (const Time quantum : kQuanta) {
    CHECK(in_child([&] {
            Scheduler scheduler("scheduler", quantum);
            Recorder recorder(scheduler);
            Script script("script", [&] {
              scheduler.sleep(2us);
              recorder.note('t');
              scheduler.stop();
              scheduler.sleep(1us);
              recorder.note('u');
            });
            recorder.at(1'000'000, 'a');
            recorder.at(2'000'000, 'b');
            recorder.at(3'000'000, 'c');
            scheduler.simulate();
            return recorder.text + ' ' + std::to_string(scheduler.now().count());
          }) == "1000000a 2000000b 2000000t 2000000");
  }
}

TEST_CASE("stop before the start runs no entry") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  recorder.at(0, 'a');
  scheduler.stop();
  scheduler.simulate();
  CHECK(recorder.text.empty());
}

TEST_CASE("a direct sc_stop from a thread ends the run too") {
  Scheduler scheduler("scheduler", 0ns);
  Recorder recorder(scheduler);
  Script script("script", [&] {
    scheduler.sleep(2us);
    sc_core::sc_stop();
  });
  recorder.at(1'000'000, 'a');
  recorder.at(3'000'000, 'c');
  scheduler.simulate();
  CHECK(recorder.text == "1000000a");
}

TEST_CASE("the watch is called every so many entries and may stop the run") {
  Scheduler scheduler("scheduler");
  std::uint64_t run = 0;
  Function tick([&] {
    ++run;
    scheduler.after<&Function::call>(1ns, &tick);
  });
  std::vector<std::uint64_t> seen;
  Function watch([&] {
    seen.push_back(run);
    if (seen.size() == 3) scheduler.stop();
  });
  scheduler.at<&Function::call>(0ns, &tick);
  scheduler.set_watch(Callback::of<&Function::call>(&watch), 100);
  scheduler.simulate();
  CHECK(seen == std::vector<std::uint64_t>{100, 200, 300});
  CHECK(run == 300);
  CHECK(scheduler.now() == 299ns);
  CHECK_THROWS_AS(scheduler.set_watch({}, 0), ModelBug);
}

TEST_CASE("what an entry throws comes out of simulate as it was") {
  Scheduler scheduler("scheduler");
  Function fail([] { throw UserError("seen"); });
  scheduler.at<&Function::call>(5us, &fail);
  CHECK_THROWS_AS(scheduler.simulate(), UserError);
  CHECK_FALSE(scheduler.in_entry());
  CHECK(scheduler.stopped());
}

TEST_CASE("a broken invariant inside an entry comes out of simulate as a ModelBug") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  Function fail([&] { recorder.at(1, 'a'); });
  scheduler.at<&Function::call>(5us, &fail);
  CHECK_THROWS_AS(scheduler.simulate(), ModelBug);
}

TEST_CASE("under a plain sc_start SystemC reports what an entry throws") {
  Scheduler scheduler("scheduler");
  Function fail([] { throw UserError("seen"); });
  scheduler.at<&Function::call>(5us, &fail);
  std::string text;
  try {
    sc_core::sc_start();
  } catch (const sc_core::sc_report& report) {
    text = report.what();
  }
  CHECK(text.find("seen") != text.npos);
}

TEST_CASE("scheduling behind a clock that a plain sc_start left behind is refused") {
  Scheduler scheduler("scheduler", 1s);
  Recorder recorder(scheduler);
  Function next([&] { recorder.at(15'000'000, 'b'); });
  scheduler.at<&Function::call>(1us, &next);
  sc_core::sc_start(sc_core::sc_time(10, sc_core::SC_US));
  REQUIRE(recorder.text == "15000000b");  // ran ahead of the end that nobody announced
  CHECK_THROWS_AS(recorder.at(12'000'000, 'c'), ModelBug);
  recorder.at(15'000'000, 'd');
  scheduler.simulate();
  CHECK(recorder.text == "15000000b 15000000d");
}

TEST_CASE("a thread that is killed in its sleep leaves nothing behind") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  sc_core::sc_process_handle sleeper = sc_core::sc_spawn([&] { scheduler.sleep(10us); });
  Script killer("killer", [&] {
    scheduler.sleep(1us);
    sleeper.kill();
    recorder.note('k');
  });
  recorder.at(20'000'000, 'a');
  scheduler.simulate();
  CHECK(recorder.text == "1000000k 20000000a");
  CHECK(scheduler.entries_run() == 2);
}

TEST_CASE("only threads may sleep") {
  Scheduler scheduler("scheduler");
  Function sleep([&] { scheduler.sleep(1us); });
  scheduler.at<&Function::call>(5us, &sleep);
  CHECK_THROWS_AS(scheduler.simulate(), ModelBug);
}

TEST_CASE("a sleep into the past lasts no time but takes its turn") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  Script script("script", [&] {
    scheduler.sleep_until(5us);
    recorder.at(5'000'000, 'a');
    scheduler.sleep_until(1us);
    recorder.note('t');
  });
  scheduler.simulate();
  CHECK(recorder.text == "5000000a 5000000t");
}

TEST_CASE("a foreign process schedules earlier than the wake-up that is pending") {
  Scheduler scheduler("scheduler");
  Recorder recorder(scheduler);
  Script script("script", [&] {
    sc_core::wait(sc_core::sc_time(1, sc_core::SC_US));
    recorder.at(1'000'000, 'b');  // now
    auto gone = recorder.at(1'500'000, 'x');
    recorder.at(2'000'000, 'c');  // later, but before what is armed
    scheduler.cancel(gone);
    sc_core::wait(sc_core::sc_time(8, sc_core::SC_US));
    recorder.at(9'500'000, 'd');
  });
  recorder.at(500'000, 'a');
  recorder.at(10'000'000, 'e');
  scheduler.simulate();
  CHECK(recorder.text == "500000a 1000000b 2000000c 9500000d 10000000e");
}

}  // namespace nvmesim::base
