#include "sim/bridge/vhost_user.hpp"

#include "sim/base/random.hpp"
#include "tests/unit/bridge/peer.hpp"

namespace nvmesim::bridge {
namespace {

using Request = VhostUserRequest;

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kReply = 4;
constexpr std::uint32_t kNeedReply = 8;
constexpr std::uint64_t kBytes = 1 << 20;

struct Kernel {
  test::Peer peer;
  VhostUserServer server{peer.end()};

  std::optional<unsigned> say(Request request, std::vector<std::uint64_t> payload = {},
                              const std::vector<int>& fds = {},
                              std::uint32_t flags = kVersion | kNeedReply,
                              std::size_t cut = ~std::size_t{0}) {
    const std::size_t bytes = std::min(payload.size() * 8, cut);
    std::vector<std::byte> message(sizeof(VhostUserHeader) + bytes);
    const VhostUserHeader header{static_cast<std::uint32_t>(request), flags,
                                 static_cast<std::uint32_t>(bytes)};
    std::memcpy(message.data(), &header, sizeof header);
    if (bytes != 0) std::memcpy(message.data() + sizeof header, payload.data(), bytes);
    peer.send(message, fds);
    REQUIRE(server.receive());
    return server.serve();
  }
  // The number in the answer.
  std::uint64_t answer() {
    const auto bytes = peer.received();
    REQUIRE(bytes.size() == sizeof(VhostUserHeader) + 8);
    VhostUserHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    CHECK(header.flags == (kVersion | kReply));
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + sizeof header, 8);
    return value;
  }
};

constexpr std::uint64_t state(std::uint32_t index, std::uint32_t number) {
  return std::uint64_t{number} << 32 | index;
}

TEST_CASE("a kernel that negotiates as User-Mode Linux does gets its queues and its memory") {
  Kernel kernel;
  kernel.say(Request::kSetOwner, {}, {}, kVersion);
  kernel.say(Request::kGetFeatures, {}, {}, kVersion);
  CHECK((kernel.answer() & 1ull << 30) != 0);
  kernel.say(Request::kGetProtocolFeatures, {}, {}, kVersion);
  const std::uint64_t features = kernel.answer();
  kernel.say(Request::kSetProtocolFeatures, {features}, {}, kVersion);
  test::Peer calls;
  const Fd channel = calls.end();
  kernel.say(Request::kSetBackendRequestFd, {}, {channel.get()});
  CHECK(kernel.answer() == 0);
  CHECK(kernel.server.call_fd() >= 0);
  const Fd file = test::memory_file(kBytes);
  kernel.say(Request::kSetMemTable, {1, 0x1000, kBytes - 0x1000, 0x5000, 0x1000}, {file.get()});
  CHECK(kernel.answer() == 0);
  CHECK(kernel.server.memory().at_guest(0x1000, 16).size() == 16);
  for (std::uint32_t index = 0; index < VhostUserServer::kQueues; ++index) {
    kernel.say(Request::kSetVringNum, {state(index, 256)});
    kernel.say(Request::kSetVringBase, {state(index, 0)});
    kernel.say(Request::kSetVringAddr, {index, 0x8000, 0xA000, 0x9000, ~std::uint64_t{0}});
    kernel.say(Request::kSetVringKick, {index | 0x100});
    kernel.say(Request::kSetVringEnable, {state(index, 1)});
    kernel.peer.received();
    CHECK(kernel.server.queue(index).enabled());
  }
  CHECK(kernel.say(Request::kVringKick, {state(1, 0)}) == 1u);
  CHECK(kernel.server.in_kick());
  CHECK(kernel.peer.received().empty());  // it is held
  kernel.server.finish_kick();
  CHECK(kernel.answer() == 0);
  kernel.say(Request::kGetVringBase, {state(1, 0)}, {}, kVersion);
  CHECK_FALSE(kernel.server.queue(1).enabled());
}

TEST_CASE("memory that is in use cannot be changed") {
  Kernel kernel;
  const Fd file = test::memory_file(kBytes);
  const std::vector<std::uint64_t> table = {1, 0x1000, 0x1000, 0x5000, 0};
  kernel.say(Request::kSetMemTable, table, {file.get()});
  CHECK_THROWS_AS(kernel.say(Request::kSetMemTable, table, {file.get()}), PeerError);
}

TEST_CASE("nothing behind a kick is handled before the kick has ended") {
  Kernel kernel;
  kernel.say(Request::kVringKick, {state(0, 0)});
  CHECK_FALSE(kernel.say(Request::kGetFeatures));
  CHECK(kernel.peer.received().empty());
  kernel.server.finish_kick();
  kernel.answer();
  CHECK_FALSE(kernel.server.serve());
  kernel.answer();
}

TEST_CASE("a call is answered once") {
  Kernel kernel;
  test::Peer calls;
  const Fd channel = calls.end();
  kernel.say(Request::kSetBackendRequestFd, {}, {channel.get()});
  kernel.server.call(1);
  const auto sent = calls.received();
  REQUIRE(sent.size() == 20);
  CHECK(std::to_integer<unsigned>(sent[0]) == 4);
  CHECK(std::to_integer<unsigned>(sent[12]) == 1);
  CHECK(kernel.server.call_open());
  struct {
    VhostUserHeader header{4, kVersion | kReply, 8};
    std::uint32_t value[2] = {0, 0};
  } const answer;
  calls.send_struct(answer);
  CHECK(kernel.server.receive_answer());
  CHECK_FALSE(kernel.server.call_open());
  calls.send_struct(answer);
  CHECK_THROWS_AS(kernel.server.receive_answer(), PeerError);
}

TEST_CASE("a refused call is an error") {
  Kernel kernel;
  test::Peer calls;
  const Fd channel = calls.end();
  kernel.say(Request::kSetBackendRequestFd, {}, {channel.get()});
  kernel.server.call(0);
  struct {
    VhostUserHeader header{4, kVersion | kReply, 8};
    std::uint32_t value[2] = {1, 0};
  } const answer;
  calls.send_struct(answer);
  CHECK_THROWS_AS(kernel.server.receive_answer(), PeerError);
}

TEST_CASE("wrong headers are refused") {
  const auto refused = [](std::uint32_t request, std::uint32_t flags, std::uint32_t size) {
    Kernel kernel;
    kernel.peer.send_struct(VhostUserHeader{request, flags, size});
    REQUIRE(kernel.server.receive());
    CHECK_THROWS_AS(kernel.server.serve(), PeerError);
  };
  refused(1, 0, 0);                  // version
  refused(1, 2, 0);                  // version
  refused(1, kVersion | kReply, 0);  // an answer to nothing
  refused(1, kVersion, 4097);        // too long
  refused(1, kVersion, 0xFFFF'FFFF);
  refused(0, kVersion, 0);  // unknown
  refused(99, kVersion, 0);
  refused(static_cast<std::uint32_t>(Request::kVringKick), kVersion, 0);
}

TEST_CASE("payloads that are too short, and missing descriptors, are refused") {
  const auto refused = [](Request request, std::vector<std::uint64_t> payload,
                          std::size_t cut = ~std::size_t{0}) {
    Kernel kernel;
    CHECK_THROWS_AS(kernel.say(request, payload, {}, kVersion, cut), PeerError);
  };
  refused(Request::kSetVringNum, {state(0, 256)}, 7);
  refused(Request::kSetVringNum, {state(2, 256)});
  refused(Request::kSetVringNum, {state(0xFFFF'FFFF, 256)});
  refused(Request::kSetVringAddr, {0, 0, 0, 0, 0}, 39);
  refused(Request::kSetVringAddr, {0, 0, 0, 0, 0});  // before its size
  refused(Request::kSetMemTable, {1, 0x1000, kBytes, 0x5000, 0});
  refused(Request::kSetMemTable, {0});
  refused(Request::kSetMemTable, {9});
  refused(Request::kSetBackendRequestFd, {});
  refused(Request::kSetProtocolFeatures, {0});
  refused(Request::kVringKick, {state(7, 0)});
}

TEST_CASE("more descriptors than any message has are refused, not kept") {
  Kernel kernel;
  const Fd file = test::memory_file(4096);
  const std::vector<int> many(10, file.get());
  kernel.peer.send_struct(std::uint32_t{1}, many);
  REQUIRE(kernel.server.receive());
  kernel.peer.send_struct(std::uint32_t{1}, many);
  CHECK_THROWS_AS(kernel.server.receive(), PeerError);
}

TEST_CASE("a message in single bytes is one message, and a kernel that closes in it is noticed") {
  Kernel kernel;
  const VhostUserHeader header{1, kVersion, 0};
  const auto bytes = std::as_bytes(std::span(&header, 1));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    CHECK(kernel.peer.received().empty());
    kernel.peer.send(bytes.subspan(i, 1));
    REQUIRE(kernel.server.receive());
    CHECK_FALSE(kernel.server.serve());
  }
  kernel.answer();
  kernel.peer.send(bytes.first(5));
  REQUIRE(kernel.server.receive());
  CHECK_FALSE(kernel.server.serve());
  kernel.peer.close();
  CHECK_FALSE(kernel.server.receive());
}

TEST_CASE("random messages end in an answer or an error, never in more") {
  base::Random random(1, "vhost_user_test");
  unsigned refused = 0;
  unsigned answered = 0;
  for (unsigned round = 0; round < 2000; ++round) {
    Kernel kernel;
    try {
      for (unsigned i = 0; i < 20 && !kernel.server.in_kick(); ++i) {
        std::vector<std::uint64_t> payload(random.below(8));
        for (auto& word : payload) {
          word = random.below(2) == 0 ? random.next() : random.below(4);
        }
        kernel.say(static_cast<Request>(random.below(40)), payload);
        // One message, one answer at most.
        const std::size_t bytes = kernel.peer.received().size();
        CHECK(bytes <= sizeof(VhostUserHeader) + 8);
        if (bytes != 0) ++answered;
      }
    } catch (const PeerError&) {
      ++refused;
    }
  }
  CHECK(refused > 300);
  CHECK(answered > 300);
}

}  // namespace
}  // namespace nvmesim::bridge
