#include "sim/base/assert.hpp"

#include <fmt/format.h>

#include <string_view>

namespace nvmesim::base {

void fail_invariant(const char* what, const char* file, int line) {
  // Name the file from its room on: the same message wherever the tree was built.
  std::string_view path = file;
  for (std::string_view room : {"/sim/", "/pcie/", "/models/", "/device/", "/host/", "/tests/"}) {
    if (const auto at = path.rfind(room); at != path.npos) {
      path.remove_prefix(at + 1);
      break;
    }
  }
  throw ModelBug(fmt::format("{}:{}: {}", path, line, what));
}

}  // namespace nvmesim::base
