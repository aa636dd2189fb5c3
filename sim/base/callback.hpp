// A call-back in three words: function, object, one 64-bit argument. Made from a member function
// at compile time, so that keeping and calling it never allocates:
//   Callback::of<&Controller::fetched>(this, queue_index)
#pragma once

#include <cstdint>

namespace nvmesim::base {

class Callback {
 public:
  using Function = void (*)(void* object, std::uint64_t argument);

  constexpr Callback() = default;
  constexpr Callback(Function function, void* object, std::uint64_t argument)
      : function_(function), object_(object), argument_(argument) {}

  // Method takes either no argument or one std::uint64_t.
  template <auto Method, class Object>
  static Callback of(Object* object, std::uint64_t argument = 0) {
    return {[](void* self, std::uint64_t value) {
              auto* target = static_cast<Object*>(self);
              if constexpr (requires { (target->*Method)(value); }) {
                (target->*Method)(value);
              } else {
                (target->*Method)();
              }
            },
            object, argument};
  }

  void operator()() const { function_(object_, argument_); }
  explicit operator bool() const { return function_ != nullptr; }

 private:
  Function function_ = nullptr;
  void* object_ = nullptr;
  std::uint64_t argument_ = 0;
};

}  // namespace nvmesim::base
