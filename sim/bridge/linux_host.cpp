#include "sim/bridge/linux_host.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sim/base/assert.hpp"

namespace nvmesim::bridge {
namespace {

constexpr unsigned kCommands = 0;  // the virtqueues
constexpr unsigned kInterrupts = 1;
// The kernel's queue holds 256 commands, and it forgets those that are done only when it reads
// something or is called. A call is lost if it comes while the kernel handles an earlier one, which
// shows in no message; there it waits for at most 1 us (a clock read, a delay). So it is called
// when it waits for longer, and at the latest at every wait.
constexpr unsigned kManyUntoldWrites = 48;
constexpr unsigned kMostUntoldWrites = 128;
constexpr std::uint64_t kLongestShortWaitNs = 2000;
constexpr int kAttendMs = 100;
constexpr int kEndMs = 10'000;
constexpr unsigned kAttendPumps = 64;

Fd accept_one(const Fd& listener) {
  return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

}  // namespace

LinuxHost::LinuxHost(sc_core::sc_module_name name, const LinuxHostConfig& config,
                     base::Scheduler& scheduler)
    : sc_core::sc_module(name),
      memory("memory", scheduler, config.memory, *this),
      function("function", scheduler),
      scheduler_(scheduler),
      config_(config) {}

void LinuxHost::set_command_watch(CommandWatch& watch) {
  commands_ = &watch;
  function.set_command_watch(watch);
  memory.set_command_watch(watch);
}

void LinuxHost::listen(const std::string& time_path, const std::string& pci_path) {
  time_listener_ = listen_at(time_path);
  pci_listener_ = listen_at(pci_path);
}

void LinuxHost::start(const pcie::FunctionInfo& function_info, KernelOwner& owner) {
  owner_ = &owner;
  function_info_ = function_info;
  constexpr std::int64_t kMicrosecond = 1'000'000;
  const std::int64_t now = scheduler_.now().count();
  origin_ = base::Time((now + kMicrosecond - 1) / kMicrosecond * kMicrosecond);
  take_turn_at(origin_);
  constexpr std::uint64_t kEntriesBetweenLooks = 1'000'000;
  scheduler_.set_watch(base::Callback::of<&LinuxHost::look>(this), kEntriesBetweenLooks);
}

// A kernel that sleeps for long lets the simulation run for long.
void LinuxHost::look() {
  if (owner_->interrupted()) scheduler_.stop();
}

// Times of the kernel are whole ns; the simulation's are rounded up.
LinuxHost::Ns LinuxHost::to_kernel(base::Time time) const {
  return static_cast<Ns>(((time - origin_).count() + 999) / 1000);
}

base::Time LinuxHost::from_kernel(Ns time) const {
  const auto last = static_cast<Ns>((base::kTimeMax - origin_).count() / 1000);
  return time >= last ? base::kTimeMax
                      : origin_ + base::Time(static_cast<std::int64_t>(time) * 1000);
}

void LinuxHost::take_turn_at(base::Time when) {
  if (scheduler_.pending(turn_)) {
    if (when < scheduler_.when(turn_)) scheduler_.move(turn_, when);
  } else {
    turn_ = scheduler_.at<&LinuxHost::turn>(when, this);
  }
}

void LinuxHost::turn() {
  while (step()) {
  }
}

// One thing to do at this time; false when the simulation has to go on first.
bool LinuxHost::step() {
  if (ended_ || owner_->interrupted()) {
    scheduler_.stop();
    return false;
  }
  if (server_ && server_->memory().lost()) throw PeerError("the kernel took its memory away");
  if (kicked_) {
    const Ns kernel = time_ ? time_->gone_on_to() : 0;
    if (kernel > now_ns()) {
      take_turn_at(from_kernel(kernel));
      return false;
    }
    serve_kick();
  } else if (time_ && time_->update()) {
    if (from_kernel(*time_->update()) == base::kTimeMax) {
      throw PeerError("the kernel's time is beyond the end of time");
    }
    if (*time_->update() > now_ns()) {
      take_turn_at(from_kernel(*time_->update()));
      return false;
    }
    time_->finish_update();
  } else if (time_ && time_->waiting()) {
    if (tell_of_writes()) {
      call(kCommands);
    } else if (!interrupts_.empty() && can_interrupt()) {
      hand_over_interrupts();
    } else if (time_->requested() <= now_ns()) {
      run_kernel();
    } else {
      return wait_for_kernel();
    }
  } else {
    pump();
  }
  return true;
}

// True if the kernel, which waits, is to be called because of writes that are done.
bool LinuxHost::tell_of_writes() {
  const unsigned writes = function.untold_writes();
  if (called_in_this_wait_ || writes < kManyUntoldWrites) return false;
  const bool long_wait = time_->requested() > now_ns() + kLongestShortWaitNs;
  if (!long_wait && writes < kMostUntoldWrites) return false;
  if (long_wait) function.told();
  called_in_this_wait_ = true;
  return true;
}

// The kernel waits for a time to come. True if it was woken.
bool LinuxHost::wait_for_kernel() {
  const base::Time wanted = from_kernel(time_->requested());
  if (time_->requested() > now_ns() + kLongestShortWaitNs) sleeps_ = true;
  const base::Time next = std::min(wanted, scheduler_.next_pending());
  const base::Time far = scheduler_.now() + std::chrono::hours(1);
  const auto length =
      static_cast<std::uint64_t>(base::to_ns(std::min(next, far) - scheduler_.now()));
  if (owner_->idle(length)) {
    call(kCommands);  // nothing is in there, but it wakes the kernel
    return true;
  }
  if (wanted != base::kTimeMax) take_turn_at(wanted);
  return false;
}

void LinuxHost::run_kernel() {
  ++waits_;
  called_in_this_wait_ = false;
  if (sleeps_ && commands_ != nullptr) commands_->work_begins();
  sleeps_ = false;
  if (before_run_) before_run_();
  time_->run(now_ns(), may_run_until());
}

// What the kernel may do without asking: everything before the next event of the simulation.
LinuxHost::Ns LinuxHost::may_run_until() {
  // A kernel that went on by itself may be later than the simulation, and must not be called then.
  const bool to_be_called = !interrupts_.empty() || function.untold_writes() >= kManyUntoldWrites;
  if (to_be_called || !config_.free_running) return 0;
  const base::Time next = scheduler_.next_pending();
  const Ns longest = now_ns() + config_.free_run_ns;
  if (next == base::kTimeMax) return longest;
  return std::min(longest, static_cast<Ns>((next - origin_).count() / 1000));
}

void LinuxHost::serve_kick() {
  if (!time_) throw PeerError("the kernel uses the drive before it has connected its clock");
  if (*kicked_ == kCommands) function.kicked();
  // What the commands have started may come earlier than what the kernel was told.
  const Ns until = std::max(may_run_until(), now_ns());
  if (until < time_->free_until()) {
    time_->limit(until);
    while (!time_->acknowledged() && !ended_) pump();
  }
  kicked_.reset();
  server_->finish_kick();
  serve_vhost();
}

bool LinuxHost::can_interrupt() {
  return server_ && server_->call_fd() >= 0 && server_->queue(kInterrupts).has_available();
}

void LinuxHost::hand_over_interrupts() {
  Virtqueue& queue = server_->queue(kInterrupts);
  while (!interrupts_.empty()) {
    const auto chain = queue.pop(server_->memory());
    if (!chain) break;
    struct {
      PcidevHeader header;
      std::uint32_t data;
    } const message{{static_cast<std::uint8_t>(PcidevOp::kMsi), 0, 0, 4, kMessageAddress},
                    interrupts_.front()};
    constexpr std::size_t kBytes = sizeof(PcidevHeader) + sizeof(std::uint32_t);
    if (chain->writable.empty() || chain->writable.front().size() < kBytes) {
      throw PeerError("the kernel offers no room for an interrupt message");
    }
    std::memcpy(chain->writable.front().data(), &message, kBytes);
    queue.push(chain->head, kBytes);
    if (commands_ != nullptr) commands_->interrupt(interrupts_.front());
    interrupts_.pop_front();
    ++interrupts_sent_;
  }
  call(kInterrupts);
}

// The kernel takes note of used chains: inside it asks for the time, and for time to handle them.
void LinuxHost::call(unsigned queue) {
  if (server_ == nullptr || server_->call_fd() < 0) return;
  time_->tell(now_ns());
  server_->call(queue);
  while (server_->call_open() && !ended_) {
    pump();
    if (kicked_ && server_->call_open()) {
      throw PeerError("the kernel uses the drive before it answers a call");
    }
  }
}

void LinuxHost::message_interrupt(std::uint64_t /*address*/, std::uint32_t data) {
  interrupts_.push_back(data);
  // At the kernel's next whole ns.
  take_turn_at(from_kernel(now_ns()));
}

void LinuxHost::pin_interrupt(unsigned /*line*/, bool /*asserted*/) {
  // User-Mode Linux has no interrupt pins behind virtio.
}

// Waits until the kernel says something, and stores what it says.
void LinuxHost::pump() {
  std::array<pollfd, 4> wait{};
  std::size_t count = 0;
  const auto watch = [&](int fd) {
    if (fd >= 0) wait[count++] = {fd, POLLIN, 0};
  };
  watch(time_ ? time_->fd() : time_listener_.get());
  watch(server_ ? server_->fd() : pci_listener_.get());
  watch(server_ ? server_->call_fd() : -1);
  watch(owner_->ended_fd());
  const int ready = ::poll(wait.data(), count, kAttendMs);
  if (ready <= 0 || ++pumps_ % kAttendPumps == 0) owner_->attend();
  if (ready < 0 || owner_->interrupted()) ended_ = owner_->ended();
  if (ready <= 0) return;
  const auto readable = [&](int fd) {
    return std::any_of(wait.begin(), wait.begin() + static_cast<std::ptrdiff_t>(count),
                       [fd](const pollfd& one) { return one.fd == fd && one.revents != 0; });
  };
  bool closed = readable(owner_->ended_fd());
  if (time_ && readable(time_->fd())) closed |= !time_->receive();
  if (server_ && readable(server_->fd())) closed |= !server_->receive();
  if (server_ && readable(server_->call_fd())) closed |= !server_->receive_answer();
  if (closed) {
    await_end();
    return;
  }
  if (time_) time_->serve(now_ns());
  if (server_) serve_vhost();
  if (!time_ || !server_) accept_kernel();
}

// A kernel that ends closes its sockets a little earlier than its process is gone. One that reboots
// starts its program again, which calls at the same socket.
void LinuxHost::await_end() {
  std::array<pollfd, 2> wait{pollfd{owner_->ended_fd(), POLLIN, 0},
                             pollfd{time_listener_.get(), POLLIN, 0}};
  ::poll(wait.data(), wait.size(), kEndMs);
  if (wait[0].revents == 0 && wait[1].revents != 0) {
    owner_->rebooted();
    ::poll(wait.data(), 1, kEndMs);
  }
  ended_ = owner_->ended();
  if (!ended_) throw PeerError("the kernel closed a connection, and has not ended");
}

void LinuxHost::accept_kernel() {
  if (!time_ && time_listener_) {
    if (Fd fd = accept_one(time_listener_)) {
      time_ = std::make_unique<TimeTravel>(std::move(fd), config_.date_ns);
    }
  }
  if (!server_ && pci_listener_) {
    if (Fd fd = accept_one(pci_listener_)) {
      pci_listener_.reset();  // one kernel, once
      server_ = std::make_unique<VhostUserServer>(std::move(fd));
      function.connect(function_info_, *server_);
      memory.connect(server_->memory());
      if (commands_ != nullptr) commands_->connect(server_->memory(), function_info_.id.value());
    }
  }
}

void LinuxHost::serve_vhost() {
  if (kicked_) return;
  kicked_ = server_->serve();
}

void LinuxHost::register_statistics(base::StatisticsRegistry& registry) const {
  const std::string prefix = name();
  registry.add(prefix + ".messages", "1", "Messages of the kernel.", [this] {
    return (time_ ? time_->messages() : 0) + (server_ ? server_->messages() : 0);
  });
  registry.add(prefix + ".runs", "1", "How often the kernel waited and was let go on.", waits_);
  registry.add(prefix + ".interrupts", "1", "Interrupt messages handed to the kernel.",
               interrupts_sent_);
  function.register_statistics(registry, prefix + ".function");
}

}  // namespace nvmesim::bridge
