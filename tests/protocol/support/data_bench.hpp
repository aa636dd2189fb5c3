// A bench that is enabled and has one I/O queue pair, with what tests of the data path need.
#pragma once

#include <cstring>
#include <vector>

#include "device/spec/sgl.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {

struct DataBench : Bench {
  explicit DataBench(device::ControllerConfig wanted = small_config(), bool spare = false)
      : Bench(wanted, spare) {
    REQUIRE(enable());
    create_pair(1);
  }
  std::uint64_t blocks() const { return kMediaUnits * 4096 / config.logical_block_bytes; }

  void fill(std::uint64_t address, std::uint64_t bytes, std::uint8_t seed) {
    for (std::uint64_t i = 0; i < bytes; ++i) {
      port.store(address + i, static_cast<std::uint8_t>(seed + i * 7 + i / 256));
    }
  }
  void set(std::uint64_t address, std::uint64_t bytes, std::uint8_t value) {
    std::memset(port.at(address), value, bytes);
  }
  bool same(std::uint64_t a, std::uint64_t b, std::uint64_t bytes) {
    return std::memcmp(port.at(a), port.at(b), bytes) == 0;
  }
  bool all(std::uint64_t address, std::uint64_t bytes, std::uint8_t value) {
    for (std::uint64_t i = 0; i < bytes; ++i) {
      if (port.load<std::uint8_t>(address + i) != value) return false;
    }
    return true;
  }
  void store_big(std::uint64_t address, unsigned bytes, std::uint64_t value) {
    for (unsigned i = 0; i < bytes; ++i) {
      port.store(address + i, static_cast<std::uint8_t>(value >> (8 * (bytes - 1 - i))));
    }
  }
  std::uint64_t load_big(std::uint64_t address, unsigned bytes) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value = value << 8 | port.load<std::uint8_t>(address + i);
    return value;
  }
};

inline spec::SubmissionEntry with_sgl(spec::SubmissionEntry entry, const spec::SglDescriptor& sgl,
                                      unsigned psdt = spec::kPsdtSgl) {
  std::memcpy(&entry.prp1, &sgl, sizeof sgl);
  entry.flags = static_cast<std::uint8_t>((entry.flags & 0x3F) | psdt << 6);
  return entry;
}

}  // namespace nvmesim::test
