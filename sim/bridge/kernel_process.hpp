// The kernel's process and all that it starts, in a directory of its own for sockets and files.
// A small second process of ours, the keeper, stands in between: whichever of nvmesim and the
// kernel ends, however it ends, the keeper kills what is left of the other's and removes the
// directory.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "sim/bridge/connection.hpp"

namespace nvmesim::bridge {

// Made at once; removed by the keeper, or here if no keeper was ever started.
class RunDirectory {
 public:
  // In TMPDIR if that is set; else in memory if this machine has such a place (/dev/shm), else in
  // /tmp. Its path is absolute. Throws UserError.
  RunDirectory();
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const char* name) const { return path_ + "/" + name; }
  // A new file with this content, 0700 if it is a program; open for reading and appending.
  Fd create(const char* name, std::string_view content = {}, bool program = false) const;
  void hand_over() { ours_ = false; }

 private:
  std::string path_;
  bool ours_ = true;
};

struct KernelCommand {
  std::vector<std::string> arguments;    // [0]: the file
  std::vector<std::string> environment;  // NAME=value
  struct Descriptor {
    int fd;
    int as;
  };
  std::vector<Descriptor> descriptors;  // 0 to 2 among them
};

class KernelProcess {
 public:
  // Starts it in `directory`, with a fixed address layout, on the processor that we run on: both
  // take turns, so they gain nothing from two. Throws UserError if the file cannot be run.
  KernelProcess(RunDirectory& directory, const KernelCommand& command);
  // Ends it if it runs, and waits until nothing is left of it.
  ~KernelProcess();
  KernelProcess(const KernelProcess&) = delete;
  KernelProcess& operator=(const KernelProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Readable when the process has ended.
  int ended_fd() const { return report_.get(); }
  bool ended();
  // Of a process that has ended, as waitpid() tells it; nothing if the keeper was killed.
  std::optional<int> wait_status() const { return status_; }
  void kill();

 private:
  pid_t keeper_ = -1;
  pid_t pid_ = -1;
  Fd lifeline_;  // closed when we end: the keeper then kills the kernel
  Fd report_;    // the keeper tells how the kernel ended
  bool ended_ = false;
  std::optional<int> status_;
};

}  // namespace nvmesim::bridge
