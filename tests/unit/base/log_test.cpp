#include "sim/base/log.hpp"

#include <vector>

#include "tests/support/catch.hpp"

namespace nvmesim::base {
namespace {

// Counts how often it is formatted.
struct Counted {
  int* count;
};

}  // namespace
}  // namespace nvmesim::base

template <>
struct fmt::formatter<nvmesim::base::Counted> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  auto format(const nvmesim::base::Counted& value, fmt::format_context& context) const {
    ++*value.count;
    return context.out();
  }
};

namespace nvmesim::base {

TEST_CASE("a log hands on what is important enough, with time and part") {
  std::vector<std::string> lines;
  Log log(
      [&](LogLevel level, Time now, std::string_view part, std::string_view text) {
        lines.push_back(
            fmt::format("{} {} {}: {}", static_cast<int>(level), now.count(), part, text));
      },
      LogLevel::kWarning);
  log.write(LogLevel::kError, 5ns, "link", "down after {} errors", 3);
  log.write(LogLevel::kInfo, 6ns, "link", "up");
  log.write(LogLevel::kWarning, 7ns, "ftl", "full");
  CHECK(lines == std::vector<std::string>{"0 5000 link: down after 3 errors", "1 7000 ftl: full"});
  CHECK(log.enabled(LogLevel::kWarning));
  CHECK_FALSE(log.enabled(LogLevel::kInfo));
}

TEST_CASE("what nobody wants to read is not formatted") {
  int formatted = 0;
  const Log silent;
  silent.write(LogLevel::kError, 0ns, "part", "{}", Counted{&formatted});
  CHECK_FALSE(silent.enabled(LogLevel::kError));
  const Log some([](LogLevel, Time, std::string_view, std::string_view) {}, LogLevel::kError);
  some.write(LogLevel::kDebug, 0ns, "part", "{}", Counted{&formatted});
  CHECK(formatted == 0);
  some.write(LogLevel::kError, 0ns, "part", "{}", Counted{&formatted});
  CHECK(formatted == 1);
}

}  // namespace nvmesim::base
