#include "host/kernel/kernel_log.hpp"

namespace nvmesim::host {

std::string PrintLine::to_string() const {
  const std::int64_t microseconds = time.count() / 1'000'000;
  return fmt::format("[{:5}.{:06}] {}", microseconds / 1'000'000, microseconds % 1'000'000, text);
}

void KernelLog::add(PrintLevel level, std::string text) {
  lines_.push_back({scheduler_.now(), level, std::move(text)});
  if (sink_) sink_(lines_.back());
}

bool KernelLog::contains(std::string_view text) const {
  for (const PrintLine& line : lines_) {
    if (line.text.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace nvmesim::host
