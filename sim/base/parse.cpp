#include "sim/base/parse.hpp"

#include <charconv>
#include <limits>

namespace nvmesim::base {
namespace {

template <class Integer>
std::optional<Integer> parse_whole(std::string_view text, int radix) {
  Integer value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, radix);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

// Whole seconds and a fraction of `digits` digits, as one integer of that unit.
std::optional<std::int64_t> parse_decimal(std::string_view text, int digits, bool exact) {
  const auto point = text.find('.');
  const auto whole = parse_unsigned(text.substr(0, point));
  if (!whole) return std::nullopt;
  const std::string_view fraction =
      point == text.npos ? std::string_view("0") : text.substr(point + 1);
  if (fraction.empty()) return std::nullopt;
  std::int64_t part = 0;
  std::int64_t scale = 1;
  for (int i = 0; i < digits; ++i) scale *= 10;
  std::int64_t place = scale / 10;
  for (const char letter : fraction) {
    if (!is_digit(letter)) return std::nullopt;
    if (exact && place == 0 && letter != '0') return std::nullopt;
    part += (letter - '0') * place;
    place /= 10;
  }
  const auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / scale);
  if (*whole >= limit) return std::nullopt;
  return static_cast<std::int64_t>(*whole) * scale + part;
}

}  // namespace

std::optional<std::uint64_t> parse_unsigned(std::string_view text) {
  return parse_whole<std::uint64_t>(text, 10);
}

std::optional<std::int64_t> parse_signed(std::string_view text) {
  return parse_whole<std::int64_t>(text, 10);
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  if (text.substr(0, 2) == "0x" || text.substr(0, 2) == "0X") text.remove_prefix(2);
  return parse_whole<std::uint64_t>(text, 16);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  const auto number = parse_unsigned(text.substr(0, digits));
  if (!number) return std::nullopt;
  std::string_view suffix = text.substr(digits);
  int shift = 0;
  if (!suffix.empty()) {
    constexpr std::string_view kUnits = "kmgtp";
    const auto unit = kUnits.find(lower(suffix[0]));
    if (unit == kUnits.npos) return std::nullopt;
    shift = 10 * (static_cast<int>(unit) + 1);
    suffix.remove_prefix(1);
    if (!suffix.empty() && lower(suffix[0]) == 'i') suffix.remove_prefix(1);
    if (!suffix.empty() && lower(suffix[0]) == 'b') suffix.remove_prefix(1);
    if (!suffix.empty()) return std::nullopt;
  }
  if (*number > (std::numeric_limits<std::uint64_t>::max() >> shift)) return std::nullopt;
  return *number << shift;
}

std::optional<Time> parse_seconds(std::string_view text) {
  const auto value = parse_decimal(text, 12, true);
  if (!value) return std::nullopt;
  return Time{*value};
}

std::optional<std::int64_t> parse_decimal_ns(std::string_view text) {
  return parse_decimal(text, 9, false);
}

}  // namespace nvmesim::base
