// Numbers for the eye: four significant digits, a unit that fits, integer arithmetic only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/base/units.hpp"

namespace nvmesim::report {

// "1,234,567"
std::string grouped(std::uint64_t value);
// "1 request", "2,000 requests"
std::string counted(std::uint64_t count, std::string_view one, std::string_view many);
// value / unit with about four significant digits: "3.142", "31.42", "314.2", "3,142", "0".
std::string significant(std::uint64_t value, std::uint64_t unit);
// A time in us, as significant() writes it; from one second on in "1.234 s".
std::string microseconds(std::uint64_t ps);
// "812 ns", "84.12 us", "1.250 s"
std::string human_time(base::Time time);
// "512 B", "82.40 MB"; powers of ten, as bandwidths are told.
std::string human_bytes(std::uint64_t bytes);
// A request's size: "4 KiB" where it is whole, else "512 B", and rounded where that is long.
std::string human_size(std::uint64_t bytes);
// "812.3 k"; per second, from an amount in a span.
std::string human_rate(std::uint64_t amount, base::Time span);
// "6.680 MB/s"
std::string human_bandwidth(std::uint64_t bytes, base::Time span);
// "12.3 %"; a share that is not nothing but below 0.05 % is "<0.1 %".
std::string percent(std::uint64_t part, std::uint64_t whole);

// To a width in columns; UTF-8 sequences count as one.
std::string left(std::string_view text, std::size_t width);
std::string right(std::string_view text, std::size_t width);
// Shortened in the middle to at most `width` columns; control characters become '?'.
std::string fitted(std::string_view text, std::size_t width);

// The text with every byte sequence that is not UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

}  // namespace nvmesim::report
