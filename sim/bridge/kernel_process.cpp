#include "sim/bridge/kernel_process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "sim/base/config.hpp"

namespace nvmesim::bridge {
namespace {

// What the keeper sends: first the kernel's id or the error that kept it from starting, then how it
// ended.
struct Report {
  pid_t pid;
  int value;
};

// All of it, or false with errno.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool read_all(int fd, void* to, std::size_t bytes) {
  auto* at = static_cast<char*>(to);
  while (bytes != 0) {
    const ssize_t count = ::read(fd, at, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += count;
    bytes -= static_cast<std::size_t>(count);
  }
  return true;
}

void tell(int fd, const Report& report) {
  if (::write(fd, &report, sizeof report) < 0) return;  // nobody is left to be told
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> list;
  for (const std::string& string : strings) list.push_back(const_cast<char*>(string.c_str()));
  list.push_back(nullptr);
  return list;
}

// In the new process. Returns only if it failed, with errno.
void become_kernel(const KernelCommand& command, pid_t keeper) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != keeper) _exit(1);
  personality(ADDR_NO_RANDOMIZE);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) ::signal(signal, SIG_DFL);
  // First out of the way of each other, then to their places.
  constexpr int kOutOfTheWay = 100;
  std::vector<int> copies;
  for (const auto& one : command.descriptors) {
    copies.push_back(fcntl(one.fd, F_DUPFD_CLOEXEC, kOutOfTheWay));
    if (copies.back() < 0) return;
  }
  for (std::size_t i = 0; i < copies.size(); ++i) {
    if (dup2(copies[i], command.descriptors[i].as) < 0) return;
  }
  execve(command.arguments[0].c_str(), pointers(command.arguments).data(),
         pointers(command.environment).data());
}

// Children of ours that are still there: what the kernel had started comes to us when it ends.
void kill_children() {
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return;
  while (const dirent* entry = readdir(proc)) {
    const pid_t pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (pid <= 0) continue;
    char text[512] = {};
    const int fd = ::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    const ssize_t count = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    // pid (name) state parent; the name may hold anything.
    const char* behind = count > 0 ? std::strrchr(text, ')') : nullptr;
    if (behind == nullptr || std::strlen(behind) < 4) continue;
    if (std::strtol(behind + 4, nullptr, 10) == getpid()) ::kill(pid, SIGKILL);
  }
  closedir(proc);
}

// Kills and collects until nothing is left; how `kernel` ended goes to `status`.
void end_everything(pid_t kernel, int& status) {
  for (;;) {
    if (kernel > 0) ::kill(kernel, SIGKILL);  // -1 would be everybody
    kill_children();
    int one = 0;
    const pid_t pid = ::waitpid(-1, &one, __WALL);
    if (pid < 0 && errno == ECHILD) return;
    if (pid == kernel) {
      status = one;
      kernel = -1;  // the number may be another's from now on
    }
  }
}

[[noreturn]] void keep(const std::string& directory, const KernelCommand& command, int lifeline,
                       int report) {
  prctl(PR_SET_NAME, "nvmesim-keeper");
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) ::signal(signal, SIG_IGN);
  int failed[2];
  if (pipe2(failed, O_CLOEXEC) != 0) _exit(1);
  const pid_t self = getpid();
  const bool there = chdir(directory.c_str()) == 0;
  const pid_t kernel = fork();
  if (kernel == 0) {
    if (there) become_kernel(command, self);
    const int error = errno;
    if (::write(failed[1], &error, sizeof error) < 0) _exit(126);
    _exit(127);
  }
  ::close(failed[1]);
  int error = kernel < 0 ? errno : 0;
  if (kernel > 0 && !read_all(failed[0], &error, sizeof error)) error = 0;
  tell(report, {error == 0 ? kernel : -1, error});
  int status = 0;
  if (error == 0) {
    const int ended = static_cast<int>(syscall(SYS_pidfd_open, kernel, 0));
    pollfd wait[2] = {{lifeline, POLLIN, 0}, {ended, POLLIN, 0}};
    while (::poll(wait, 2, -1) < 0 && errno == EINTR) {
    }
    // A kernel whose simulator is gone ends too, and may be seen first.
    constexpr int kSeenFirstMs = 20;
    if (wait[0].revents == 0) ::poll(wait, 1, kSeenFirstMs);
    char word = 0;
    if (wait[0].revents != 0 && ::read(lifeline, &word, 1) == 0) {
      std::fputs("nvmesim: nvmesim was killed; its kernel was ended\n", stderr);
      std::fflush(stderr);
    }
  }
  end_everything(kernel, status);
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  tell(report, {kernel, status});
  _exit(0);
}

}  // namespace

