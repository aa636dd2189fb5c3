// Preloaded into the kernel's process: getrandom() returns the same bytes in every run of the same
// seed (NVMESIM_SEED), so that command ids and whatever else the kernel draws repeat.
#include <sys/types.h>

#include <cstdint>
#include <cstdlib>

extern "C" ssize_t getrandom(void* buffer, size_t bytes, unsigned /*flags*/) {
  static std::uint64_t state = 0;
  if (state == 0) {
    const char* seed = std::getenv("NVMESIM_SEED");
    state = (seed != nullptr ? std::strtoull(seed, nullptr, 10) : 1) * 2 + 1;
  }
  auto* out = static_cast<unsigned char*>(buffer);
  for (size_t i = 0; i < bytes; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth, MMIX
    out[i] = static_cast<unsigned char>(state >> 56);
  }
  return static_cast<ssize_t>(bytes);
}
