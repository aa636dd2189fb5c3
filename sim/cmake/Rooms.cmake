# One CMake target per room: nvmesim_room(pcie SOURCES a.cpp b.cpp ROOMS base)
# makes nvmesim::pcie. ROOMS names the rooms that it may include. With NVMESIM_UNITY up to 16 files
# compile as one: a full build takes a quarter of the time, and small functions of one file are
# inlined into others. So names in anonymous namespaces are unique in a room, but for the files that
# SEPARATE names.
function(nvmesim_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;SEPARATE;ROOMS" ${ARGN})
  set(target nvmesim_${name})
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES} ${ARG_SEPARATE})
    set_target_properties(${target} PROPERTIES
      UNITY_BUILD ${NVMESIM_UNITY} UNITY_BUILD_BATCH_SIZE 16)
    set_source_files_properties(${ARG_SEPARATE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    target_precompile_headers(${target} REUSE_FROM nvmesim_pch)
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(nvmesim::${name} ALIAS ${target})
  target_link_libraries(${target} ${scope} nvmesim_options nvmesim_systemc)
  foreach(room ${ARG_ROOMS})
    target_link_libraries(${target} ${scope} nvmesim::${room})
  endforeach()
endfunction()
