// The Scheduler against a reference that is correct by its simplicity: an ordered map of
// (time, phase, sequence). Every entry that runs must be the first of the map; then it does random
// things to both. A failure prints the seed and the step.
#include <fmt/format.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "sim/base/random.hpp"
#include "sim/base/scheduler.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/base/in_child.hpp"

namespace nvmesim::base {
namespace {

class Fuzzer {
 public:
  Fuzzer(Scheduler& scheduler, std::uint64_t seed, std::uint64_t steps)
      : scheduler_(scheduler), random_(seed, "fuzzer"), steps_(steps) {
    for (int i = 0; i < 50; ++i) schedule();
  }

  // Empty if all went well. Otherwise what was wrong first.
  const std::string& fault() const { return fault_; }
  std::size_t left() const { return reference_.size(); }
  std::string digest() const { return fmt::format("{:016x} after {} entries", digest_, run_); }

 private:
  using Place = std::tuple<std::int64_t, bool, std::uint64_t>;  // time, late, sequence
  struct Known {
    Scheduler::Handle handle;
    Place place;
    bool pending = false;
  };

  void run(std::uint64_t id) {
    ++run_;
    Known& known = known_[id];
    if (!known.pending) return fail("a dead entry ran");
    if (reference_.begin()->second != id) return fail("the wrong entry ran");
    if (scheduler_.now() != Time{std::get<0>(known.place)}) return fail("it ran at a wrong time");
    if (scheduler_.pending(known.handle)) return fail("a running entry was pending");
    reference_.erase(reference_.begin());
    known.pending = false;
    digest_ =
        (digest_ ^ id) * 0x100'0000'01B3 + static_cast<std::uint64_t>(scheduler_.now().count());
    if (scheduler_.pending_count() != reference_.size()) return fail("the number pending is wrong");
    const bool growing = run_ < steps_;
    for (auto actions = random_.below(growing ? 5 : 2); actions > 0; --actions) act(growing);
    if (growing && reference_.empty()) schedule();
  }

  void act(bool growing) {
    const auto what = random_.below(10);
    if (what < 5) {
      if (growing && reference_.size() < 300) schedule();
    } else if (what < 7) {
      cancel(random_.below(known_.size()));
    } else {
      move(random_.below(known_.size()));
    }
  }

  // From "this instant" to hours ahead, with collisions on a coarse grid, and slot boundaries.
  Time random_time() {
    const std::int64_t now = scheduler_.now().count();
    switch (random_.below(9)) {
      case 0:
        return Time{now};
      case 1:
        return Time{now + draw(4)};
      case 2:
        return Time{(now / 10'000 + 1 + draw(3)) * 10'000};
      case 3:
        return Time{now + draw(1'000'000)};
      case 4:
        return Time{now + draw(2'000'000'000)};  // 2 ms
      case 5:
        return Time{(((now >> 30) + 1 + draw(3)) << 30) - draw(2)};
      case 6:
        return Time{now + draw(std::int64_t{1} << 38)};  // a lap, 274 ms
      case 7:
        return Time{((now >> 38) + 1 + draw(4)) << 38};
      default:
        return random_.below(50) == 0 ? Time{now + draw(3'600'000'000'000'000)} : Time{now + 500};
    }
  }
  std::int64_t draw(std::int64_t bound) {
    return static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound)));
  }

  void schedule() {
    const bool late = random_.below(5) == 0;
    const Time when = random_time();
    const std::uint64_t id = known_.size();
    Known known;
    known.place = {when.count(), late, ++sequence_};
    known.pending = true;
    known.handle =
        scheduler_.at<&Fuzzer::run>(when, this, id, late ? Phase::kLate : Phase::kNormal);
    reference_.emplace(known.place, id);
    known_.push_back(known);
  }

  void cancel(std::uint64_t id) {
    Known& known = known_[id];
    Scheduler::Handle copy = known.handle;
    if (scheduler_.cancel(copy) != known.pending) return fail("cancel answered wrongly");
    if (!known.pending) return;
    reference_.erase(known.place);
    known.pending = false;
  }

  void move(std::uint64_t id) {
    Known& known = known_[id];
    if (scheduler_.pending(known.handle) != known.pending) return fail("pending answered wrongly");
    if (!known.pending) return;
    if (scheduler_.when(known.handle).count() != std::get<0>(known.place)) {
      return fail("when answered wrongly");
    }
    const Time when = random_time();
    reference_.erase(known.place);
    known.place = {when.count(), std::get<1>(known.place), ++sequence_};
    scheduler_.move(known.handle, when);
    reference_.emplace(known.place, id);
  }

  void fail(std::string_view what) {
    if (fault_.empty()) fault_ = fmt::format("{} at step {}", what, run_);
    scheduler_.stop();
  }

  Scheduler& scheduler_;
  Random random_;
  std::uint64_t steps_;
  std::map<Place, std::uint64_t> reference_;
  std::vector<Known> known_;
  std::uint64_t sequence_ = 0;
  std::uint64_t run_ = 0;
  std::uint64_t digest_ = 0;
  std::string fault_;
};

std::string fuzz(std::uint64_t seed, Time quantum) {
  return test::in_child([&] {
    Scheduler scheduler("scheduler", quantum);
    Fuzzer fuzzer(scheduler, seed, 20'000);
    scheduler.simulate();
    if (!fuzzer.fault().empty()) return "FAULT: " + fuzzer.fault();
    if (fuzzer.left() != 0 || scheduler.pending_count() != 0)
      return std::string("FAULT: some left");
    return fuzzer.digest();
  });
}

}  // namespace

TEST_CASE("random schedules, cancels and moves run in the order of a sorted map") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const std::string first = fuzz(seed, 1s);
    INFO("seed " << seed);
    CHECK(first.find("FAULT") == first.npos);
    CHECK(first.find("entries") != first.npos);
    CHECK(fuzz(seed, 0ns) == first);
    CHECK(fuzz(seed, 1us) == first);
  }
}

}  // namespace nvmesim::base
