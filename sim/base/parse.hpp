// Numbers in text, for every reader of user input. Each function takes the whole text or nothing:
// no leading or trailing blanks, no sign where none belongs, no silent overflow. Empty result =
// not such a number; the caller knows the place and makes the error.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/base/units.hpp"

namespace nvmesim::base {

// Digits only.
std::optional<std::uint64_t> parse_unsigned(std::string_view text);
// Digits with "-" in front or not.
std::optional<std::int64_t> parse_signed(std::string_view text);
// Hexadecimal digits, with or without "0x".
std::optional<std::uint64_t> parse_hex(std::string_view text);

// Bytes: "4096", "4k", "4K", "4ki", "4KiB", "2m", "1g", "3t", "1p"; every unit is a power of 1024.
std::optional<std::uint64_t> parse_size(std::string_view text);

// Seconds with a fraction, "774.571935402", as exact picoseconds. Digits beyond the twelfth of the
// fraction must be 0. A Time ends after 106 days.
std::optional<Time> parse_seconds(std::string_view text);
// The same as whole nanoseconds, cut off; ends after 292 years, so that wall clocks fit.
std::optional<std::int64_t> parse_decimal_ns(std::string_view text);

}  // namespace nvmesim::base
