// The keeper of a process, with a shell in place of the kernel.
#include "sim/bridge/kernel_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sim/base/config.hpp"
#include "tests/unit/bridge/peer.hpp"

namespace nvmesim::bridge {
namespace {

namespace fs = std::filesystem;

// A place of its own for run directories, gone at the end.
struct Place {
  explicit Place(const std::string& name = "plain") {
    std::string path = (fs::temp_directory_path() / "keeper-XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    root = path;
    directory = root / name;
    fs::create_directories(directory);
    setenv("TMPDIR", directory.c_str(), 1);
  }
  ~Place() {
    unsetenv("TMPDIR");
    fs::remove_all(root);
  }
  bool empty() const { return fs::is_empty(directory); }
  fs::path root;
  fs::path directory;
};

KernelCommand shell(const std::string& script) {
  static const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  KernelCommand command;
  command.arguments = {"/bin/sh", "-c", script};
  command.environment = {"PATH=/usr/bin:/bin"};
  command.descriptors = {{null.get(), 0}, {null.get(), 1}, {null.get(), 2}};
  return command;
}

void wait_for(const KernelProcess& process) {
  pollfd wait{process.ended_fd(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 10'000) == 1);
}

TEST_CASE("how a kernel ended is told, and its directory is gone") {
  Place place;
  {
    RunDirectory directory;
    KernelProcess process(directory, shell("exit 7"));
    wait_for(process);
    CHECK(process.ended());
    REQUIRE(process.wait_status());
    CHECK(WEXITSTATUS(*process.wait_status()) == 7);
  }
  CHECK(place.empty());
}

TEST_CASE("of a file that does not fit into the run directory the reason is told") {
  Place place;
  RunDirectory directory;
  const rlimit before = [] {
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    return limit;
  }();
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};  // a write is cut there, and the next one fails
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string said;
  errno = 0;
  try {
    directory.create("large", std::string(8192, 'x'));
  } catch (const base::UserError& error) {
    said = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(said.ends_with("/large: File too large"));
}

TEST_CASE("what a kernel has started ends with it") {
  Place place;
  {
    RunDirectory directory;
    // In a session of its own, and no child of the shell any more.
    KernelProcess process(directory, shell("setsid sleep 1000 & echo $! > child; exec sleep 1000"));
    const std::string file = directory.file("child");
    for (int i = 0; i < 500 && (!fs::exists(file) || fs::is_empty(file)); ++i) ::usleep(10'000);
    pid_t child = 0;
    std::ifstream(file) >> child;
    REQUIRE(child > 0);
    REQUIRE(::kill(child, 0) == 0);
    process.kill();
    wait_for(process);
    CHECK(process.ended());
    CHECK(::kill(child, 0) != 0);
    REQUIRE(process.wait_status());
    CHECK(WTERMSIG(*process.wait_status()) == SIGKILL);
  }
  CHECK(place.empty());
}

TEST_CASE(
    "a process is found at the directory, whatever that is called, and sees its descriptors") {
  Place place("odd name: with \"everything\"");
  RunDirectory directory;
  const Fd out = directory.create("out");
  KernelCommand command = shell("pwd -P; cat");
  const Fd in = directory.create("in", "words");
  lseek(in.get(), 0, SEEK_SET);
  command.descriptors = {{in.get(), 0}, {out.get(), 1}, {out.get(), 2}};
  KernelProcess process(directory, command);
  wait_for(process);
  char text[512] = {};
  CHECK(pread(out.get(), text, sizeof text - 1, 0) > 0);
  CHECK(std::string(text) == directory.path() + "\nwords");
}

TEST_CASE("a relative TMPDIR is made absolute, an empty one is none") {
  Place place;
  const fs::path before = fs::current_path();
  fs::current_path(place.root);
  setenv("TMPDIR", "plain", 1);
  {
    RunDirectory directory;
    CHECK(fs::path(directory.path()).is_absolute());
    KernelProcess process(directory, shell("exit 0"));
    wait_for(process);
  }
  fs::current_path(before);
  CHECK(place.empty());
  setenv("TMPDIR", "", 1);
  RunDirectory directory;
  CHECK(fs::path(directory.path()).is_absolute());
  CHECK(fs::exists(directory.path()));
}

TEST_CASE(
    "a file that cannot be run, and a directory that cannot be made, are the user's mistake") {
  Place place;
  {
    RunDirectory directory;
    KernelCommand command = shell("");
    command.arguments = {"/nosuch/kernel"};
    CHECK_THROWS_AS(KernelProcess(directory, command), base::UserError);
  }
  CHECK(place.empty());
  setenv("TMPDIR", "/nosuch", 1);
  CHECK_THROWS_AS(RunDirectory(), base::UserError);
}

}  // namespace
}  // namespace nvmesim::bridge
