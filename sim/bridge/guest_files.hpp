// Two small programs that go with a kernel, carried inside this one: the guest's first program, and
// the library that makes the kernel's random numbers repeat (guest/).
#pragma once

#include <string_view>

namespace nvmesim::bridge {

std::string_view guest_init();
std::string_view guest_getrandom();
// The options that our kernel needs beyond tinyconfig, and the script that builds it.
std::string_view kernel_config();
std::string_view kernel_build_script();

}  // namespace nvmesim::bridge
