#include "sim/app/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "sim/base/assert.hpp"

namespace nvmesim::app {

OutputFile::OutputFile(std::string path, const std::vector<std::string>& taken)
    : path_(std::move(path)) {
  if (path_.empty()) throw base::UserError("the name of an output file is empty");
  if (path_ == "-") {
    path_ = "standard output";
    descriptor_ = dup(STDOUT_FILENO);
    if (descriptor_ < 0) fail("cannot be written");
    return;
  }
  if (std::find(taken.begin(), taken.end(), path_) != taken.end()) {
    throw base::UserError(path_ +
                          ": is another file of this run too; the results would replace it");
  }
  struct stat status {};
  if (stat(path_.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) throw base::UserError(path_ + ": is a directory");
    for (const std::string& name : taken) {
      struct stat other {};
      if (stat(name.c_str(), &other) == 0 && other.st_dev == status.st_dev &&
          other.st_ino == status.st_ino) {
        throw base::UserError(path_ +
                              ": is another file of this run too; the results would replace it");
      }
    }
    // A device or a pipe has no name to give later: it is written directly.
    if (!S_ISREG(status.st_mode)) {
      descriptor_ = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
      if (descriptor_ < 0) fail("cannot be written");
      return;
    }
    std::error_code error;
    const auto real = std::filesystem::canonical(path_, error);
    if (!error) path_ = real.string();
  } else if (errno != ENOENT) {
    fail("cannot be written");
  }
  open_unnamed();
}

void OutputFile::open_unnamed() {
  temporary_ = fmt::format("{}.{}.tmp", path_, getpid());
  const auto slash = path_.rfind('/');
  const std::string directory = slash == path_.npos ? "." : path_.substr(0, slash + 1);
  descriptor_ = open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {  // a file system that knows no files without a name
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("cannot be written");
    named_ = true;
  }
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (named_) unlink(temporary_.c_str());
}

void OutputFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("cannot be written");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void OutputFile::commit() {
  if (!temporary_.empty()) give_name();
  const int closed = close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail("cannot be written");
  if (temporary_.empty()) return;
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be written");
  named_ = false;
}

void OutputFile::give_name() {
  if (named_) return;
  const std::string open_file = fmt::format("/proc/self/fd/{}", descriptor_);
  if (linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    fail("cannot be written");
  }
  named_ = true;
}

void OutputFile::fail(const char* what) const {
  throw base::UserError(fmt::format("{}: {}: {}", path_, what, std::strerror(errno)));
}

}  // namespace nvmesim::app
