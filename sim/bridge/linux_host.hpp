// A User-Mode Linux kernel in place of our own host: what stands above the root complex. It couples
// the kernel's time to the simulation's: while the kernel runs, simulated time stands still and its
// accesses are served; while it waits, the simulation goes on to the time that it asked for or to
// the next interrupt, whichever is earlier.
//
// One process, one thread: the kernel's turn is a Scheduler entry that blocks in poll(). Everything
// between the two happens at whole nanoseconds of the kernel's clock, which starts at 0 when the
// kernel does. Interrupts are handed over only while the kernel stands still, so that it sees them
// at the same point of its program in every run.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pcie/host_port.hpp"
#include "sim/bridge/guest_memory_port.hpp"
#include "sim/bridge/pci_function.hpp"
#include "sim/bridge/time_travel.hpp"
#include "sim/bridge/vhost_user.hpp"

namespace nvmesim::bridge {

// While nothing is pending; it is attended to now and then.
inline constexpr std::uint64_t kLongestFreeRunNs = 10'000'000'000;
// Short enough that a kernel which sleeps for longer than kLongestShortWaitNs says so.
inline constexpr std::uint64_t kWatchedFreeRunNs = 1000;

struct LinuxHostConfig {
  GuestMemoryTiming memory;
  // Without it the kernel asks before each step of its clock: slower, but it can be woken any time.
  bool free_running = true;
  // How far it may go on by itself. What it does in between shows in no message: whoever wants to
  // tell its work from its sleep keeps it short.
  std::uint64_t free_run_ns = kLongestFreeRunNs;
  std::uint64_t date_ns = 0;  // what the kernel's calendar shows at its time 0, since 1970
};

// What the owner of the kernel's process does for it.
class KernelOwner {
 public:
  virtual ~KernelOwner() = default;
  // Readable when the process has ended.
  virtual int ended_fd() = 0;
  virtual bool ended() = 0;
  // It is to end early. Asked often.
  virtual bool interrupted() const = 0;
  // The guest was rebooted: its process goes on, with another kernel that nobody wants. It is to
  // end; what it did so far is all that it did.
  virtual void rebooted() = 0;
  // Now and then, and at least every 100 ms of wall time while the kernel runs.
  virtual void attend() = 0;
  // The kernel waits until `ns` from now, and nothing else will happen before: true if it has to be
  // woken now instead (a key was pressed). A simulation that does not keep to the wall clock
  // returns false at once.
  virtual bool idle(std::uint64_t ns) = 0;
};

class LinuxHost : public sc_core::sc_module, public pcie::HostPort {
 public:
  GuestMemoryPort memory;  // .port: bound to RootComplex::memory
  PciFunction function;    // .bus: to RootComplex::cpu

  LinuxHost(sc_core::sc_module_name name, const LinuxHostConfig& config,
            base::Scheduler& scheduler);

  // The sockets at which the kernel will call, before it is started.
  void listen(const std::string& time_path, const std::string& pci_path);
  // The kernel's process runs: its turn begins at the next whole microsecond. Stops the Scheduler
  // when the kernel has ended. What its side breaks comes out of Scheduler::simulate() as
  // PeerError.
  void start(const pcie::FunctionInfo& function, KernelOwner& owner);

  // Called each time before the kernel, which stands still, is let go on.
  void set_before_run(std::function<void()> hook) { before_run_ = std::move(hook); }
  // Before the kernel is started: follows its commands. Wants kWatchedFreeRunNs.
  void set_command_watch(CommandWatch& watch);

  void message_interrupt(std::uint64_t address, std::uint32_t data) override;
  void pin_interrupt(unsigned line, bool asserted) override;
  void register_statistics(base::StatisticsRegistry& registry) const;

 private:
  using Ns = TimeTravel::Ns;
  Ns now_ns() const { return to_kernel(scheduler_.now()); }
  Ns to_kernel(base::Time time) const;
  base::Time from_kernel(Ns time) const;

  void turn();
  void look();
  bool step();
  void take_turn_at(base::Time when);
  void serve_kick();
  bool tell_of_writes();
  bool can_interrupt();
  void hand_over_interrupts();
  void run_kernel();
  bool wait_for_kernel();
  void call(unsigned queue);
  Ns may_run_until();
  void pump();
  void await_end();
  void accept_kernel();
  void serve_vhost();

  base::Scheduler& scheduler_;
  const LinuxHostConfig config_;
  KernelOwner* owner_ = nullptr;
  base::Time origin_{0};  // simulated time of the kernel's time 0
  Fd time_listener_;
  Fd pci_listener_;
  std::unique_ptr<TimeTravel> time_;
  std::unique_ptr<VhostUserServer> server_;
  pcie::FunctionInfo function_info_;
  base::Scheduler::Handle turn_;
  std::deque<std::uint32_t> interrupts_;  // not handed over yet
  std::optional<unsigned> kicked_;        // the queue; the kernel is held
  std::function<void()> before_run_;
  CommandWatch* commands_ = nullptr;
  bool called_in_this_wait_ = false;
  bool sleeps_ = false;  // it waits for longer than any work of its own takes
  bool ended_ = false;
  unsigned pumps_ = 0;

  std::uint64_t waits_ = 0;
  std::uint64_t interrupts_sent_ = 0;
};

}  // namespace nvmesim::bridge
