#include "sim/report/text_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "sim/report/figures.hpp"

namespace nvmesim::report {
namespace {

struct Unit {
  std::uint64_t from;  // used from this value on
  std::uint64_t size;
  std::string_view name;
};

std::string with_unit(std::uint64_t value, std::span<const Unit> units) {
  const Unit* best = &units.front();
  for (const Unit& unit : units) {
    if (value >= unit.from) best = &unit;
  }
  return significant(value, best->size) + std::string(best->name);
}

// Length of the UTF-8 sequence at the start of `text`; 0 if there is none (Unicode, table 3-7).
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](std::size_t count, unsigned low, unsigned high) {
    if (text.size() <= count || byte(1) < low || byte(1) > high) return false;
    for (std::size_t i = 2; i <= count; ++i) {
      if ((byte(i) & 0xC0) != 0x80) return false;
    }
    return true;
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return follows(1, 0x80, 0xBF) ? 2 : 0;
  if (first < 0xF0) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return follows(2, low, high) ? 3 : 0;
  }
  if (first > 0xF4) return 0;
  return follows(3, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) ? 4 : 0;
}

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

std::string grouped(std::uint64_t value) {
  std::string digits = fmt::format("{}", value);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", grouped(count), count == 1 ? one : many);
}

std::string significant(std::uint64_t value, std::uint64_t unit) {
  if (value == 0) return "0";
  unsigned decimals = 3;
  std::uint64_t power = 1000;
  // One digit less for each power of ten, also where rounding reaches the next one.
  while (decimals > 0 && scaled(value, power, unit) >= 10'000) {
    --decimals;
    power /= 10;
  }
  const std::uint64_t rounded = scaled(value, power, unit);
  if (decimals == 0) return grouped(rounded);
  return fmt::format("{}.{:0{}}", rounded / power, rounded % power, decimals);
}

std::string microseconds(std::uint64_t ps) {
  constexpr std::uint64_t kSecond = 1'000'000'000'000;
  return ps < kSecond ? significant(ps, 1'000'000) : significant(ps, kSecond) + " s";
}

std::string human_time(base::Time time) {
  static constexpr std::array<Unit, 4> kUnits = {{{0, 1000, " ns"},
                                                  {1'000'000, 1'000'000, " us"},
                                                  {1'000'000'000, 1'000'000'000, " ms"},
                                                  {1'000'000'000'000, 1'000'000'000'000, " s"}}};
  return with_unit(static_cast<std::uint64_t>(time.count()), kUnits);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  static constexpr std::array<Unit, 4> kUnits = {{{0, 1000, " kB"},
                                                  {1'000'000, 1'000'000, " MB"},
                                                  {1'000'000'000, 1'000'000'000, " GB"},
                                                  {1'000'000'000'000, 1'000'000'000'000, " TB"}}};
  return with_unit(bytes, kUnits);
}

std::string human_size(std::uint64_t bytes) {
  if (bytes >= base::kGiB && bytes % base::kGiB == 0) return grouped(bytes / base::kGiB) + " GiB";
  if (bytes >= base::kMiB && bytes % base::kMiB == 0) return grouped(bytes / base::kMiB) + " MiB";
  const bool whole = bytes >= base::kKiB && bytes % base::kKiB == 0;
  // At most ten columns: what would be longer is rounded.
  if (bytes >= (whole ? 10 * base::kMiB : 100'000)) return human_bytes(bytes);
  return whole ? grouped(bytes / base::kKiB) + " KiB" : grouped(bytes) + " B";
}

std::string human_rate(std::uint64_t amount, base::Time span) {
  // In thousandths, so that slow things show.
  const std::uint64_t milli =
      scaled(amount, 1'000'000'000'000'000, static_cast<std::uint64_t>(span.count()));
  static constexpr std::array<Unit, 3> kUnits = {
      {{0, 1000, "  "}, {10'000'000, 1'000'000, " k"}, {1'000'000'000, 1'000'000'000, " M"}}};
  return with_unit(milli, kUnits);
}

std::string human_bandwidth(std::uint64_t bytes, base::Time span) {
  return human_bytes(per_second_integer(bytes, span)) + "/s";
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  if (part == 0 || whole == 0) return "0.0 %";
  const std::uint64_t tenths = scaled(part, 1000, whole);
  if (tenths == 0) return "<0.1 %";
  return fmt::format("{}.{} %", tenths / 10, tenths % 10);
}

std::string left(std::string_view text, std::size_t width) {
  const std::size_t used = columns(text);
  return std::string(text) + std::string(used < width ? width - used : 0, ' ');
}

std::string right(std::string_view text, std::size_t width) {
  const std::size_t used = columns(text);
  return std::string(used < width ? width - used : 0, ' ') + std::string(text);
}

std::string fitted(std::string_view text, std::size_t width) {
  std::string clean = valid_utf8(text);
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  if (columns(clean) <= width) return clean;
  // Cut in the middle, at the start of characters.
  std::vector<std::string_view> characters;
  for (std::string_view rest = clean; !rest.empty();) {
    const std::size_t length = std::max<std::size_t>(sequence_length(rest), 1);
    characters.push_back(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  const std::size_t kept = width > 3 ? width - 3 : 0;
  const std::size_t head = kept / 2;
  std::string result;
  for (std::size_t i = 0; i < head; ++i) result += characters[i];
  result += "...";
  for (std::size_t i = characters.size() - (kept - head); i < characters.size(); ++i) {
    result += characters[i];
  }
  return result;
}

std::string valid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) {
      result += "\xEF\xBF\xBD";
      text.remove_prefix(1);
    } else {
      result += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return result;
}

}  // namespace nvmesim::report
