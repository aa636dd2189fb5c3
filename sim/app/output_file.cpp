#include "sim/app/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sim/base/assert.hpp"

namespace nvmesim::app {

OutputFile::OutputFile(std::string path)
    : path_(std::move(path)), temporary_(fmt::format("{}.{}.tmp", path_, getpid())) {
  struct stat status {};
  if (stat(path_.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) throw base::UserError(path_ + ": is a directory");
    // A device or a pipe has no name to give later: it is written directly.
    if (!S_ISREG(status.st_mode)) temporary_ = path_;
  }
  const int flags = temporary_ == path_ ? O_WRONLY : O_WRONLY | O_CREAT | O_EXCL;
  descriptor_ = open(temporary_.c_str(), flags | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("cannot be written");
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  if (temporary_ != path_) unlink(temporary_.c_str());
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
  if (close(descriptor_) != 0) {
    descriptor_ = -1;
    if (temporary_ != path_) unlink(temporary_.c_str());
    fail("cannot be written");
  }
  descriptor_ = -1;
  if (temporary_ != path_ && rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    unlink(temporary_.c_str());
    errno = error;
    fail("cannot be written");
  }
}

void OutputFile::fail(const char* what) const {
  throw base::UserError(fmt::format("{}: {}: {}", path_, what, std::strerror(errno)));
}

}  // namespace nvmesim::app
