// The one place that includes SystemC and TLM-2.0. It hides what differs between
// SystemC 2.3.4 (which needs SC_HAS_PROCESS) and 3.0 (where it is deprecated).
#pragma once

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#include <systemc>
#include <tlm>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#if SC_VERSION_MAJOR >= 3
#define NVMESIM_HAS_PROCESS(type) static_assert(true)
#else
#define NVMESIM_HAS_PROCESS(type) SC_HAS_PROCESS(type)
#endif
