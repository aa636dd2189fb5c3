#include "host/kernel/threads.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "host/kernel/work_queue.hpp"
#include "sim/base/assert.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::host;

namespace {

struct Kernel {
  base::Scheduler scheduler{"scheduler"};
  Threads threads{scheduler};
  std::vector<std::string> log;

  void note(std::string text) {
    log.push_back(fmt::format("{} {}", base::to_ns(scheduler.now()), text));
  }
};

// A work item that sleeps.
struct Job {
  Kernel& kernel;
  std::string name;
  base::Time duration;
  Work work{base::Callback::of<&Job::run>(this)};
  int running = 0;
  int runs = 0;

  void run() {
    CHECK(++running == 1);
    kernel.note(name + "+");
    kernel.threads.sleep_for(duration);
    kernel.note(name + "-");
    --running;
    ++runs;
  }
};

}  // namespace

TEST_CASE("a completion lets waiters through in order, or times out") {
  Kernel kernel;
  Completion completion(kernel.threads);
  for (const char* name : {"a", "b"}) {
    kernel.threads.spawn(name, [&, name] {
      completion.wait();
      kernel.note(name);
    });
  }
  kernel.threads.spawn("late", [&] {
    CHECK_FALSE(completion.wait_for(50ns));
    kernel.note("timeout");
    CHECK(completion.wait_for(1ms));
    kernel.note("late");
  });
  kernel.scheduler.at<&Completion::complete>(100ns, &completion);
  kernel.scheduler.at<&Completion::complete>(200ns, &completion);
  kernel.scheduler.at<&Completion::complete>(300ns, &completion);
  sc_core::sc_start();
  CHECK(kernel.log == std::vector<std::string>{"50 timeout", "100 a", "200 b", "300 late"});
  CHECK_FALSE(completion.done());
  CHECK(kernel.threads.running() == 0);
}

TEST_CASE("a completion at the instant of the deadline wakes the thread once") {
  Kernel kernel;
  Completion completion(kernel.threads);
  int wakes = 0;
  kernel.threads.spawn("waiter", [&] {
    completion.wait_for(100ns);
    ++wakes;
    kernel.threads.sleep_for(10ns);  // a stale wake-up would end this early
    CHECK(kernel.scheduler.now() == 110ns);
  });
  kernel.scheduler.at<&Completion::complete>(100ns, &completion);
  sc_core::sc_start();
  CHECK(wakes == 1);
}

TEST_CASE("waiting in a call-back is a bug") {
  Kernel kernel;
  struct Bad {
    Kernel& kernel;
    Completion completion{kernel.threads};
    Mutex mutex{kernel.threads};
    void go() {
      CHECK_THROWS_AS(kernel.threads.msleep(1), base::ModelBug);
      CHECK_THROWS_AS(completion.wait(), base::ModelBug);
      CHECK_THROWS_AS(mutex.lock(), base::ModelBug);
      CHECK(mutex.try_lock());
      CHECK_FALSE(mutex.try_lock());
    }
  } bad{kernel};
  kernel.scheduler.at<&Bad::go>(10ns, &bad);
  sc_core::sc_start();
  CHECK(bad.mutex.locked());
}

TEST_CASE("a mutex is handed over in the order of waiting") {
  Kernel kernel;
  Mutex mutex(kernel.threads);
  for (int i = 0; i < 4; ++i) {
    kernel.threads.spawn("holder", [&, i] {
      kernel.threads.sleep_for(base::Time(std::chrono::nanoseconds(i)));
      mutex.lock();
      kernel.note(fmt::format("lock{}", i));
      kernel.threads.sleep_for(100ns);
      mutex.unlock();
    });
  }
  kernel.threads.spawn("impatient", [&] {
    kernel.threads.sleep_for(150ns);
    CHECK_FALSE(mutex.try_lock());
  });
  sc_core::sc_start();
  CHECK(kernel.log == std::vector<std::string>{"0 lock0", "100 lock1", "200 lock2", "300 lock3"});
  CHECK_FALSE(mutex.locked());
}

