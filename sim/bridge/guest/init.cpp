// The first program of the guest. It makes the machine's file system, which the kernel mounted
// read-only, writable without touching it (an overlay in memory), mounts what a user expects, runs
// the command, leaves its exit status for nvmesim and turns the machine off.
//
// nvmesim's run directory is found at /proc/self/cwd of the host, through hostfs. In it: "command"
// (strings that end in NUL: working directory, number of variables, variables, arguments), and
// files that take what comes out: "stdout", "stderr", "status".
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "sim/bridge/guest/run_marks.hpp"

namespace {

constexpr char kRun[] = "/run/nvmesim";  // where the run directory is mounted
char text[1 << 20];                      // of "command"
char* words[4096];

void say(const char* what) {
  fprintf(stderr, "nvmesim: guest: %s: %s\n", what, strerror(errno));
}

void mount_or_say(const char* type, const char* where, const char* options = nullptr,
                  unsigned long flags = 0) {
  mkdir(where, 0755);
  if (mount(type, where, type, flags, options) != 0) say(where);
}

// Below, the machine's own files; above, what the guest changes.
void make_root_writable() {
  mount_or_say("tmpfs", "/mnt");
  mkdir("/mnt/upper", 0755);
  mkdir("/mnt/work", 0755);
  mkdir("/mnt/root", 0755);
  if (mount("overlay", "/mnt/root", "overlay", 0,
            "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work") != 0) {
    say("overlay");
    return;
  }
  if (chdir("/mnt/root") != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 ||
      chroot(".") != 0 || chdir("/") != 0) {
    say("root");
  }
}

void mount_everything() {
  mount_or_say("proc", "/proc");
  mount_or_say("sysfs", "/sys");
  mount_or_say("devtmpfs", "/dev");
  mount_or_say("devpts", "/dev/pts", "ptmxmode=0666");
  mount_or_say("tmpfs", "/dev/shm");
  mount_or_say("tmpfs", "/run");
  mkdir("/mnt", 0755);
  mount_or_say("debugfs", "/sys/kernel/debug");
  mount_or_say("tracefs", "/sys/kernel/tracing");
  if (symlink("/proc/self/fd", "/dev/fd") != 0) say("/dev/fd");
  if (symlink("/proc/self/mounts", "/run/mtab") != 0) say("/run/mtab");
}

// The kernel's random pool must not wait for entropy that never comes.
void credit_entropy() {
  constexpr int kBytes = 64;
  alignas(rand_pool_info) unsigned char pool[sizeof(rand_pool_info) + kBytes];
  for (unsigned i = 0; i < sizeof pool; ++i) pool[i] = static_cast<unsigned char>(i);
  auto* info = reinterpret_cast<rand_pool_info*>(pool);
  info->entropy_count = 8 * kBytes;
  info->buf_size = kBytes;
  const int fd = open("/dev/urandom", O_WRONLY);
  if (fd < 0 || ioctl(fd, RNDADDENTROPY, pool) != 0) say("entropy");
  if (fd >= 0) close(fd);
}

int output(const char* name) {
  char path[64];
  snprintf(path, sizeof path, "%s/%s", kRun, name);
  return open(path, O_WRONLY | O_APPEND | O_DSYNC);
}

// Standard streams of the command: the user's terminal, or files that nvmesim shows as they grow.
void open_streams(bool terminal) {
  int in = -1;
  int out = -1;
  int err = -1;
  if (terminal) {
    setsid();
    in = open("/dev/tty1", O_RDWR);
    ioctl(in, TIOCSCTTY, 1);
    const char* rows = getenv("LINES");
    const char* columns = getenv("COLUMNS");
    if (rows != nullptr && columns != nullptr) {
      winsize size{};
      size.ws_row = static_cast<unsigned short>(atoi(rows));
      size.ws_col = static_cast<unsigned short>(atoi(columns));
      ioctl(in, TIOCSWINSZ, &size);
    }
    out = in;
    err = in;
  } else {
    char path[64];
    snprintf(path, sizeof path, "%s/stdin", kRun);
    in = open(path, O_RDONLY);
    if (in < 0) in = open("/dev/null", O_RDONLY);
    out = output("stdout");
    err = output("stderr");
  }
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
}

// Fills `words` with what "command" holds; how many.
int read_command() {
  char path[64];
  snprintf(path, sizeof path, "%s/command", kRun);
  const int fd = open(path, O_RDONLY);
  ssize_t bytes = 0;
  ssize_t count = 0;
  while (fd >= 0 && (count = read(fd, text + bytes, sizeof text - 1 - bytes)) > 0) bytes += count;
  int number = 0;
  for (char* at = text; at < text + bytes && number < 4095; at += strlen(at) + 1) {
    words[number++] = at;
  }
  words[number] = nullptr;
  return number;
}

[[noreturn]] void run(int count) {
  // Working directory, terminal or not, number of variables, variables, arguments.
  const bool terminal = words[1][0] == 't';
  const int variables = atoi(words[2]);
  clearenv();
  for (int i = 0; i < variables && 3 + i < count; ++i) putenv(words[3 + i]);
  char** arguments = words + 3 + variables;
  open_streams(terminal);
  if (chdir(words[0]) != 0) {
    fprintf(stderr, "nvmesim: the guest cannot enter %s: %s\n", words[0], strerror(errno));
    _exit(126);
  }
  execvp(arguments[0], arguments);
  fprintf(stderr, "nvmesim: %s: %s\n", arguments[0], strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);
}

// Tells nvmesim, at this moment of simulated time. A drive that is gone gets no word.
void mark(unsigned char what) {
  const int fd = open("/sys/bus/pci/devices/0000:00:00.0/config", O_WRONLY);
  if (fd < 0) return;
  if (pwrite(fd, &what, 1, nvmesim::bridge::kInterruptLine) != 1) say("mark");
  close(fd);
}

void leave_status(int status) {
  const int fd = output("status");
  char line[16];
  const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  const int length = snprintf(line, sizeof line, "%d\n", code);
  if (fd < 0 || write(fd, line, static_cast<size_t>(length)) != length) say("status");
}

}  // namespace

int main() {
  make_root_writable();
  mount_everything();
  mkdir(kRun, 0700);
  if (mount("nvmesim", kRun, "hostfs", 0, "/proc/self/cwd") != 0) say(kRun);
  const int fd = output("console");
  if (fd >= 0) dup2(fd, 2);
  credit_entropy();
  if (sethostname("nvmesim", 7) != 0) say("host name");
  const int count = read_command();
  int status = 126 << 8;
  if (count >= 4) {
    mark(nvmesim::bridge::kCommandBegins);
    const pid_t child = fork();
    if (child == 0) run(count);
    // What the command leaves behind comes to us too.
    for (pid_t pid; (pid = wait(&status)) != child;) {
      if (pid < 0 && errno != EINTR) break;
    }
  }
  mark(nvmesim::bridge::kCommandEnded);
  leave_status(status);
  sync();
  reboot(RB_POWER_OFF);
  return 0;
}
