#include "sim/bridge/pci_function.hpp"

#include "sim/bridge/guest/run_marks.hpp"
#include "tests/unit/bridge/guest.hpp"

namespace nvmesim::bridge {
namespace {

constexpr std::uint64_t kCommand = 0x8'0000;  // where commands are put together
constexpr std::uint64_t kBar = 0xF000'0000;

struct Bench {
  Bench() : file(test::memory_file(test::kGuestBytes)), queue(file, 0) {
    test::GuestSetUp(peer, file, [this] {
      REQUIRE(server.receive());
      server.serve();
    });
    pcie::FunctionInfo info;
    info.bars[0].bytes = 0x4000;
    info.bars[0].address = kBar;
    info.bars[0].is_64bit = true;
    function.connect(info, server);
    function.bus.bind(completer.port);
  }

  // Puts a command into the queue: its place in memory.
  std::uint64_t command(PcidevOp op, std::uint64_t address, std::uint32_t size,
                        std::uint64_t data = 0, std::uint8_t bar = 0) {
    const std::uint64_t at = kCommand + 64 * commands++;
    queue.put(at, PcidevHeader{static_cast<std::uint8_t>(op), bar, 0, size, address});
    queue.put(at + sizeof(PcidevHeader), data);
    const bool read = op == PcidevOp::kMmioRead || op == PcidevOp::kConfigRead;
    queue.offer(at, sizeof(PcidevHeader) + (read ? 0 : 8), read ? 8 : 0);
    return at + sizeof(PcidevHeader);
  }
  void kick() { function.kicked(); }
  void run() {
    scheduler.at<&Bench::kick>(1us, this);
    scheduler.simulate();
  }

  Fd file;
  test::Peer peer;
  VhostUserServer server{peer.end()};
  test::GuestQueue queue;
  base::Scheduler scheduler{"scheduler"};
  PciFunction function{"function", scheduler};
  test::Completer completer{"completer", scheduler};
  unsigned commands = 0;
};

TEST_CASE("a read holds up what is behind it, and brings back the completer's bytes") {
  Bench bench;
  const std::uint64_t at = bench.command(PcidevOp::kMmioRead, 0x14, 4);
  bench.command(PcidevOp::kMmioWrite, 0x1008, 4, 3);
  bench.run();
  REQUIRE(bench.completer.seen.size() == 2);
  CHECK(bench.completer.seen[0].address == kBar + 0x14);
  CHECK(bench.completer.seen[0].at == 1us);
  CHECK(bench.completer.seen[1].write);
  CHECK(bench.completer.seen[1].address == kBar + 0x1008);
  CHECK(bench.completer.seen[1].at == 1us + bench.completer.latency);
  CHECK(bench.queue.get<std::uint32_t>(at) == 0x17161514);
  CHECK(bench.queue.done() == 2);
}

TEST_CASE("writes go one after the other, in pieces of at most four bytes, and nobody waits") {
  Bench bench;
  bench.command(PcidevOp::kMmioWrite, 0x28, 8, 0x1122334455667788);
  bench.command(PcidevOp::kMmioWrite, 0x16, 4);
  bench.command(PcidevOp::kMmioSet, 0x40, 8);
  bench.run();
  const std::pair<std::uint64_t, unsigned> expected[] = {{0x28, 4}, {0x2C, 4}, {0x16, 2},
                                                         {0x18, 2}, {0x40, 4}, {0x44, 4}};
  REQUIRE(bench.completer.seen.size() == std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    CHECK(bench.completer.seen[i].address == kBar + expected[i].first);
    CHECK(bench.completer.seen[i].bytes == expected[i].second);
    CHECK(bench.completer.seen[i].at == 1us);
  }
  CHECK(bench.function.untold_writes() == 3);
  bench.function.told();
  CHECK(bench.function.untold_writes() == 0);
}

TEST_CASE("where a BAR lies is followed in configuration writes, which are waited for") {
  Bench bench;
  std::vector<unsigned char> marks;
  bench.function.set_marks([&](unsigned char mark) { marks.push_back(mark); });
  bench.command(PcidevOp::kConfigWrite, 0x10, 4, 0xE000'0000);
  bench.command(PcidevOp::kConfigWrite, 0x14, 4, 0x12);
  bench.command(PcidevOp::kConfigWrite, kInterruptLine, 1, kCommandBegins);
  bench.command(PcidevOp::kMmioWrite, 0, 4);
  bench.run();
  REQUIRE(bench.completer.seen.size() == 4);
  CHECK(bench.completer.seen[0].kind == pcie::TlpKind::kConfig0);
  CHECK(bench.completer.seen[3].address == 0x12'E000'0000);
  CHECK(bench.completer.seen[3].at == 1us + 3 * bench.completer.latency);
  CHECK(marks == std::vector<unsigned char>{kCommandBegins});
}

TEST_CASE("commands that make no sense are refused before anything of them is done") {
  const auto refused = [](PcidevHeader header, std::uint32_t bytes) {
    const Fd file = test::memory_file(test::kGuestBytes);
    test::Peer peer;
    VhostUserServer server(peer.end());
    test::GuestSetUp(peer, file, [&] {
      REQUIRE(server.receive());
      server.serve();
    });
    base::Scheduler scheduler(sc_core::sc_gen_unique_name("scheduler"));
    PciFunction function(sc_core::sc_gen_unique_name("function"), scheduler);
    function.connect({}, server);
    test::GuestQueue queue(file, 0);
    queue.put(kCommand, header);
    queue.offer(kCommand, bytes, 8);
    CHECK_THROWS_AS(function.kicked(), PeerError);
  };
  refused({3, 0, 0, 4, 0}, 15);                               // half a header
  refused({3, 0, 0, 0, 0}, 16);                               // of nothing
  refused({3, 0, 0, 4097, 0}, 16);                            // too much
  refused({3, 6, 0, 4, 0}, 16);                               // no such BAR
  refused({3, 0, 0, 4, ~std::uint64_t{0}}, 16);               // wraps around
  refused({4, 0, 0, 4, 0}, 16);                               // a write without data
  refused({0, 0, 0, 4, 0}, 16);                               // no such command
  refused({7, 0, 0, 4, 0}, 16);                               // ours
  refused({4, 0, 0, 4, 0}, sizeof(PcidevHeader) + 4096 + 1);  // longer than any
}

}  // namespace
}  // namespace nvmesim::bridge
