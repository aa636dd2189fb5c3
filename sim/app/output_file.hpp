// A file that appears whole or not at all. Opening it is tried before anything is simulated, under
// a temporary name beside its own; commit() gives it its name. Without commit() nothing is left.
#pragma once

#include <string>
#include <string_view>

namespace nvmesim::app {

class OutputFile {
 public:
  // Throws UserError if the file cannot be written there.
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Throws UserError when the disk is full or gone.
  void write(std::string_view text);
  void commit();
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail(const char* what) const;
  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

}  // namespace nvmesim::app
