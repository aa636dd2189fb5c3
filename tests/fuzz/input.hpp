// Reads numbers from a fuzzer's bytes; zeroes behind their end. A broken rule ends the process.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace nvmesim::test {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}

  template <class T>
  T take() {
    T value{};
    const std::size_t bytes = std::min(left_, sizeof value);
    std::memcpy(&value, data_, bytes);
    data_ += bytes;
    left_ -= bytes;
    return value;
  }
  std::size_t left() const { return left_; }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

inline void require(bool ok, const char* rule) {
  if (ok) return;
  std::fprintf(stderr, "broken: %s\n", rule);
  std::abort();
}

}  // namespace nvmesim::test
