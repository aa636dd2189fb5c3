// Queue arithmetic, against counters that do not wrap.
#include "device/queues.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::device;

TEST_CASE("a completion queue is full with one slot unused, for every size and position") {
  QueueSet queues(1);
  for (std::uint32_t size = 2; size < 12; ++size) {
    CompletionQueue& queue = queues.create_cq(1, size, 0x1000, true, 0);
    std::uint64_t posted = 0;
    std::uint64_t taken = 0;
    base::Random random(size, "cq");
    for (int step = 0; step < 2'000; ++step) {
      CHECK(queue.used() == posted - taken);
      CHECK(queue.full() == (posted - taken == size - 1));
      if (random.chance(1, 2) && !queue.full()) {
        queue.tail = static_cast<std::uint32_t>(++posted % size);
      } else if (taken != posted) {
        queue.head = static_cast<std::uint32_t>(++taken % size);
      }
    }
  }
}

TEST_CASE("what waits in a submission queue is the distance from fetch head to tail") {
  QueueSet queues(1);
  queues.create_cq(1, 8, 0x1000, true, 0);
  SubmissionQueue& queue = queues.create_sq(1, 5, 0x2000, 1);
  std::uint64_t rung = 0;
  std::uint64_t fetched = 0;
  base::Random random(1, "sq");
  for (int step = 0; step < 2'000; ++step) {
    CHECK(queue.waiting() == rung - fetched);
    if (random.chance(1, 2) && rung - fetched < 4) {
      queue.tail = static_cast<std::uint32_t>(++rung % 5);
    } else if (fetched != rung) {
      queue.fetch_head = static_cast<std::uint32_t>(++fetched % 5);
    }
  }
}

TEST_CASE("queues exist from creation to deletion and count their users") {
  QueueSet queues(3);
  CHECK(queues.max_id() == 3);
  CHECK_FALSE(queues.io_queue_created());
  CHECK(queues.cq(1) == nullptr);
  queues.create_cq(1, 8, 0x1000, true, 2);
  CHECK(queues.io_queue_created());
  queues.create_sq(2, 8, 0x2000, 1);
  queues.create_sq(3, 8, 0x3000, 1);
  CHECK(queues.cq(1)->users == 2);
  queues.delete_sq(*queues.sq(2));
  CHECK(queues.sq(2) == nullptr);
  CHECK(queues.cq(1)->users == 1);
  CHECK(queues.sq(4) == nullptr);
  CHECK(queues.sq(0xFFFF) == nullptr);
  queues.reset();
  CHECK(queues.sq(3) == nullptr);
  CHECK_FALSE(queues.io_queue_created());
}

TEST_CASE("a command pool counts slots of the two kinds apart and comes back clean") {
  CommandPool pool(3, 2);
  CHECK(pool.clean());
  pool.reserve(false, 3);
  CHECK(pool.available(false) == 0);
  CHECK(pool.available(true) == 2);
  Command& command = pool.take();
  command.sqid = 4;
  command.state = CommandState::kDecoding;
  CHECK_FALSE(pool.clean());
  pool.release(command);
  CHECK(pool.available(false) == 1);
  pool.unreserve(false, 2);
  CHECK(pool.clean());
  CHECK_THROWS_AS(pool.release(command), base::ModelBug);
}
