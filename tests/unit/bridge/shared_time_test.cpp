// The kernel's side of the shared memory for time, by hand, as linux/um_timetravel.h lays it out.
#include <fcntl.h>

#include "sim/bridge/time_travel.hpp"
#include "tests/unit/bridge/peer.hpp"

namespace nvmesim::bridge {
namespace {

constexpr std::uint32_t kAck = 0;
constexpr std::uint32_t kStart = 1;
constexpr std::uint32_t kWait = 3;
constexpr std::uint32_t kRun = 6;
constexpr std::uint32_t kGetTimeOfDay = 8;
constexpr std::uint64_t kDate = 1'000'000;
constexpr std::size_t kFreeUntil = 8;
constexpr std::size_t kCurrentTime = 16;
constexpr std::size_t kRunning = 24;
constexpr std::size_t kClients = 4096;
constexpr std::size_t kClientBytes = 128;

// A kernel that has connected, and shares the time if `shares`.
struct Kernel {
  explicit Kernel(bool shares = true) {
    say(kStart, 0);
    const auto messages = heard();
    REQUIRE(messages.size() == 1);
    REQUIRE(fds.size() == 2);
    id = messages[0].time & 0xFFFF;
    length = read<std::uint32_t>(4);
    if (shares) {
      write<std::uint32_t>(client(0), 1);
      say(kGetTimeOfDay, 0);
      heard();
    }
  }

  void say(std::uint32_t op, std::uint64_t now) {
    peer.send_struct(TimeTravelMessage{op, ++seq, ~std::uint64_t{0}});
    REQUIRE(time.receive());
    time.serve(now);
  }
  std::vector<TimeTravelMessage> heard() {
    const auto bytes = peer.received(&fds);
    std::vector<TimeTravelMessage> messages(bytes.size() / sizeof(TimeTravelMessage));
    if (!bytes.empty())
      std::memcpy(messages.data(), bytes.data(), messages.size() * sizeof(TimeTravelMessage));
    return messages;
  }
  std::size_t client(std::size_t offset) const { return kClients + id * kClientBytes + offset; }
  template <class Value>
  Value read(std::size_t offset) {
    Value value{};
    REQUIRE(pread(fds[0].get(), &value, sizeof value, static_cast<off_t>(offset)) == sizeof value);
    return value;
  }
  template <class Value>
  void write(std::size_t offset, Value value) {
    REQUIRE(pwrite(fds[0].get(), &value, sizeof value, static_cast<off_t>(offset)) == sizeof value);
  }
  void request(std::uint64_t when) {
    write<std::uint64_t>(client(8), when);
    write<std::uint32_t>(client(4), 1);
  }

  test::Peer peer;
  TimeTravel time{peer.end(), kDate};
  std::vector<Fd> fds;
  std::size_t id = 0;
  std::uint32_t length = 0;
  std::uint32_t seq = 0;
};

TEST_CASE("the memory for time has room for the kernel, says that it runs, and cannot be cut") {
  Kernel kernel;
  CHECK(kernel.time.shares_time());
  CHECK(kernel.read<std::uint32_t>(0) == 2);  // the protocol's version
  CHECK(kernel.length >= kernel.client(kClientBytes));
  CHECK(kernel.read<std::uint16_t>(kRunning) == kernel.id);
  CHECK(kernel.read<std::uint64_t>(kCurrentTime) == 0);
  CHECK(kernel.read<std::uint16_t>(26) > kernel.id);
  CHECK((kernel.read<std::uint32_t>(kClients) & 1) == 1);  // the controller shares time, too
  CHECK(ftruncate(kernel.fds[0].get(), 0) != 0);
}

TEST_CASE("a kernel that takes no memory is spoken to in messages") {
  Kernel kernel(false);
  kernel.say(kWait, 0);
  CHECK_FALSE(kernel.time.shares_time());
  REQUIRE(kernel.heard().size() == 1);  // acknowledged
  kernel.time.run(10, 900);
  CHECK(kernel.heard().size() == 2);  // how far, and that it may
}

TEST_CASE("with shared time a wait is not acknowledged, a request is memory, a run one message") {
  Kernel kernel;
  kernel.request(700);
  kernel.say(kWait, 0);
  CHECK(kernel.heard().empty());
  CHECK(kernel.time.waiting());
  CHECK(kernel.time.requested() == 700);
  kernel.time.tell(300);  // an interrupt comes
  CHECK(kernel.read<std::uint16_t>(kRunning) != kernel.id);
  CHECK(kernel.read<std::uint64_t>(kCurrentTime) == 300);
  kernel.request(300);
  CHECK(kernel.time.requested() == 300);
  kernel.time.run(300, 5000);
  const auto heard = kernel.heard();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].op == kRun);
  CHECK(heard[0].time == 300);
  CHECK(kernel.read<std::uint64_t>(kFreeUntil) == 5000);
  CHECK(kernel.read<std::uint16_t>(kRunning) == kernel.id);
  CHECK(kernel.time.acknowledged());
}

TEST_CASE("a kernel without a request waits for ever") {
  Kernel kernel;
  kernel.say(kWait, 0);
  CHECK(kernel.time.requested() == TimeTravel::kNever);
}

TEST_CASE("where a running kernel is, is read from memory, and it must not be too far") {
  Kernel kernel;
  kernel.say(kWait, 0);
  kernel.time.run(100, 5000);
  CHECK(kernel.time.gone_on_to() == 100);
  kernel.write<std::uint64_t>(kCurrentTime, 4000);
  CHECK(kernel.time.gone_on_to() == 4000);
  kernel.time.limit(4500);
  CHECK(kernel.read<std::uint64_t>(kFreeUntil) == 4500);
  CHECK(kernel.time.acknowledged());
  CHECK(kernel.time.free_until() == 4500);
  kernel.write<std::uint64_t>(kCurrentTime, 5001);
  CHECK_THROWS_AS(kernel.time.gone_on_to(), PeerError);
}

TEST_CASE("a kernel that must ask is given no time") {
  Kernel kernel;
  kernel.say(kWait, 0);
  kernel.time.run(100, 0);
  CHECK(kernel.read<std::uint64_t>(kFreeUntil) == 100);
}

TEST_CASE("the date is asked for and acknowledged as before") {
  Kernel kernel;
  kernel.say(kGetTimeOfDay, 50);
  const auto heard = kernel.heard();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].op == kAck);
  CHECK(heard[0].time == kDate + 50);
}

}  // namespace
}  // namespace nvmesim::bridge
