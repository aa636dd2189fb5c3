// What the address sanitizer has to be told of SystemC's stacks. Empty in any other build.
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NVMESIM_ADDRESS_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define NVMESIM_ADDRESS_SANITIZER
#endif

#ifdef NVMESIM_ADDRESS_SANITIZER
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>

#include <cstddef>
#endif

namespace nvmesim::base {

#ifdef NVMESIM_ADDRESS_SANITIZER

// We are on the stack of the program's own thread. SystemC says where the stacks of its threads are
// when it goes to one, and that it does not know when it comes back: then the frames that an
// exception leaves would stay marked, and what is called there later would be taken for a fault.
inline void on_own_stack() {
  struct Bounds {
    void* begin = nullptr;
    std::size_t bytes = 0;
    Bounds() {
      pthread_attr_t attributes;
      if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
      pthread_attr_getstack(&attributes, &begin, &bytes);
      pthread_attr_destroy(&attributes);
    }
  };
  thread_local const Bounds bounds;
  if (bounds.bytes == 0) return;
  __sanitizer_start_switch_fiber(nullptr, bounds.begin, bounds.bytes);
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
}

#else

inline void on_own_stack() {}

#endif

}  // namespace nvmesim::base