RunDirectory::RunDirectory() {
  const char* wanted = std::getenv("TMPDIR");
  const bool in_memory = access("/dev/shm", W_OK | X_OK) == 0;
  const bool named = wanted != nullptr && *wanted != '\0';
  // Absolute: the keeper and the kernel have other working directories.
  std::error_code error;
  const auto where = std::filesystem::absolute(named       ? wanted
                                               : in_memory ? "/dev/shm"
                                                           : "/tmp",
                                               error);
  path_ = (error ? std::filesystem::path("/tmp") : where) / "nvmesim-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) {
    throw base::UserError(fmt::format("{}: {}; set TMPDIR to a directory for temporary files",
                                      path_, std::strerror(errno)));
  }
}

RunDirectory::~RunDirectory() {
  std::error_code ignored;
  if (ours_) std::filesystem::remove_all(path_, ignored);
}

Fd RunDirectory::create(const char* name, std::string_view content, bool program) const {
  Fd opened(::open(file(name).c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
                   program ? 0700 : 0600));
  // Never the number of a standard stream that was closed: what is shown would come back here.
  Fd fd(opened ? fcntl(opened.get(), F_DUPFD_CLOEXEC, 3) : -1);
  if (!fd || !write_all(fd.get(), content)) {
    throw base::UserError(fmt::format("{}: {}", file(name), std::strerror(errno)));
  }
  return fd;
}

KernelProcess::KernelProcess(RunDirectory& directory, const KernelCommand& command) {
  int lifeline[2];
  int report[2];
  // The lifeline is a socket, so that a word to a keeper that is gone raises no signal.
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lifeline) != 0 ||
      pipe2(report, O_CLOEXEC) != 0) {
    throw base::UserError(fmt::format("no pipe: {}", std::strerror(errno)));
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(std::max(sched_getcpu(), 0)), &one);
  sched_setaffinity(0, sizeof one, &one);
  keeper_ = fork();
  if (keeper_ == 0) {
    ::close(lifeline[1]);
    ::close(report[0]);
    keep(directory.path(), command, lifeline[0], report[1]);
  }
  ::close(lifeline[0]);
  ::close(report[1]);
  lifeline_ = Fd(lifeline[1]);
  report_ = Fd(report[0]);
  if (keeper_ > 0) directory.hand_over();
  Report first{-1, errno};
  if (keeper_ > 0 && !read_all(report_.get(), &first, sizeof first)) first = {-1, ECHILD};
  if (first.pid < 0) {
    if (keeper_ > 0) ::waitpid(keeper_, nullptr, 0);
    throw base::UserError(
        fmt::format("{}: cannot be run: {}", command.arguments[0], std::strerror(first.value)));
  }
  pid_ = first.pid;
}

bool KernelProcess::ended() {
  if (ended_) return true;
  pollfd wait{report_.get(), POLLIN, 0};
  if (::poll(&wait, 1, 0) != 1) return false;
  Report last{};
  if (read_all(report_.get(), &last, sizeof last)) status_ = last.value;
  ended_ = true;
  // Without the keeper nobody else would.
  if (!status_) ::kill(pid_, SIGKILL);
  return true;
}

// A word on the lifeline tells our own wish from our death.
void KernelProcess::kill() {
  if (lifeline_) ::send(lifeline_.get(), "k", 1, MSG_NOSIGNAL);
  lifeline_.reset();
}

KernelProcess::~KernelProcess() {
  kill();
  while (!ended()) {
    pollfd wait{report_.get(), POLLIN, 0};
    ::poll(&wait, 1, -1);
  }
  ::waitpid(keeper_, nullptr, 0);
}

}  // namespace nvmesim::bridge
