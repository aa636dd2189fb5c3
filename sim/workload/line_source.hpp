// The lines of a text file or pipe, plain or gzip (told by content), one at a time. A gzip stream
// is checked as it is read: truncation, a wrong check sum or garbage behind it are UserErrors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace nvmesim::workload {

class LineSource {
 public:
  static constexpr std::size_t kMaxLine = 4096;
  // A line beyond this is a UserError: no text has such lines, and some sources never end.
  static constexpr std::size_t kEndlessLine = std::size_t{16} << 20;

  // Throws UserError if the file is missing, a directory, unreadable or empty.
  explicit LineSource(const std::string& path);
  ~LineSource();

  // False at the end. The line is without its end of line and lives until the next call; what is
  // longer than kMaxLine is cut to that, and too_long() says so.
  bool next(std::string_view& line);
  bool too_long() const { return too_long_; }
  bool gzip() const;
  // Of the file as it is, of what has been read so far: all of it when next() was false.
  std::uint64_t file_bytes() const;
  std::uint32_t file_crc32() const;

 private:
  struct Input;

  bool fill();

  std::unique_ptr<Input> input_;
  std::string buffer_;
  std::size_t begin_ = 0;  // of what is unread in buffer_
  std::size_t end_ = 0;
  std::string line_;
  bool too_long_ = false;
};

}  // namespace nvmesim::workload
