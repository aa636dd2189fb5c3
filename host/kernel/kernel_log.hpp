// The log of the simulated host. Its lines read like dmesg: "[    1.234567] nvme nvme0: ...".
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/scheduler.hpp"

namespace nvmesim::host {

enum class PrintLevel : std::uint8_t { kError, kWarning, kNotice, kInfo, kDebug };

struct PrintLine {
  base::Time time{0};
  PrintLevel level = PrintLevel::kInfo;
  std::string text;

  // With its time stamp, as dmesg prints it.
  std::string to_string() const;
};

class KernelLog {
 public:
  using Sink = std::function<void(const PrintLine& line)>;

  explicit KernelLog(const base::Scheduler& scheduler) : scheduler_(scheduler) {}

  // Gets every line from now on; lines are kept in any case.
  void set_sink(Sink sink) { sink_ = std::move(sink); }

  template <class... Arguments>
  void print(PrintLevel level, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    add(level, fmt::format(format, std::forward<Arguments>(arguments)...));
  }

  const std::vector<PrintLine>& lines() const { return lines_; }
  bool contains(std::string_view text) const;

 private:
  void add(PrintLevel level, std::string text);

  const base::Scheduler& scheduler_;
  std::vector<PrintLine> lines_;
  Sink sink_;
};

}  // namespace nvmesim::host
