#include "sim/workload/line_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/iostreams/categories.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "sim/base/assert.hpp"

namespace nvmesim::workload {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;

// A file as a Source of Boost.Iostreams.
struct FileSource {
  using char_type = char;
  using category = boost::iostreams::source_tag;

  std::streamsize read(char* data, std::streamsize count) {
    file->read(data, count);
    if (file->bad()) throw base::UserError(fmt::format("{}: cannot be read", path));
    const std::streamsize got = file->gcount();
    return got == 0 ? -1 : got;
  }

  std::ifstream* file = nullptr;
  std::string path;
};

}  // namespace

struct LineSource::Input {
  std::string path;
  std::ifstream file;
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

LineSource::LineSource(const std::string& path) : input_(std::make_unique<Input>()) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw base::UserError(fmt::format("{}: no such file; check the path", path));
  }
  if (std::filesystem::is_directory(status)) {
    throw base::UserError(fmt::format("{}: is a directory; give a file in it", path));
  }
  input_->path = path;
  input_->file.open(path, std::ios::binary);
  if (!input_->file) {
    throw base::UserError(fmt::format("{}: cannot be opened; check its permissions", path));
  }
  char magic[2] = {};
  input_->file.read(magic, sizeof magic);
  const std::streamsize got = input_->file.gcount();
  if (got == 0) {
    throw base::UserError(fmt::format("{}: is empty; check the path", path));
  }
  input_->file.clear();
  input_->file.seekg(0);
  input_->source = FileSource{&input_->file, path};
  if (got == 2 && magic[0] == '\x1f' && magic[1] == '\x8b') input_->gzip.emplace();
  buffer_.resize(kBufferBytes);
  line_.reserve(kMaxLine);
}

LineSource::~LineSource() = default;

bool LineSource::gzip() const {
  return input_->gzip.has_value();
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
    begin_ += length + (found != nullptr ? 1 : 0);
    if (found != nullptr) break;
  }
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  line = line_;
  return any;
}

}  // namespace nvmesim::workload
