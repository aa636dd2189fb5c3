// The coupling of the two clocks, with a thread that plays a kernel by a script. What it says and
// hears comes in one order, so the runs repeat.
#include "sim/bridge/linux_host.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/un.h>

#include <filesystem>
#include <thread>

#include "tests/unit/bridge/guest.hpp"

namespace nvmesim::bridge {
namespace {

constexpr std::uint32_t kAck = 0, kStart = 1, kRequest = 2, kWait = 3, kGet = 4, kUpdate = 5,
                        kRun = 6, kFreeUntil = 7;
constexpr std::uint64_t kCommand = 0x8'0000;
constexpr std::uint64_t kMessage = 0x9'0000;  // room for interrupts

class ScriptedKernel {
 public:
  explicit ScriptedKernel(const std::filesystem::path& directory)
      : directory_(directory),
        file(test::memory_file(test::kGuestBytes)),
        queue(file, 0),
        interrupts(file, 1) {}

  static Fd connect_to(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      fd.reset();
    }
    return fd;
  }
  void connect_time() {
    time = connect_to(directory_ / "time");
    say(kStart, 0);
  }
  void connect_bus() {
    bus = connect_to(directory_ / "pci");
    test::Peer peer(std::move(bus));
    test::GuestSetUp(peer, file, [] {});
    bus = peer.take();
  }

  // A message and its acknowledgement; messages that come before that are handled.
  std::uint64_t say(std::uint32_t op, std::uint64_t when) {
    const TimeTravelMessage message{op, ++seq_, when};
    write_all(time, &message, sizeof message);
    for (;;) {
      const TimeTravelMessage heard = hear();
      if (heard.op == kAck) return heard.time;
    }
  }
  TimeTravelMessage hear() {
    TimeTravelMessage heard{};
    read_all(time, &heard, sizeof heard);
    if (heard.op == kFreeUntil) free_until = heard.time;
    if (heard.op == kFreeUntil || heard.op == kRun) {
      const TimeTravelMessage ack{kAck, heard.seq, 0};
      write_all(time, &ack, sizeof ack);
    }
    return heard;
  }
  // Sleeps until `when`: the time at which it was let go on.
  std::uint64_t sleep_until(std::uint64_t when) {
    say(kRequest, when);
    say(kWait, 0);
    TimeTravelMessage heard;
    do heard = hear();
    while (heard.op != kRun);
    return heard.time;
  }
  void send_bus(VhostUserRequest request, std::uint64_t payload, bool reply) {
    struct {
      VhostUserHeader header;
      std::uint32_t payload[2];
    } const message{
        {static_cast<std::uint32_t>(request), reply ? 9u : 1u, 8},
        {static_cast<std::uint32_t>(payload), static_cast<std::uint32_t>(payload >> 32)}};
    write_all(bus, &message, sizeof message);
  }
  void kick() {
    send_bus(VhostUserRequest::kVringKick, 0, true);
    char reply[20];
    pollfd wait[2] = {{time.get(), POLLIN, 0}, {bus.get(), POLLIN, 0}};
    // What is taken back of its time comes before the reply.
    while (::poll(wait, 2, -1) > 0 && wait[1].revents == 0) hear();
    read_all(bus, reply, sizeof reply);
  }
  void offer_read(std::uint64_t offset) {
    queue.put(kCommand, PcidevHeader{3, 0, 0, 4, offset});
    queue.offer(kCommand, sizeof(PcidevHeader), 4);
  }

  static void write_all(const Fd& fd, const void* from, std::size_t bytes) {
    if (::send(fd.get(), from, bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes)) throw 1;
  }
  static void read_all(const Fd& fd, void* to, std::size_t bytes) {
    if (::recv(fd.get(), to, bytes, MSG_WAITALL) != static_cast<ssize_t>(bytes)) throw 1;
  }

 private:
  const std::filesystem::path directory_;
  std::uint32_t seq_ = 0;

