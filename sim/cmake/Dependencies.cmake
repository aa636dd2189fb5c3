# Everything comes from the distribution's packages; nothing is downloaded.
find_package(PkgConfig REQUIRED)
pkg_check_modules(SystemC REQUIRED IMPORTED_TARGET systemc)
find_package(Boost 1.81 REQUIRED COMPONENTS json iostreams program_options)
find_package(fmt REQUIRED)
find_package(Threads REQUIRED)

# What every room compiles with. SC_CPLUSPLUS makes SystemC's link-time version
# check accept a C++20 program: Debian builds the library as C++17.
add_library(nvmesim_options INTERFACE)
target_compile_definitions(nvmesim_options INTERFACE
  SC_CPLUSPLUS=201703L SC_INCLUDE_DYNAMIC_PROCESSES)
target_compile_options(nvmesim_options INTERFACE
  -ffp-contract=off -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
  # SystemC's iterators compare as C++17 had it.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-ambiguous-reversed-operator>)
target_include_directories(nvmesim_options INTERFACE ${PROJECT_SOURCE_DIR})
target_link_libraries(nvmesim_options INTERFACE
  fmt::fmt Boost::boost Boost::json Boost::iostreams Boost::program_options Threads::Threads)

add_library(nvmesim_systemc INTERFACE)
target_link_libraries(nvmesim_systemc INTERFACE PkgConfig::SystemC)
get_target_property(systemc_includes PkgConfig::SystemC INTERFACE_INCLUDE_DIRECTORIES)
if(systemc_includes)
  target_include_directories(nvmesim_systemc SYSTEM INTERFACE ${systemc_includes})
endif()

if(NVMESIM_WERROR)
  target_compile_options(nvmesim_options INTERFACE -Werror)
endif()
if(NVMESIM_SANITIZE)
  target_compile_options(nvmesim_options INTERFACE
    -fsanitize=${NVMESIM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(nvmesim_options INTERFACE -fsanitize=${NVMESIM_SANITIZE})
endif()
if(NVMESIM_COVERAGE)
  target_compile_options(nvmesim_options INTERFACE --coverage)
  target_link_options(nvmesim_options INTERFACE --coverage)
endif()

# The headers of the packages, compiled once for all rooms and once more, with Catch2, for all tests:
# half of the time of a build without it.
set(package_headers
  <algorithm> <array> <bit> <cstdint> <cstring> <deque> <functional> <map> <memory> <optional>
  <span> <string> <string_view> <vector> <boost/describe.hpp> <boost/json.hpp> <fmt/format.h>
  ${PROJECT_SOURCE_DIR}/sim/base/systemc.hpp)
function(nvmesim_precompiled target)
  file(CONFIGURE OUTPUT ${target}.cpp CONTENT "")
  add_library(${target} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${target}.cpp)
  target_link_libraries(${target} PRIVATE nvmesim_options nvmesim_systemc)
  target_precompile_headers(${target} PRIVATE ${package_headers} ${ARGN})
endfunction()
nvmesim_precompiled(nvmesim_pch)
