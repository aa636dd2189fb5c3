#include "sim/bridge/kernel_build.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "sim/base/config.hpp"
#include "sim/base/parse.hpp"
#include "sim/bridge/connection.hpp"
#include "sim/bridge/guest_files.hpp"

namespace nvmesim::bridge {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kArchives = "/usr/src";
constexpr std::string_view kPrefix = "linux-source-";
constexpr std::string_view kSuffix = ".tar.xz";

// Runs the script that is its first argument, and ends all of it when it is told to end, which
// happens when nvmesim does.
constexpr const char* kBuilder =
    "trap 'trap - TERM; kill 0' TERM; script=$1; shift; sh -c \"$script\" build_kernel.sh \"$@\" & "
    "wait $!";

std::string cache() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (xdg != nullptr && *xdg == '/') return std::string(xdg) + "/nvmesim";
  if (home != nullptr && *home == '/') return std::string(home) + "/.cache/nvmesim";
  throw base::UserError("linux: neither XDG_CACHE_HOME nor HOME says where to keep the kernel");
}

// FNV-1a.
std::uint64_t hash(std::string_view text, std::uint64_t state = 0xCBF29CE484222325) {
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return state;
}

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string directory(rest.substr(0, colon));
    if (access((directory + "/" + program).c_str(), X_OK) == 0) return true;
    rest = colon == rest.npos ? std::string_view{} : rest.substr(colon + 1);
  }
  return false;
}

void need_tools() {
  std::vector<std::string> missing;
  for (const char* tool : {"make", "gcc", "flex", "bison", "bc", "xz"}) {
    if (!on_path(tool)) missing.emplace_back(std::strcmp(tool, "xz") == 0 ? "xz-utils" : tool);
  }
  if (missing.empty()) return;
  throw base::UserError(fmt::format(
      "linux: to build the kernel install {} (apt-get install {}), or name a kernel with --kernel",
      fmt::join(missing, ", "), fmt::join(missing, " ")));
}

struct Archive {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::string path;
  std::string version() const { return fmt::format("{}.{}", major, minor); }
};

// Oldest first.
std::vector<Archive> archives() {
  std::vector<Archive> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kArchives, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const std::string version =
        name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    const auto dot = version.find('.');
    if (dot == version.npos) continue;
    const auto major = base::parse_unsigned(version.substr(0, dot));
    const auto minor = base::parse_unsigned(version.substr(dot + 1));
    if (major && minor) found.push_back({*major, *minor, entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const Archive& a, const Archive& b) {
    return std::pair(a.major, a.minor) < std::pair(b.major, b.minor);
  });
  return found;
}

KernelSource from_tree(const std::string& tree) {
  std::error_code error;
  const fs::path path = fs::canonical(tree, error);
  if (error || !fs::is_regular_file(path / "arch/um/Makefile", error)) {
    throw base::UserError(fmt::format("--linux-tree: '{}' is not a tree of Linux", tree));
  }
  return {path, fmt::format("{}/tree-{:016x}", cache(), hash(path.string())), true};
}

KernelSource from_archive(const Archive& archive) {
  struct stat facts {};
  if (stat(archive.path.c_str(), &facts) != 0) {
    throw base::UserError(fmt::format("{}: {}", archive.path, std::strerror(errno)));
  }
  const std::string key =
      fmt::format("{} {} {}", archive.path, facts.st_size, facts.st_mtim.tv_sec);
  const std::uint64_t hashed = hash(kernel_build_script(), hash(kernel_config(), hash(key)));
  return {archive.path, fmt::format("{}/linux-{}-{:016x}", cache(), archive.version(), hashed),
          false};
}

}  // namespace

KernelSource find_kernel_source(const std::optional<std::string>& tree,
                                const std::optional<std::string>& version) {
  if (tree) return from_tree(*tree);
  const std::vector<Archive> found = archives();
  const std::string wanted = version.value_or("6.1");
  for (const Archive& archive : found) {
    if (archive.version() == wanted) return from_archive(archive);
  }
  if (!version && !found.empty()) return from_archive(found.back());
  throw base::UserError(
      fmt::format("linux: no source of the kernel: install linux-source-{} (apt-get install "
                  "linux-source-{} flex bison bc), or name a kernel with --kernel",
                  wanted, wanted));
}

bool kernel_is_built(const KernelSource& source) {
  return !source.is_tree && access(source.kernel().c_str(), X_OK) == 0;
}

void build_kernel(const KernelSource& source,
                  const std::function<void(const std::string&)>& progress) {
  need_tools();
  std::error_code error;
  fs::create_directories(source.work, error);
  const Fd lock(::open((source.work + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) {
    throw base::UserError(fmt::format("{}: {}", source.work, std::strerror(errno)));
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    progress("another nvmesim is building it");
    while (flock(lock.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  if (kernel_is_built(source)) return;
  const std::string config = source.work + "/kernel.config";
  std::ofstream(config, std::ios::trunc) << kernel_config();
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) throw base::UserError(std::strerror(errno));
  const std::string script(kernel_build_script());
  const std::string jobs = std::to_string(std::max(1u, std::thread::hardware_concurrency()));
  const std::string kernel = source.kernel();
  const pid_t child = fork();
  if (child < 0) throw base::UserError(fmt::format("linux: {}", std::strerror(errno)));
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0);  // what kBuilder ends
    // All that builds holds the lock, so that nobody else builds while anything of it is left.
    fcntl(lock.get(), F_SETFD, 0);
    dup2(out[1], 1);
    dup2(out[1], 2);
    const int null = ::open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, 0);
    // The user's own settings of make and of compilers would build another kernel.
    for (const char* name :
         {"MAKEFLAGS", "MAKELEVEL", "CFLAGS", "LDFLAGS", "ARCH", "CROSS_COMPILE"})
      unsetenv(name);
    execl("/bin/sh", "sh", "-c", kBuilder, "build_kernel.sh", script.c_str(), source.source.c_str(),
          source.work.c_str(), config.c_str(), jobs.c_str(), kernel.c_str(), nullptr);
    _exit(127);
  }
  ::close(out[1]);
  const Fd read_end(out[0]);
  std::deque<std::string> last_words;
  std::string line;
  char chunk[4096];
  for (ssize_t count; (count = ::read(out[0], chunk, sizeof chunk)) > 0 || errno == EINTR;) {
    if (count < 0) continue;
    for (const char c : std::string_view(chunk, static_cast<std::size_t>(count))) {
      if (c != '\n') {
        line += c;
        continue;
      }
      progress(line);
      last_words.push_back(std::move(line));
      if (last_words.size() > 5) last_words.pop_front();
      line.clear();
    }
    errno = 0;
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status == 0) return;
  throw base::UserError(fmt::format("linux: {}: the kernel could not be built: {}", source.source,
                                    fmt::join(last_words, " | ")));
}

}  // namespace nvmesim::bridge
