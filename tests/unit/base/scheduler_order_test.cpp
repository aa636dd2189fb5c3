// The order of everything is total and does not depend on the quantum: entries, threads that sleep
// through the Scheduler, events that entries wake, and foreign modules with a clock, an sc_event
// and a payload queue of their own, all of them at the same instants. Each run writes down
// (time, who); runs at different quanta must write the same.
#include <fmt/format.h>
#include <tlm_utils/peq_with_get.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/payload_pool.hpp"
#include "sim/base/random.hpp"
#include "sim/base/scheduler.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/base/in_child.hpp"

namespace nvmesim::base {
namespace {

constexpr Time kGrid = 10ns;  // everything happens on it, so that nearly everything collides
constexpr Time kEnd = 20us;

struct Attributes : tlm::tlm_extension<Attributes> {
  tlm::tlm_extension_base* clone() const override { return new Attributes(*this); }
  void copy_from(const tlm::tlm_extension_base& other) override {
    *this = static_cast<const Attributes&>(other);
  }
};

// A foreign module: takes payloads at their instants and does work of its own in the same ones.
// SystemC says nothing of the order of its processes among themselves at one instant, so it notes
// only in one of them, and schedules with ranks.
class Foreign : public sc_core::sc_module {
 public:
  Foreign(sc_core::sc_module_name name, Scheduler& scheduler,
          std::function<void(std::uint64_t)> answer)
      : sc_core::sc_module(name),
        scheduler_(scheduler),
        answer_(std::move(answer)),
        queue_("queue") {
    NVMESIM_HAS_PROCESS(Foreign);
    SC_METHOD(take);
    sensitive << queue_.get_event();
    dont_initialize();
    SC_THREAD(clocked);
  }
  void send(tlm::tlm_generic_payload& payload, const sc_core::sc_time& delay) {
    queue_.notify(payload, delay);
  }

 private:
  void take() {
    while (auto* payload = queue_.get_next_transaction()) {
      const std::uint64_t who = payload->get_address();
      scheduler_.at_ranked(scheduler_.now() + kGrid * (who % 2), {call, this, who}, who);
      payload->release();
    }
  }
  void clocked() {
    while (scheduler_.now() < kEnd) {
      sc_core::wait(to_sc_time(2 * kGrid));
      scheduler_.at_ranked(scheduler_.now(), {call, this, 999}, 5);  // between the others
      scheduler_.at_ranked(scheduler_.now() + kGrid, {call, this, 998}, 3);
    }
  }
  static void call(void* self, std::uint64_t who) { static_cast<Foreign*>(self)->answer_(who); }

  Scheduler& scheduler_;
  std::function<void(std::uint64_t)> answer_;
  tlm_utils::peq_with_get<tlm::tlm_generic_payload> queue_;
};

class Town : public sc_core::sc_module {
 public:
  Town(sc_core::sc_module_name name, Scheduler& scheduler, std::uint64_t seed)
      : sc_core::sc_module(name),
        scheduler_(scheduler),
        random_(seed, "town"),
        foreign_("foreign", scheduler, [this](std::uint64_t who) { note("foreign", who); }) {
    NVMESIM_HAS_PROCESS(Town);
    SC_THREAD(sleeper_a);
    SC_THREAD(sleeper_b);
    SC_THREAD(waiter);
    for (std::uint64_t i = 0; i < 6; ++i) scheduler_.at<&Town::step>(0ns, this, i);
  }
  const std::string& text() const { return trace_; }

 private:
  void note(std::string_view who, std::uint64_t number) {
    trace_ += fmt::format("{} {} {}\n", to_ns(scheduler_.now()), who, number);
  }
  Time soon() { return scheduler_.now() + kGrid * random_.below(4); }

  // A chain of entries that does one random thing in each of them.
  void step(std::uint64_t chain) {
    note("step", chain);
    if (scheduler_.now() >= kEnd) return;
    switch (random_.below(6)) {
      case 0:
        scheduler_.wake(bell_);
        break;
      case 1:
        scheduler_.at<&Town::late>(soon(), this, chain, Phase::kLate);
        break;
      case 2:
        scheduler_.cancel(last_);
        break;
      case 3:
        if (scheduler_.pending(last_)) scheduler_.move(last_, soon());
        break;
      case 4: {
        auto* payload = pool_.take();
        payload->set_address(chain);
        scheduler_.calls_foreign();
        foreign_.send(*payload, scheduler_.ahead() + to_sc_time(kGrid * random_.below(3)));
        break;
      }
      default:
        last_ = scheduler_.at<&Town::extra>(soon(), this, chain);
    }
    scheduler_.at<&Town::step>(soon() + kGrid * (chain == 0), this, chain);
  }
  void late(std::uint64_t chain) { note("late", chain); }
  void extra(std::uint64_t chain) { note("extra", chain); }

  void sleeper_a() {
    while (scheduler_.now() < kEnd) {
      note("sleeper a", 0);
      scheduler_.at<&Town::extra>(scheduler_.now(), this, 100);
      scheduler_.sleep(kGrid * (1 + random_.below(5)));
    }
  }
  void sleeper_b() {
    while (scheduler_.now() < kEnd) {
      note("sleeper b", 0);
      scheduler_.at<&Town::late>(scheduler_.now(), this, 200, Phase::kLate);
      scheduler_.sleep_until(soon());
      if (random_.below(4) == 0) scheduler_.wake(bell_);
    }
  }
  void waiter() {
    while (scheduler_.now() < kEnd) {
      sc_core::wait(bell_);
      note("woken", 0);
      scheduler_.at<&Town::extra>(soon(), this, 300);
    }
  }

  Scheduler& scheduler_;
  Random random_;
  std::string trace_;
  PayloadPool<Attributes> pool_;
  sc_core::sc_event bell_{"bell"};
  Scheduler::Handle last_;
  Foreign foreign_;
};

std::string run(std::uint64_t seed, Time quantum) {
  return test::in_child([&] {
    Scheduler scheduler("scheduler", quantum);
    Town town("town", scheduler, seed);
    scheduler.simulate();
    return town.text() + fmt::format("end {}", scheduler.now().count());
  });
}

std::uint64_t digest(std::string_view text) {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const char letter : text) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100'0000'01B3;
  }
  return hash;
}

}  // namespace

TEST_CASE("entries, threads and foreign modules keep one order whatever the quantum") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    INFO("seed " << seed);
    const std::string expected = run(seed, 0ns);
    for (const char* who : {"step 5", "late", "extra 100", "extra 300", "sleeper a", "sleeper b",
                            "woken", "foreign 1", "foreign 998", "foreign 999"}) {
      INFO(who);
      CHECK((expected.find(who) != expected.npos));
    }
    for (const Time quantum : {Time(15ns), Time(1us), Time(1s)}) {
      const bool same = run(seed, quantum) == expected;
      CHECK(same);
    }
    // The same on every version of SystemC, compiler and processor.
    if (seed == 1) CHECK(digest(expected) == 0x72ccd24a7785c91dU);
  }
}

}  // namespace nvmesim::base
