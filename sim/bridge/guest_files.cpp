#include "sim/bridge/guest_files.hpp"

// clang-format off
#define NVMESIM_EMBED(symbol, file)                                  \
  asm(".section .rodata\n"                                           \
      ".balign 16\n"                                                 \
      #symbol "_begin:\n"                                            \
      ".incbin \"" file "\"\n"                                       \
      #symbol "_end:\n"                                              \
      ".previous\n");                                                \
  extern "C" const char symbol##_begin[];                            \
  extern "C" const char symbol##_end[];
// clang-format on

NVMESIM_EMBED(nvmesim_guest_init, NVMESIM_GUEST_INIT)
NVMESIM_EMBED(nvmesim_guest_getrandom, NVMESIM_GUEST_GETRANDOM)
NVMESIM_EMBED(nvmesim_kernel_config, NVMESIM_KERNEL_CONFIG)
NVMESIM_EMBED(nvmesim_kernel_script, NVMESIM_KERNEL_SCRIPT)

namespace nvmesim::bridge {
namespace {

std::string_view between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace

std::string_view guest_init() {
  return between(nvmesim_guest_init_begin, nvmesim_guest_init_end);
}
std::string_view guest_getrandom() {
  return between(nvmesim_guest_getrandom_begin, nvmesim_guest_getrandom_end);
}
std::string_view kernel_config() {
  return between(nvmesim_kernel_config_begin, nvmesim_kernel_config_end);
}
std::string_view kernel_build_script() {
  return between(nvmesim_kernel_script_begin, nvmesim_kernel_script_end);
}

}  // namespace nvmesim::bridge
