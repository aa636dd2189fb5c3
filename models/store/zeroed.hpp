// A block of memory that is all zero, given back with free(). Its pages cost nothing before they
// are touched. Large blocks ask for huge pages: random accesses to small ones cost as much time in
// the processor's page tables as in the memory itself. A refusal changes nothing but the speed.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace nvmesim::models {

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Zeroed = std::unique_ptr<T[], FreeMemory>;

template <class T>
Zeroed<T> zeroed(std::size_t count, bool huge = false) {
  constexpr std::size_t kHuge = std::size_t{1} << 21;
  void* memory = std::calloc(count, sizeof(T));
  if (memory == nullptr) throw std::bad_alloc();
  if (huge && count * sizeof(T) >= 2 * kHuge) {
    auto* begin = static_cast<std::byte*>(memory);
    const std::size_t skip = kHuge - reinterpret_cast<std::uintptr_t>(begin) % kHuge;
    static_cast<void>(madvise(begin + skip, count * sizeof(T) - skip, MADV_HUGEPAGE));
  }
  return Zeroed<T>(static_cast<T*>(memory));
}

}  // namespace nvmesim::models
