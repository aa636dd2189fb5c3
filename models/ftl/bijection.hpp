// A keyed permutation of [0, n) that can be asked in both directions, in constant memory: a
// Feistel network over a grid of rows x columns that is hardly larger than n, walked until it
// falls below n. A tweak makes it another permutation of the same size.
#pragma once

#include <array>
#include <cstdint>

namespace nvmesim::models {

class Bijection {
 public:
  // n must not be 0 and below 2^62.
  Bijection(std::uint64_t n, std::uint64_t key);

  std::uint64_t size() const { return n_; }
  std::uint64_t at(std::uint64_t value, std::uint64_t tweak = 0) const {
    do {
      value = forward(value, tweak);
    } while (value >= n_);
    return value;
  }
  std::uint64_t inverse(std::uint64_t value, std::uint64_t tweak = 0) const {
    do {
      value = backward(value, tweak);
    } while (value >= n_);
    return value;
  }

 private:
  // A number below `bound` that depends on all bits of its arguments.
  static std::uint64_t mixed(std::uint64_t value, std::uint64_t key, std::uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    std::uint64_t x = (value + key) * 0x9E37'79B9'7F4A'7C15;
    x = (x ^ (x >> 32)) * 0xD6E8'FEB8'6659'FD93;
    return static_cast<std::uint64_t>(Wide{x} * bound >> 64);
  }
  static std::uint64_t plus(std::uint64_t a, std::uint64_t b, std::uint64_t modulus) {
    return a + b >= modulus ? a + b - modulus : a + b;
  }
  static std::uint64_t minus(std::uint64_t a, std::uint64_t b, std::uint64_t modulus) {
    return a >= b ? a - b : a + modulus - b;
  }
  std::uint64_t forward(std::uint64_t value, std::uint64_t tweak) const {
    std::uint64_t row = value / columns_;
    std::uint64_t column = value - row * columns_;
    row = plus(row, mixed(column, keys_[0] ^ tweak, rows_), rows_);
    column = plus(column, mixed(row, keys_[1] ^ tweak, columns_), columns_);
    row = plus(row, mixed(column, keys_[2] ^ tweak, rows_), rows_);
    column = plus(column, mixed(row, keys_[3] ^ tweak, columns_), columns_);
    return row * columns_ + column;
  }
  std::uint64_t backward(std::uint64_t value, std::uint64_t tweak) const {
    std::uint64_t row = value / columns_;
    std::uint64_t column = value - row * columns_;
    column = minus(column, mixed(row, keys_[3] ^ tweak, columns_), columns_);
    row = minus(row, mixed(column, keys_[2] ^ tweak, rows_), rows_);
    column = minus(column, mixed(row, keys_[1] ^ tweak, columns_), columns_);
    row = minus(row, mixed(column, keys_[0] ^ tweak, rows_), rows_);
    return row * columns_ + column;
  }

  std::uint64_t n_;
  std::uint64_t rows_;
  std::uint64_t columns_;
  std::array<std::uint64_t, 4> keys_{};
};

}  // namespace nvmesim::models
