#include "sim/bridge/time_travel.hpp"

#include "tests/unit/bridge/peer.hpp"

namespace nvmesim::bridge {
namespace {

constexpr std::uint32_t kAck = 0;
constexpr std::uint32_t kStart = 1;
constexpr std::uint32_t kRequest = 2;
constexpr std::uint32_t kWait = 3;
constexpr std::uint32_t kGet = 4;
constexpr std::uint32_t kUpdate = 5;
constexpr std::uint32_t kRun = 6;
constexpr std::uint32_t kFreeUntil = 7;
constexpr std::uint32_t kGetTimeOfDay = 8;
constexpr std::uint64_t kDate = 1'000'000;

struct Kernel {
  test::Peer peer;
  TimeTravel time{peer.end(), kDate};

  void say(std::uint32_t op, std::uint64_t when, std::uint64_t now) {
    peer.send_struct(TimeTravelMessage{op, ++seq, when});
    REQUIRE(time.receive());
    time.serve(now);
  }
  std::vector<TimeTravelMessage> heard() {
    const auto bytes = peer.received();
    REQUIRE(bytes.size() % sizeof(TimeTravelMessage) == 0);
    std::vector<TimeTravelMessage> messages(bytes.size() / sizeof(TimeTravelMessage));
    if (!bytes.empty()) std::memcpy(messages.data(), bytes.data(), bytes.size());
    return messages;
  }
  std::uint64_t acknowledged() {
    const auto messages = heard();
    REQUIRE(messages.size() == 1);
    CHECK(messages[0].op == kAck);
    CHECK(messages[0].seq == seq);
    return messages[0].time;
  }
  std::uint32_t seq = 40;
};

TEST_CASE("the kernel waits until it is run at the time that it asked for") {
  Kernel kernel;
  kernel.say(kStart, 7, 0);
  kernel.acknowledged();
  kernel.say(kRequest, 500, 0);
  kernel.acknowledged();
  CHECK_FALSE(kernel.time.waiting());
  kernel.say(kWait, ~std::uint64_t{0}, 0);
  kernel.acknowledged();
  CHECK(kernel.time.waiting());
  CHECK(kernel.time.requested() == 500);
  // A later request overrides, also while it waits: an interrupt came.
  kernel.say(kRequest, 300, 300);
  kernel.acknowledged();
  CHECK(kernel.time.requested() == 300);
  kernel.time.run(300, 0);
  CHECK_FALSE(kernel.time.waiting());
  CHECK(kernel.time.requested() == TimeTravel::kNever);
  const auto heard = kernel.heard();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].op == kRun);
  CHECK(heard[0].time == 300);
  CHECK_FALSE(kernel.time.acknowledged());
  kernel.peer.send_struct(TimeTravelMessage{kAck, heard[0].seq, 0});
  REQUIRE(kernel.time.receive());
  kernel.time.serve(300);
  CHECK(kernel.time.acknowledged());
}

TEST_CASE("a free run is announced before the run, and can be taken back but not extended") {
  Kernel kernel;
  kernel.say(kWait, 0, 0);
  kernel.heard();
  kernel.time.run(0, 9000);
  auto heard = kernel.heard();
  REQUIRE(heard.size() == 2);
  CHECK(heard[0].op == kFreeUntil);
  CHECK(heard[0].time == 9000);
  CHECK(heard[1].op == kRun);
  kernel.time.limit(9500);
  CHECK(kernel.heard().empty());
  kernel.time.limit(4000);
  heard = kernel.heard();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].time == 4000);
  CHECK(kernel.time.free_until() == 4000);
}

TEST_CASE("time and date are told, and an update from the future waits for the simulation") {
  Kernel kernel;
  kernel.say(kGet, ~std::uint64_t{0}, 123);
  CHECK(kernel.acknowledged() == 123);
  kernel.say(kGetTimeOfDay, 0, 123);
  CHECK(kernel.acknowledged() == kDate + 123);
  kernel.say(kUpdate, 123, 123);
  kernel.acknowledged();
  CHECK_FALSE(kernel.time.update());
  kernel.say(kUpdate, 200, 123);
  CHECK(kernel.heard().empty());
  REQUIRE(kernel.time.update());
  CHECK(*kernel.time.update() == 200);
  kernel.time.finish_update();
  kernel.acknowledged();
}

TEST_CASE("half a message is waited for, an unknown one and a stray acknowledgement are refused") {
  Kernel kernel;
  const TimeTravelMessage message{kGet, 1, 0};
  const auto bytes = std::as_bytes(std::span(&message, 1));
  kernel.peer.send(bytes.first(9));
  REQUIRE(kernel.time.receive());
  kernel.time.serve(0);
  CHECK(kernel.heard().empty());
  kernel.peer.send(bytes.subspan(9));
  REQUIRE(kernel.time.receive());
  kernel.time.serve(0);
  CHECK(kernel.heard().size() == 1);
  for (const std::uint32_t op : {kAck, kRun, kFreeUntil, 9u, 0xFFFF'FFFFu}) {
    Kernel other;
    other.peer.send_struct(TimeTravelMessage{op, 1, 0});
    REQUIRE(other.time.receive());
    CHECK_THROWS_AS(other.time.serve(0), PeerError);
  }
}

TEST_CASE("a kernel that closes is noticed when reading and when writing") {
  Kernel kernel;
  kernel.say(kWait, 0, 0);
  kernel.peer.close();
  CHECK_FALSE(kernel.time.receive());
  CHECK_THROWS_AS(kernel.time.run(0, 0), PeerError);
}

}  // namespace
}  // namespace nvmesim::bridge
