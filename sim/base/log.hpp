// Messages of the model to its user. A part writes through a Log that it is handed; where the
// lines go is the application's choice. The simulated host has its own log, which reads like dmesg.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "sim/base/units.hpp"

namespace nvmesim::base {

enum class LogLevel : unsigned char { kError, kWarning, kInfo, kDebug };

class Log {
 public:
  // `sink` gets every message at or above the level's importance.
  using Sink = std::function<void(LogLevel, Time, std::string_view part, std::string_view text)>;

  Log() = default;
  explicit Log(Sink sink, LogLevel level = LogLevel::kInfo)
      : sink_(std::move(sink)), level_(level) {}

  bool enabled(LogLevel level) const { return sink_ && level <= level_; }

  template <class... Arguments>
  void write(LogLevel level, Time now, std::string_view part,
             fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    if (!enabled(level)) return;
    sink_(level, now, part, fmt::format(format, std::forward<Arguments>(arguments)...));
  }

 private:
  Sink sink_;
  LogLevel level_ = LogLevel::kInfo;
};

}  // namespace nvmesim::base
