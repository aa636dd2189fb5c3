#include "sim/app/linux_run.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "sim/app/user_signals.hpp"
#include "sim/base/config.hpp"
#include "sim/base/parse.hpp"
#include "sim/base/units.hpp"
#include "sim/bridge/guest_files.hpp"

namespace nvmesim::app {
namespace {

// It is held in memory, and lies in the run directory, which is in memory too.
constexpr std::size_t kMostStandardInput = 256 * base::kMiB;
constexpr int kTerminalIn = 10;  // descriptors of the kernel's process
constexpr int kTerminalOut = 11;

volatile std::sig_atomic_t interrupt_signal = 0;

void on_interrupt(int signal) {
  interrupt_signal = signal;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw std::system_error(errno, std::generic_category());
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

// What the command finds in its environment: the user's search path, and who and where the user is.
std::vector<std::string> environment(bool terminal) {
  const char* path = std::getenv("PATH");
  std::vector<std::string> list;
  list.push_back(fmt::format("PATH={}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin",
                             path != nullptr ? path : "/usr/local/bin"));
  for (const char* name : {"HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TERM"}) {
    const char* value = std::getenv(name);
    if (value != nullptr) list.push_back(fmt::format("{}={}", name, value));
  }
  winsize size{};
  if (terminal && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
    list.push_back(fmt::format("LINES={}", size.ws_row));
    list.push_back(fmt::format("COLUMNS={}", size.ws_col));
  }
  return list;
}

// Before there is anything to clean up.
bool catch_signals() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) catch_unless_ignored(signal, on_interrupt);
  return true;
}

// The command's, too: where it is one that the guest has as well.
std::string working_directory() {
  std::error_code error;
  const auto path = std::filesystem::current_path(error);
  if (error) {
    throw base::UserError(
        fmt::format("linux: the working directory cannot be found: {}", error.message()));
  }
  const std::string text = path.string();
  for (const std::string_view own : {"/dev", "/proc", "/run", "/sys"}) {
    if (text.starts_with(own) && (text.size() == own.size() || text[own.size()] == '/')) {
      throw base::UserError(
          fmt::format("linux: {} is this machine's own, and the guest has another {}; change to "
                      "another directory",
                      text, own));
    }
  }
  return text;
}

bool has_debugger(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("TracerPid:")) return line.find_first_of("123456789") != line.npos;
  }
  return false;
}

}  // namespace

std::string read_standard_input() {
  std::string text;
  char chunk[65536];
  for (ssize_t count; (count = ::read(STDIN_FILENO, chunk, sizeof chunk)) != 0;) {
    if (count > 0) {
      text.append(chunk, static_cast<std::size_t>(count));
      if (text.size() > kMostStandardInput) {
        throw base::UserError(
            fmt::format("--stdin: standard input has more than {} MiB; the guest sees this "
                        "machine's files: have the command read one",
                        kMostStandardInput / base::kMiB));
      }
    } else if (errno != EINTR) {
      throw base::UserError(fmt::format("standard input: {}", std::strerror(errno)));
    }
  }
  return text;
}

LinuxRun::LinuxRun(LinuxRunOptions options)
    : options_(std::move(options)),
      command_file_(command_file()),
      signals_caught_(catch_signals()),
      stdout_{directory_.create("stdout")},
      stderr_{directory_.create("stderr")},
      console_{directory_.create("console")},
      status_(directory_.create("status")) {
  directory_.create("init", bridge::guest_init(), true);
  directory_.create("getrandom.so", bridge::guest_getrandom());
  directory_.create("command", command_file_);
  if (options_.standard_input) directory_.create("stdin", *options_.standard_input);
}

LinuxRun::~LinuxRun() {
  process_.reset();
  if (terminal_) tcsetattr(STDIN_FILENO, TCSADRAIN, &*terminal_);
}

std::string LinuxRun::command_file() const {
  std::string text = working_directory() + '\0';
  text += options_.terminal ? "t" : "f";
  text += '\0';
  const std::vector<std::string> variables = environment(options_.terminal);
  text += std::to_string(variables.size()) + '\0';
  for (const std::string& variable : variables) text += variable + '\0';
  for (const std::string& word : options_.command) text += word + '\0';
  // What the first program of the guest has room for.
  if (text.size() >= (1 << 20) - 1 || variables.size() + options_.command.size() + 3 > 4095) {
    throw base::UserError("linux: the command has too many words, or too long ones");
  }
  return text;
}

// Nothing in it differs between two runs: the kernel shows it on its console.
std::vector<std::string> LinuxRun::arguments() const {
  std::vector<std::string> list{options_.kernel,
                                fmt::format("mem={}M", options_.memory_mib),
                                "root=none",
                                "rootfstype=hostfs",
                                "rootflags=/",
                                "ro",
                                "init=/proc/self/cwd/init",
                                "time-travel=ext:time",
                                "virtio_uml.device=pci:1234",
                                "umid=nvmesim",
                                "uml_dir=./",
                                "earlyprintk",  // to descriptor 1
                                "keep_bootcon",
                                "con=null",
                                "ssl=null",
                                "panic=1"};
  if (options_.terminal) list.push_back(fmt::format("con1=fd:{},fd:{}", kTerminalIn, kTerminalOut));
  list.insert(list.end(), options_.kernel_arguments.begin(), options_.kernel_arguments.end());
  return list;
}