 public:
  Fd time, bus;
  Fd file;
  test::GuestQueue queue;
  test::GuestQueue interrupts;
  std::uint64_t free_until = 0;
};

// Where nothing comes from.
struct Idle : sc_core::sc_module {
  void response(base::GenericPayload&) {}
  Idle(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_module(name), port("port", this, scheduler) {}
  base::InitiatorSocket<Idle, &Idle::response> port;
};

struct Bench : KernelOwner {
  explicit Bench(LinuxHostConfig config = {}) : host("host", config, scheduler) {
    std::string path = (std::filesystem::temp_directory_path() / "host-XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    directory = path;
    REQUIRE(pipe2(ended_pipe, O_CLOEXEC) == 0);
    host.function.bus.bind(completer.port);
    idle_port.port.bind(host.memory.port);
    host.listen(path + "/time", path + "/pci");
    pcie::FunctionInfo info;
    info.bars[0].bytes = 0x4000;
    info.bars[0].address = 0x1000'0000;
    host.start(info, *this);
  }
  ~Bench() override {
    if (thread.joinable()) thread.join();
    std::filesystem::remove_all(directory);
  }
  // The script runs beside the simulation; at its end the kernel has ended.
  void run(std::function<void(ScriptedKernel&)> script) {
    thread = std::thread([this, script = std::move(script)] {
      ScriptedKernel kernel(directory);
      try {
        script(kernel);
        done = true;
      } catch (int) {  // we have hung up
      }
      if (::write(ended_pipe[1], "e", 1) != 1) std::abort();
    });
    try {
      scheduler.simulate();
    } catch (const PeerError&) {
      refused = true;
    }
    over = true;
    thread.join();
  }

  int ended_fd() override { return ended_pipe[0]; }
  bool ended() override {
    pollfd wait{ended_pipe[0], POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  }
  bool interrupted() const override { return false; }
  void rebooted() override {
    reboots = true;
    if (::write(ended_pipe[1], "e", 1) != 1) std::abort();
  }
  void attend() override {}
  bool idle(std::uint64_t) override { return false; }
  void interrupt() { host.message_interrupt(kMessageAddress, 5); }
  void nothing() {}

  std::filesystem::path directory;
  int ended_pipe[2];
  std::thread thread;
  std::atomic<bool> done{false};
  std::atomic<bool> over{false};
  bool refused = false;
  bool reboots = false;
  base::Scheduler scheduler{"scheduler"};
  LinuxHost host;
  test::Completer completer{"completer", scheduler};
  Idle idle_port{"idle", scheduler};
};

TEST_CASE("simulated time goes on while the kernel sleeps, and stands still while it runs") {
  Bench bench;
  std::vector<std::uint64_t> times;
  bench.run([&](ScriptedKernel& kernel) {
    kernel.connect_time();
    kernel.connect_bus();
    times.push_back(kernel.sleep_until(5000));
    kernel.offer_read(0x1C);
    kernel.say(kUpdate, 5000);
    kernel.kick();
    times.push_back(kernel.queue.done());
    times.push_back(kernel.say(kGet, 0));
    times.push_back(kernel.sleep_until(5499));
    times.push_back(kernel.queue.done());
    times.push_back(kernel.sleep_until(5501));
    times.push_back(kernel.queue.done());
  });
  CHECK(bench.done);
  CHECK(times == std::vector<std::uint64_t>{5000, 0, 5000, 5499, 0, 5501, 1});
  REQUIRE(bench.completer.seen.size() == 1);
  CHECK(bench.completer.seen[0].at == 5us);
}

TEST_CASE(
    "a guest that reboots is told of when its program calls again, and ends without a fault") {
  Bench bench;
  bench.thread = std::thread([&bench] {
    Fd again;
    try {
      ScriptedKernel kernel(bench.directory);
      kernel.connect_time();
      kernel.connect_bus();
      kernel.sleep_until(1000);
    } catch (int) {
      std::abort();
    }  // its sockets are closed, and its process goes on
    again = ScriptedKernel::connect_to(bench.directory / "time");
    while (!bench.over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  try {
    bench.scheduler.simulate();
  } catch (const PeerError&) {
    bench.refused = true;
  }
  bench.over = true;
  bench.thread.join();
  CHECK(bench.reboots);
  CHECK_FALSE(bench.refused);
}

TEST_CASE("a kernel goes on by itself up to the next event, and no farther once there is one") {
  Bench bench;
  bench.scheduler.at<&Bench::nothing>(base::nanoseconds(20'000), &bench);
  std::vector<std::uint64_t> limits;
  bench.run([&](ScriptedKernel& kernel) {
    kernel.connect_time();
    kernel.connect_bus();
    kernel.sleep_until(1000);
    limits.push_back(kernel.free_until);
    kernel.offer_read(0x1C);
    kernel.say(kUpdate, 3000);  // it has gone on by itself
    kernel.kick();
    limits.push_back(kernel.free_until);  // the answer comes after 500 ns
  });
  CHECK(bench.done);
  CHECK(limits == std::vector<std::uint64_t>{20'000, 3500});
  REQUIRE(bench.completer.seen.size() == 1);
  CHECK(bench.completer.seen[0].at == 3us);
}

TEST_CASE("a kernel that uses its bus before its clock is refused") {
  Bench bench;
  bench.run([&](ScriptedKernel& kernel) {
    kernel.connect_bus();
    kernel.send_bus(VhostUserRequest::kVringKick, 0, false);
    while (!bench.over) ::usleep(1000);
  });
  CHECK(bench.refused);
}

TEST_CASE("a kernel that uses its bus before it has answered a call is refused") {
  Bench bench;
  bench.scheduler.at<&Bench::interrupt>(base::nanoseconds(2000), &bench);
  bench.run([&](ScriptedKernel& kernel) {
    kernel.connect_time();
    kernel.connect_bus();
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw 1;
    const Fd ours(ends[0]), theirs(ends[1]);
    test::Peer peer(std::move(kernel.bus));
    peer.send_struct(
        VhostUserHeader{static_cast<std::uint32_t>(VhostUserRequest::kSetBackendRequestFd), 9, 0},
        {theirs.get()});
    kernel.bus = peer.take();
    char reply[20];  // until then it could not be called
    ScriptedKernel::read_all(kernel.bus, reply, sizeof reply);
    kernel.interrupts.describe(0, kMessage, 64, 2, 0);
    kernel.interrupts.offer_head(0);
    kernel.say(kRequest, 1'000'000);
    kernel.say(kWait, 0);
    char call[20];
    ScriptedKernel::read_all(ours, call, sizeof call);
    kernel.send_bus(VhostUserRequest::kVringKick, 0, false);
    while (!bench.over) ::usleep(1000);
  });
  CHECK(bench.refused);
}

}  // namespace
}  // namespace nvmesim::bridge
