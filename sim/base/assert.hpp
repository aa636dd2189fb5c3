// Our own bugs. A broken invariant ends the run in every build, with the place and the reason;
// a user's mistake throws UserError instead and becomes one line and exit status 2.
#pragma once

#include <stdexcept>
#include <string>

namespace nvmesim::base {

class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An invariant of the model does not hold. Tests catch it; the program does not.
class ModelBug : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void fail_invariant(const char* what, const char* file, int line);

}  // namespace nvmesim::base

#define NVMESIM_ASSERT(condition, what)                          \
  do {                                                           \
    if (!(condition)) [[unlikely]]                               \
      ::nvmesim::base::fail_invariant(what, __FILE__, __LINE__); \
  } while (false)
