#include "sim/workload/job_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "sim/base/assert.hpp"
#include "sim/base/parse.hpp"
#include "sim/workload/zipf.hpp"

namespace nvmesim::workload {
namespace {

// Bytes, or a count with such a suffix, as fio reads them by default (kb_base=1024): k and kb are
// 1024, but ki and kib are 1000; the same for m, g, t and p.
std::optional<std::uint64_t> fio_size(std::string_view value) {
  const auto digits = std::min(value.find_first_not_of("0123456789"), value.size());
  const bool decimal = value.find_first_of("iI", digits) != value.npos;
  if (!decimal) return base::parse_size(value);
  const auto binary = base::parse_size(value);  // checks the spelling and the range
  const auto count = base::parse_unsigned(value.substr(0, digits));
  if (!binary || !count) return std::nullopt;
  std::uint64_t result = *count;
  for (std::uint64_t unit = *count == 0 ? 1 : *binary / *count; unit > 1; unit /= 1024) {
    result *= 1000;
  }
  return result;
}

std::uint64_t number(std::string_view value, std::uint64_t low, std::uint64_t high) {
  const auto parsed = fio_size(value);
  if (!parsed || *parsed < low || *parsed > high) {
    throw BadValue(fmt::format("give a number from {} to {}", low, high));
  }
  return *parsed;
}

std::uint32_t number32(std::string_view value, std::uint32_t low, std::uint32_t high) {
  return static_cast<std::uint32_t>(number(value, low, high));
}

bool flag(std::string_view value) {
  if (value == "1" || value == "true") return true;
  if (value == "0" || value == "false") return false;
  throw BadValue("give 0 or 1");
}

std::uint64_t bytes(std::string_view value) {
  const auto parsed = fio_size(value);
  if (!parsed) throw BadValue("give bytes, like 4096, 4k or 1g");
  return *parsed;
}

Amount amount(std::string_view value) {
  if (!value.empty() && value.back() == '%') {
    const auto percent = base::parse_unsigned(value.substr(0, value.size() - 1));
    if (!percent || *percent > 100) throw BadValue("give a percentage from 0% to 100%");
    return {*percent, true};
  }
  return {bytes(value), false};
}

base::Time duration(std::string_view value) {
  struct Unit {
    std::string_view name;
    base::Time time;
  };
  static constexpr Unit kUnits[] = {{"", 1s},    {"s", 1s}, {"ms", 1ms}, {"us", 1us},
                                    {"m", 1min}, {"h", 1h}, {"d", 24h}};
  const auto digits = std::min(value.find_first_not_of("0123456789"), value.size());
  const auto count = base::parse_unsigned(value.substr(0, digits));
  for (const Unit& unit : kUnits) {
    if (unit.name != value.substr(digits)) continue;
    constexpr base::Time kLongest = 90 * 24h;
    if (!count || *count > static_cast<std::uint64_t>(kLongest / unit.time)) break;
    return static_cast<std::int64_t>(*count) * unit.time;
  }
  throw BadValue("give a time up to 90 days, like 10 (seconds), 500ms, 2m or 1h");
}

void set_rw(JobOptions& options, std::string_view value) {
  struct Pattern {
    std::string_view name;
    bool reads, writes, trims, random;
  };
  static constexpr Pattern kPatterns[] = {
      {"read", true, false, false, false},     {"write", false, true, false, false},
      {"trim", false, false, true, false},     {"rw", true, true, false, false},
      {"readwrite", true, true, false, false}, {"randread", true, false, false, true},
      {"randwrite", false, true, false, true}, {"randtrim", false, false, true, true},
      {"randrw", true, true, false, true}};
  for (const Pattern& pattern : kPatterns) {
    if (pattern.name != value) continue;
    options.reads = pattern.reads;
    options.writes = pattern.writes;
    options.trims = pattern.trims;
    options.random = pattern.random;
    return;
  }
  throw BadValue("give read, write, trim, rw, randread, randwrite, randtrim or randrw");
}

// One size for all, or read,write,trim. An empty part leaves its size as it was; what is left out
// at the end is as the one before.
void set_bs(JobOptions& options, std::string_view value) {
  std::string_view rest = value;
  std::uint64_t last = 0;
  bool more = true;
  for (std::size_t i = 0; i < kDirectionCount; ++i) {
    if (more) {
      const auto comma = rest.find(',');
      const std::string_view part = rest.substr(0, comma);
      more = comma != rest.npos;
      rest.remove_prefix(more ? comma + 1 : rest.size());
      last = part.empty() ? options.block_bytes[i] : bytes(part);
    }
    if (last == 0 || last > base::kGiB) throw BadValue("give block sizes up to 1g");
    options.block_bytes[i] = last;
  }
  if (value.empty() || more) throw BadValue("give one block size, or those of read,write,trim");
}

void set_distribution(JobOptions& options, std::string_view value) {
  constexpr std::string_view kZipf = "zipf";
  if (value == "random") {
    options.zipf = false;
    return;
  }
  if (value.substr(0, kZipf.size()) != kZipf) throw BadValue("give random or zipf:theta");
  value.remove_prefix(kZipf.size());
  options.zipf = true;
  options.zipf_theta = value.empty() ? "1.1" : std::string(value.substr(1));
  if (!value.empty() && value[0] != ':') throw BadValue("give random or zipf:theta");
  try {
    parse_theta(options.zipf_theta);
  } catch (const base::UserError& error) {
    throw BadValue(error.what());
  }
}

void set_engine(JobOptions& options, std::string_view value) {
  options.engine = find_io_cost(value);
  if (options.engine != nullptr) return;
  std::string names;
  for (const IoCost& cost : io_costs()) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", cost.name);
  }
  throw BadValue("known engines are " + names);
}

void set_verify(JobOptions& options, std::string_view value) {
  static constexpr std::string_view kMethods[] = {
      "md5",      "crc64",    "crc32c",   "crc32c-intel", "crc32",  "crc16",
      "crc7",     "xxhash",   "sha512",   "sha256",       "sha1",   "sha3-224",
      "sha3-256", "sha3-384", "sha3-512", "meta",         "pattern"};
  if (value == "0" || value == "null") {
    options.verify = false;
    return;
  }
  if (std::find(std::begin(kMethods), std::end(kMethods), value) == std::end(kMethods)) {
    throw BadValue("give one of fio's methods, like crc32c; all have the same effect here");
  }
  options.verify = true;
}

void set_write_hint(JobOptions& options, std::string_view value) {
  static constexpr std::string_view kHints[] = {"none", "short", "medium", "long", "extreme"};
  const auto* const hint = std::find(std::begin(kHints), std::end(kHints), value);
  if (hint == std::end(kHints)) throw BadValue("give none, short, medium, long or extreme");
  options.write_hint = static_cast<std::uint8_t>(hint - std::begin(kHints) + 1);
}

void set_direct(JobOptions&, std::string_view value) {
  if (!flag(value)) throw BadValue("there is no page cache to go through; give 1");
}

void take_flag(JobOptions&, std::string_view value) {
  flag(value);
}

constexpr std::uint64_t kMany = std::numeric_limits<std::int64_t>::max();
using View = std::string_view;

constexpr JobOptionRow kRows[] = {
    {"name", false, [](JobOptions& o, View v) { o.name = v; }},
    {"filename", false, [](JobOptions& o, View v) { o.filename = v; }},
    {"rw", false, set_rw},
    {"readwrite", false, set_rw},
    {"rwmixread", false, [](JobOptions& o, View v) { o.read_percent = number32(v, 0, 100); }},
    {"rwmixwrite", false,
     [](JobOptions& o, View v) { o.read_percent = 100 - number32(v, 0, 100); }},
    {"bs", false, set_bs},
    {"blocksize", false, set_bs},
    {"ioengine", false, set_engine},
    {"iodepth", false, [](JobOptions& o, View v) { o.iodepth = number32(v, 1, 65536); }},
    {"iodepth_batch", false, [](JobOptions& o, View v) { o.batch = number32(v, 1, 65536); }},
    {"iodepth_batch_submit", false, [](JobOptions& o, View v) { o.batch = number32(v, 1, 65536); }},
    {"iodepth_low", false, [](JobOptions& o, View v) { o.low_depth = number32(v, 1, 65536); }},
    {"numjobs", false, [](JobOptions& o, View v) { o.numjobs = number32(v, 1, 4096); }},
    {"direct", true, set_direct},
    {"size", false,
     [](JobOptions& o, View v) {
       o.size = amount(v);
       o.size_given = true;
       if (o.size.value == 0) throw BadValue("give a size above 0");
     }},
    {"io_size", false, [](JobOptions& o, View v) { o.io_bytes = bytes(v); }},
    {"offset", false, [](JobOptions& o, View v) { o.offset = amount(v); }},
    {"offset_increment", false, [](JobOptions& o, View v) { o.offset_increment = bytes(v); }},
    {"runtime", false, [](JobOptions& o, View v) { o.runtime = duration(v); }},
    {"timeout", false, [](JobOptions& o, View v) { o.runtime = duration(v); }},
    {"time_based", true, [](JobOptions& o, View v) { o.time_based = flag(v); }},
    {"number_ios", false, [](JobOptions& o, View v) { o.number_ios = number(v, 0, kMany); }},
    {"random_distribution", false, set_distribution},
    {"norandommap", true, [](JobOptions& o, View v) { o.no_random_map = flag(v); }},
    {"randseed", false,
     [](JobOptions& o, View v) {
       o.seed = number(v, 0, kMany);
       o.seed_given = true;
     }},
    {"fsync", false, [](JobOptions& o, View v) { o.fsync = number32(v, 0, 1U << 30); }},
    {"verify", false, set_verify},
    {"write_hint", false, set_write_hint},
    {"group_reporting", true, take_flag},  // results are those of a section in any case
};

}  // namespace

std::span<const JobOptionRow> job_option_rows() {
  return kRows;
}

}  // namespace nvmesim::workload
