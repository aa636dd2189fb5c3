#include "sim/workload/job_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "sim/base/assert.hpp"
#include "sim/base/config.hpp"
#include "sim/workload/job_options.hpp"
#include "sim/workload/line_source.hpp"

namespace nvmesim::workload {
namespace {

constexpr std::uint64_t kLeastIoBuffer = 4096;  // of the IoEngine

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// Reads line by line: options of [global] are the defaults of the sections that follow.
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) { global_.engine = find_io_cost("psync"); }

  void line(std::string_view text) {
    ++line_;
    text = trim(text.substr(0, text.find_first_of("#;")));
    if (text.empty()) return;
    if (text.front() == '[') {
      section(text);
    } else {
      option(text);
    }
  }

  JobFile finish() {
    close();
    if (file_.jobs.empty()) {
      throw base::UserError(
          fmt::format("{}: holds no job; add a section like [job1] with its options", path_));
    }
    file_.path = path_;
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const { fail_at(line_, what); }
  [[noreturn]] void fail_at(std::uint64_t line, std::string_view what) const {
    throw base::UserError(fmt::format("{}:{}: {}", path_, line, what));
  }

  void section(std::string_view text) {
    close();
    if (text.back() != ']' || text.size() < 3) {
      fail(fmt::format("'{}' is no section; write [name]", text));
    }
    text = trim(text.substr(1, text.size() - 2));
    in_global_ = text == "global";
    if (in_global_) return;
    job_ = global_;
    job_->name = text;
    job_->line = line_;
  }

  void option(std::string_view text) {
    if (!in_global_ && !job_)
      fail("an option before the first section; begin with [global] or [job1]");
    const auto equals = text.find('=');
    const std::string_view key = trim(text.substr(0, equals));
    const auto rows = job_option_rows();
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&](const JobOptionRow& r) { return r.name == key; });
    if (row == rows.end()) unknown(key);
    if (equals == text.npos && !row->flag) fail(fmt::format("option '{}' needs a value", key));
    const std::string_view value = equals == text.npos ? "1" : trim(text.substr(equals + 1));
    JobOptions& options = in_global_ ? global_ : *job_;
    try {
      row->apply(options, value);
      options.given[std::string(key)] = value;
    } catch (const BadValue& error) {
      fail(fmt::format("{}={}: {}", key, value, error.what()));
    }
  }

  [[noreturn]] void unknown(std::string_view key) const {
    const std::string near = base::nearest_key(key, job_option_names());
    fail(fmt::format("unknown option '{}'{}", key,
                     near.empty() ? "; remove it" : fmt::format("; did you mean '{}'?", near)));
  }

  // The section is complete: what only shows as a whole.
  void close() {
    if (!job_) return;
    if (job_->time_based && job_->runtime == base::kTimeZero) {
      fail_at(job_->line,
              fmt::format("job '{}' is time_based without an end; add runtime=", job_->name));
    }
    file_.jobs.push_back(std::move(*job_));
    job_.reset();
  }

  const std::string path_;
  std::uint64_t line_ = 0;
  bool in_global_ = false;
  JobOptions global_;
  std::optional<JobOptions> job_;
  JobFile file_;
};

}  // namespace

std::uint64_t Amount::bytes_of(std::uint64_t drive_bytes) const {
  if (!percent) return value;
  return drive_bytes / 100 * value + drive_bytes % 100 * value / 100;
}

std::uint64_t JobOptions::largest_block_bytes() const {
  const bool used[] = {reads, writes, trims};
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < kDirectionCount; ++i) {
    if (used[i]) largest = std::max(largest, block_bytes[i]);
  }
  return largest;
}

// Buffers are powers of two of at least 4 KiB. A job that ends at a number of bytes or of I/Os need
// not ever reach its depth.
std::uint64_t JobOptions::buffer_bytes() const {
  if (!reads && !writes) return 0;
  std::uint64_t at_once = depth();
  const std::uint64_t budget = io_bytes != 0 ? io_bytes : size.percent ? 0 : size.value;
  if (!time_based && budget != 0) {
    at_once = std::min(at_once, base::ceil_div(budget, largest_block_bytes()));
  }
  if (number_ios != 0) at_once = std::min(at_once, number_ios);
  return numjobs * at_once *
         std::bit_ceil(std::max<std::uint64_t>(largest_block_bytes(), kLeastIoBuffer));
}

std::vector<std::string> job_option_names() {
  std::vector<std::string> names;
  for (const JobOptionRow& row : job_option_rows()) names.emplace_back(row.name);
  return names;
}

JobFile read_job(const std::string& path) {
  LineSource source(path);
  Reader reader(path);
  std::string_view line;
  while (source.next(line)) {
    if (source.too_long()) {
      throw base::UserError(fmt::format("{}: a line of more than {} bytes; is it a job file?", path,
                                        LineSource::kMaxLine));
    }
    reader.line(line);
  }
  return reader.finish();
}

JobFile parse_job(std::string_view text, const std::string& path) {
  Reader reader(path);
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    reader.line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return reader.finish();
}

}  // namespace nvmesim::workload
