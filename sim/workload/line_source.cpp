#include "sim/workload/line_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/crc.hpp>
#include <boost/iostreams/categories.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "sim/base/assert.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::workload {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;

// The bytes of a file, or of a pipe, which cannot go back: its first two are looked at before it
// is known what the stream is, and given out again.
class RawFile {
 public:
  explicit RawFile(const std::string& path) : path_(path), file_(path, std::ios::binary) {
    if (!file_) {
      throw base::UserError(fmt::format("{}: cannot be opened; check its permissions", path));
    }
    head_size_ = take(head_.data(), head_.size());
  }

  std::string_view head() const { return {head_.data(), head_size_}; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint32_t crc32() const { return crc_.checksum(); }

  std::size_t read(char* data, std::size_t count) {
    std::size_t got = std::min(count, head_size_ - head_given_);
    std::copy_n(head_.data() + head_given_, got, data);
    head_given_ += got;
    if (got < count) got += take(data + got, count - got);
    bytes_ += got;
    crc_.process_bytes(data, got);
    return got;
  }

 private:
  std::size_t take(char* data, std::size_t count) {
    file_.read(data, static_cast<std::streamsize>(count));
    if (file_.bad()) throw base::UserError(fmt::format("{}: cannot be read", path_));
    return static_cast<std::size_t>(file_.gcount());
  }

  std::string path_;
  std::ifstream file_;
  std::array<char, 2> head_{};
  std::size_t head_size_ = 0;
  std::size_t head_given_ = 0;
  std::uint64_t bytes_ = 0;
  boost::crc_32_type crc_;
};

// It as a Source of Boost.Iostreams.
struct FileSource {
  using char_type = char;
  using category = boost::iostreams::source_tag;

  std::streamsize read(char* data, std::streamsize count) {
    const std::size_t got = file->read(data, static_cast<std::size_t>(count));
    return got == 0 ? -1 : static_cast<std::streamsize>(got);
  }

  RawFile* file = nullptr;
};

}  // namespace

struct LineSource::Input {
  explicit Input(const std::string& name) : path(name), file(name) {
    source.file = &file;
    if (file.head() == "\x1f\x8b") gzip.emplace();
  }

  std::string path;
  RawFile file;
  FileSource source;
  std::optional<boost::iostreams::gzip_decompressor> gzip;

  // Bytes of plain text; 0 at the end.
  std::size_t read(char* data, std::size_t count) {
    const auto wanted = static_cast<std::streamsize>(count);
    try {
      const std::streamsize got =
          gzip ? gzip->read(source, data, wanted) : source.read(data, wanted);
      return got < 0 ? 0 : static_cast<std::size_t>(got);
    } catch (const std::ios_base::failure&) {
      throw base::UserError(
          fmt::format("{}: the gzip stream is truncated or damaged; copy the file again", path));
    }
  }
};

LineSource::LineSource(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw base::UserError(fmt::format("{}: no such file; check the path", path));
  }
  if (std::filesystem::is_directory(status)) {
    throw base::UserError(fmt::format("{}: is a directory; give a file in it", path));
  }
  input_ = std::make_unique<Input>(path);
  if (input_->file.head().empty()) {
    throw base::UserError(fmt::format("{}: is empty; check the path", path));
  }
  buffer_.resize(kBufferBytes);
  line_.reserve(kMaxLine);
}

LineSource::~LineSource() = default;

bool LineSource::gzip() const {
  return input_->gzip.has_value();
}

std::uint64_t LineSource::file_bytes() const {
  return input_->file.bytes();
}

std::uint32_t LineSource::file_crc32() const {
  return input_->file.crc32();
}

bool LineSource::fill() {
  begin_ = 0;
  end_ = input_->read(buffer_.data(), buffer_.size());
  return end_ > 0;
}

bool LineSource::next(std::string_view& line) {
  line_.clear();
  too_long_ = false;
  bool any = false;
  std::size_t total = 0;
  while (begin_ < end_ || fill()) {
    any = true;
    const char* from = buffer_.data() + begin_;
    const void* found = std::memchr(from, '\n', end_ - begin_);
    const std::size_t length =
        found == nullptr ? end_ - begin_
                         : static_cast<std::size_t>(static_cast<const char*>(found) - from);
    const std::size_t room = kMaxLine - line_.size();
    too_long_ = too_long_ || length > room;
    line_.append(from, std::min(length, room));
    total += length;
    if (total > kEndlessLine) {
      throw base::UserError(fmt::format("{}: a line of more than {} MiB; this is no text",
                                        input_->path, kEndlessLine / base::kMiB));
    }
    begin_ += length + (found != nullptr ? 1 : 0);
    if (found != nullptr) break;
  }
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  line = line_;
  return any;
}

}  // namespace nvmesim::workload
