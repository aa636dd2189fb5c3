// A file that appears whole or not at all. Opening it is tried before anything is simulated,
// without a name; commit() gives it its name. Until then nothing is there, whatever ends the
// program.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nvmesim::app {

class OutputFile {
 public:
  // "-" is standard output. A link is followed. Throws UserError if the file cannot be written
  // there, or is one of `taken`: the inputs and the other outputs.
  explicit OutputFile(std::string path, const std::vector<std::string>& taken = {});
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Throws UserError when the disk is full or gone.
  void write(std::string_view text);
  void commit();
  const std::string& path() const { return path_; }

 private:
  void open_unnamed();
  void give_name();
  [[noreturn]] void fail(const char* what) const;
  std::string path_;
  std::string temporary_;  // empty: written directly, to a device, a pipe or standard output
  int descriptor_ = -1;
  bool named_ = false;  // temporary_ exists
};

}  // namespace nvmesim::app
