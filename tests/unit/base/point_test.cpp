#include "sim/base/point.hpp"

#include "tests/support/catch.hpp"

namespace nvmesim::base {

TEST_CASE("a rule looks at a value and changes it while its point is armed") {
  Point<int&, const std::string&> point("ftl.map_lookup");
  CHECK(point.name() == "ftl.map_lookup");
  int value = 1;
  point(value, "before");
  CHECK(value == 1);
  CHECK_FALSE(point.armed());
  std::string seen;
  point.arm([&](int& changed, const std::string& text) {
    changed *= 10;
    seen = text;
  });
  CHECK(point.armed());
  point(value, "armed");
  CHECK(value == 10);
  CHECK(seen == "armed");
  point.disarm();
  point(value, "after");
  CHECK(value == 10);
  CHECK(seen == "armed");
}

}  // namespace nvmesim::base