TEST_CASE("work starts in order, different items at once, the same item never twice at once") {
  Kernel kernel;
  WorkQueue queue("wq", kernel.threads);
  Job a{kernel, "a", 100ns};
  Job b{kernel, "b", 30ns};
  struct Steps {
    WorkQueue& queue;
    Job &a, &b;
    void start() {
      CHECK(queue.queue_work(a.work));
      CHECK_FALSE(queue.queue_work(a.work));
      CHECK(queue.queue_work(b.work));
    }
    void again() {
      CHECK(a.work.running());
      CHECK(queue.queue_work(a.work));
      CHECK_FALSE(queue.queue_work(a.work));
    }
  } steps{queue, a, b};
  kernel.scheduler.at<&Steps::start>(10ns, &steps);
  kernel.scheduler.at<&Steps::again>(50ns, &steps);
  sc_core::sc_start();
  CHECK(kernel.log ==
        std::vector<std::string>{"10 a+", "10 b+", "40 b-", "110 a-", "110 a+", "210 a-"});
  CHECK(queue.executed() == 3);
  CHECK(queue.idle());
}

TEST_CASE("max_active limits how many items run at once") {
  Kernel kernel;
  WorkQueue queue("wq", kernel.threads, 1);
  Job a{kernel, "a", 10ns};
  Job b{kernel, "b", 10ns};
  queue.queue_work(a.work);
  queue.queue_work(b.work);
  sc_core::sc_start();
  CHECK(kernel.log == std::vector<std::string>{"0 a+", "10 a-", "10 b+", "20 b-"});
}

TEST_CASE("flush waits for the end, cancel takes out what has not begun") {
  Kernel kernel;
  WorkQueue queue("wq", kernel.threads, 1);
  Job a{kernel, "a", 100ns};
  Job b{kernel, "b", 100ns};
  kernel.threads.spawn("user", [&] {
    queue.queue_work(a.work);
    queue.queue_work(b.work);
    kernel.threads.sleep_for(20ns);
    CHECK(queue.cancel_work(b.work));
    CHECK_FALSE(queue.cancel_work(a.work));
    CHECK(queue.flush_work(a.work));
    kernel.note("flushed");
    CHECK_FALSE(queue.flush_work(a.work));
    queue.queue_work(b.work);
    kernel.threads.sleep_for(50ns);
    queue.queue_work(b.work);
    CHECK(queue.cancel_work_sync(b.work));
    kernel.note("cancelled");
  });
  sc_core::sc_start();
  CHECK(kernel.log == std::vector<std::string>{"0 a+", "100 a-", "100 flushed", "100 b+", "200 b-",
                                               "200 cancelled"});
  CHECK(b.runs == 1);
}

TEST_CASE("delayed work runs at its delay, a new delay replaces the old one") {
  Kernel kernel;
  WorkQueue queue("wq", kernel.threads);
  struct Note {
    Kernel& kernel;
    void run() { kernel.note("run"); }
  } note{kernel};
  DelayedWork work(queue, kernel.scheduler, base::Callback::of<&Note::run>(&note));
  kernel.threads.spawn("user", [&] {
    CHECK(work.queue(100ns));
    CHECK_FALSE(work.queue(10ns));
    kernel.threads.sleep_for(50ns);
    work.modify(100ns);
    kernel.threads.sleep_for(200ns);
    CHECK(work.queue(1s));
    CHECK(work.flush());
    CHECK(work.queue(1s));
    CHECK(work.cancel_sync());
    CHECK_FALSE(work.cancel());
  });
  sc_core::sc_start();
  CHECK(kernel.log == std::vector<std::string>{"150 run", "250 run"});
}

TEST_CASE("threads started by a call-back begin at its instant, in order") {
  Kernel kernel;
  struct Starter {
    Kernel& kernel;
    void go() {
      for (const char* name : {"one", "two"}) {
        kernel.threads.spawn(name, [this, name] { kernel.note(name); });
      }
      kernel.note("entry");
    }
  } starter{kernel};
  kernel.scheduler.at<&Starter::go>(70ns, &starter);
  sc_core::sc_start();
  CHECK(kernel.log == std::vector<std::string>{"70 entry", "70 one", "70 two"});
}
