#include "sim/app/linux_break.hpp"

#include <fmt/format.h>

#include "device/spec/registers.hpp"
#include "sim/base/config.hpp"
#include "sim/base/parse.hpp"

namespace nvmesim::app {
namespace {

constexpr std::uint32_t kRegistersEnd = 0x1000 + 8 * 65536;  // doorbells with them

std::optional<std::uint64_t> offset_of(std::string_view name) {
  if (name.starts_with("0x")) return base::parse_hex(name);
  for (std::uint32_t offset = 0; offset < kRegistersEnd; offset += 4) {
    const std::string known = device::spec::register_name(offset);
    if (known == name) return offset;
  }
  return std::nullopt;
}

std::optional<base::Time> time_of(std::string_view text) {
  for (const auto& [unit, picoseconds] : {std::pair<std::string_view, std::int64_t>{"ns", 1000},
                                          {"us", 1'000'000},
                                          {"ms", 1'000'000'000},
                                          {"s", 1'000'000'000'000}}) {
    if (!text.ends_with(unit)) continue;
    const auto count = base::parse_unsigned(text.substr(0, text.size() - unit.size()));
    if (count && *count < 1'000'000) {
      return base::Time(static_cast<std::int64_t>(*count) * picoseconds);
    }
  }
  return std::nullopt;
}

}  // namespace

LinuxBreak::LinuxBreak(std::string text) : text_(std::move(text)) {
  const auto space = text_.find(' ');
  const std::string kind = text_.substr(0, space);
  const std::string rest = space == text_.npos ? "" : text_.substr(space + 1);
  if (kind == "start" && rest.empty()) {
    start_ = true;
    return;
  }
  if (kind == "wire" && !rest.empty()) {
    wire_ = rest;
    return;
  }
  if (kind == "time") time_ = time_of(rest);
  const auto second = rest.find(' ');
  if (kind == "reg" && second != rest.npos) {
    const std::string access = rest.substr(second + 1);
    write_ = access == "write";
    if (write_ || access == "read") offset_ = offset_of(rest.substr(0, second));
  }
  if (time_ || offset_) return;
  throw base::UserError(fmt::format(
      "--break: '{}' is not 'reg NAME read', 'reg NAME write', 'wire TEXT', 'time 12ms' "
      "or 'start'",
      text_));
}

bool LinuxBreak::at_access(bridge::PcidevOp op, const bridge::PcidevHeader& header) {
  if (start_) {
    start_ = false;
    return true;
  }
  return offset_ && header.bar == 0 && header.address == *offset_ &&
         op == (write_ ? bridge::PcidevOp::kMmioWrite : bridge::PcidevOp::kMmioRead);
}

bool LinuxBreak::at_time(base::Time now) {
  if (!time_ || now < *time_) return false;
  time_.reset();
  return true;
}

}  // namespace nvmesim::app