void LinuxRun::start() {
  bridge::KernelCommand command;
  command.arguments = arguments();
  // Its directory is its working directory, whatever that is called.
  command.environment = {"LD_PRELOAD=/proc/self/cwd/getrandom.so",
                         fmt::format("NVMESIM_SEED={}", options_.seed), "TMPDIR=/proc/self/cwd"};
  const bridge::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  command.descriptors = {{null.get(), 0}, {console_.file.get(), 1}, {console_.file.get(), 2}};
  if (options_.terminal) {
    command.descriptors.push_back({STDIN_FILENO, kTerminalIn});
    command.descriptors.push_back({STDOUT_FILENO, kTerminalOut});
    termios now{};
    if (tcgetattr(STDIN_FILENO, &now) == 0) terminal_ = now;
  }
  process_ = std::make_unique<bridge::KernelProcess>(directory_, command);
}

bool LinuxRun::interrupted() const {
  return interrupt_signal != 0;
}

void LinuxRun::rebooted() {
  rebooted_ = true;
  process_->kill();
}

bool LinuxRun::ended() {
  if (interrupted()) process_->kill();
  return process_->ended();
}

bool LinuxRun::ended_soon() {
  pollfd wait{ended_fd(), POLLIN, 0};
  ::poll(&wait, 1, 1000);
  return ended();
}

void LinuxRun::attend() {
  show(stdout_, STDOUT_FILENO);
  show(stderr_, STDERR_FILENO);
  show(console_, options_.kernel_messages ? STDERR_FILENO : -1);
}

// What came since the last time.
void LinuxRun::show(Output& from, int to) {
  char chunk[65536];
  for (ssize_t count; (count = ::pread(from.file.get(), chunk, sizeof chunk, from.shown)) > 0;) {
    from.shown += count;
    const std::string_view text(chunk, static_cast<std::size_t>(count));
    if (&from == &console_) {
      constexpr std::size_t kKept = 16384;
      console_tail_ += text;
      if (console_tail_.size() > 2 * kKept) console_tail_.erase(0, console_tail_.size() - kKept);
    }
    if (to >= 0) write_all(to, text);
  }
}

// With a terminal, time passes as on the wall, so that a prompt waits for its user.
bool LinuxRun::idle(std::uint64_t ns) {
  if (!options_.terminal) return false;
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(ns);
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd wait[2] = {{STDIN_FILENO, POLLIN, 0}, {ended_fd(), POLLIN, 0}};
    if (ns < 1'000'000 || left.count() <= 0) return false;
    const int ready = ::poll(wait, 2, static_cast<int>(std::min<std::int64_t>(left.count(), 100)));
    attend();
    if (interrupted() || (wait[1].revents & POLLIN) != 0) return false;
    if (ready > 0 && wait[0].revents != 0) {
      // The key is the kernel's to read: a moment for it, else we would wake it again and again.
      ::usleep(2000);
      return true;
    }
  }
}

int LinuxRun::finish(const std::string& broken) {
  attend();
  const std::string text = [this] {
    char chunk[32] = {};
    const ssize_t count = ::pread(status_.get(), chunk, sizeof chunk - 1, 0);
    return std::string(chunk, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }();
  const auto status = base::parse_unsigned(std::string_view(text).substr(0, text.find('\n')));
  if (interrupted()) {
    failure_ = "interrupted";
    fmt::print(stderr, "nvmesim: interrupted; the kernel was ended\n");
    return 128 + interrupt_signal;
  }
  // A kernel that turns the machine off does not wait for what the bridge still has to say to it.
  const auto ended = process_->ended() ? process_->wait_status() : std::nullopt;
  const bool kernel_left = rebooted_ || (ended && WIFEXITED(*ended) && WEXITSTATUS(*ended) == 0);
  const bool command_ended = text.ends_with('\n') && status && *status < 256;
  if (command_ended && kernel_left) return static_cast<int>(*status);
  failure_ = broken;
  if (process_->ended()) {
    failure_ = how_it_ended() + (broken.empty() ? "" : fmt::format("; {}", broken));
  }
  fmt::print(stderr, "nvmesim: the {} did not come to its end: {}\n",
             command_ended ? "kernel" : "command", failure_);
  return 1;
}

std::string LinuxRun::how_it_ended() {
  const std::string panic = last_panic();
  const auto status = process_->wait_status();
  if (rebooted_) return "the guest was rebooted";
  std::string how = "the process that keeps the kernel was killed";
  if (status && WIFSIGNALED(*status)) {
    how = fmt::format("the kernel was killed by signal {}", WTERMSIG(*status));
  } else if (status) {
    how = fmt::format("the kernel ended with status {}", WEXITSTATUS(*status));
  }
  return panic.empty() ? how + "; --dmesg shows what it said" : how + ": " + panic;
}

std::string LinuxRun::last_panic() {
  const auto at = console_tail_.rfind("Kernel panic");
  if (at == console_tail_.npos) return {};
  return console_tail_.substr(at, console_tail_.find('\n', at) - at);
}

void LinuxRun::hold_for_debugger(const std::string& why, base::Time now) {
  attend();
  const pid_t kernel = pid();
  const std::string where = fmt::format("nvmesim: {} at {} ns", why, base::to_ns(now));
  if (has_debugger(kernel)) {
    fmt::print(stderr, "{}\n", where);
    ::kill(kernel, SIGTRAP);
    return;
  }
  fmt::print(
      stderr,
      "{}; the kernel is held until a debugger has it:\n"
      "  gdb -p {} -ex 'handle SIGSEGV SIGUSR1 SIGALRM SIGIO SIGWINCH nostop noprint pass'\n",
      where, kernel);
  while (!has_debugger(kernel) && !ended()) ::usleep(20'000);
}

}  // namespace nvmesim::app
