// One run of a command under a simulated kernel: the files in its run directory, the kernel's
// process and command line, what comes out of it, the user's terminal, and a debugger that is
// waited for. Simulated time never depends on what happens here but for the terminal, which keeps
// to the wall clock.
#pragma once

#include <termios.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/bridge/kernel_process.hpp"
#include "sim/bridge/linux_host.hpp"

namespace nvmesim::app {

struct LinuxRunOptions {
  std::string kernel;
  std::vector<std::string> kernel_arguments;  // more of them
  std::vector<std::string> command;
  bool terminal = false;                      // the command gets the user's terminal
  std::optional<std::string> standard_input;  // ... or this
  bool kernel_messages = false;               // shown on standard error
  std::uint64_t memory_mib = 512;
  std::uint64_t seed = 1;
};

// All of standard input. Throws UserError if it cannot be read, or is larger than 256 MiB.
std::string read_standard_input();

class LinuxRun : public bridge::KernelOwner {
 public:
  // Makes the run directory; from then on a signal of the user ends the run in good order. Throws
  // UserError.
  explicit LinuxRun(LinuxRunOptions options);
  ~LinuxRun() override;

  std::string time_socket() const { return directory_.file("time"); }
  std::string pci_socket() const { return directory_.file("pci"); }
  // Starts the kernel: the sockets are there.
  void start();

  int ended_fd() override { return process_->ended_fd(); }
  bool ended() override;
  bool interrupted() const override;
  void rebooted() override;
  // A kernel that ends closes its sockets a little before it is gone.
  bool ended_soon();
  void attend() override;
  bool idle(std::uint64_t ns) override;

  // Shows what is left, and says the exit status: the command's, if it came to its end and the
  // kernel to its own; else 1 and one line on standard error that says why (`broken`: what the
  // bridge knows of it).
  int finish(const std::string& broken = {});
  // After it: why the command or the kernel did not come to its end; empty if both did.
  const std::string& failure() const { return failure_; }
  pid_t pid() const { return process_->pid(); }
  // Holds the kernel, which stands still, until a debugger has it; says so.
  void hold_for_debugger(const std::string& why, base::Time now);

 private:
  // A file to which the kernel appends.
  struct Output {
    bridge::Fd file;
    off_t shown = 0;
  };
  std::vector<std::string> arguments() const;
  std::string command_file() const;
  void show(Output& from, int to);
  std::string how_it_ended();
  std::string last_panic();

  const LinuxRunOptions options_;
  const std::string command_file_;
  const bool signals_caught_;
  bridge::RunDirectory directory_;
  Output stdout_;
  Output stderr_;
  Output console_;
  bridge::Fd status_;
  std::unique_ptr<bridge::KernelProcess> process_;
  std::optional<termios> terminal_;
  std::string console_tail_;
  std::string failure_;
  bool rebooted_ = false;
};

}  // namespace nvmesim::app
