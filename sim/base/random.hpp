// Streams of random numbers that are the same on every machine. A stream is seeded by the seed of
// the run and the name of its user, so that adding a user disturbs nobody else's draws.
// xoshiro256** by Blackman and Vigna (2018), seeded by splitmix64. Integers only.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace nvmesim::base {

// One step of splitmix64 (Steele, Lea, Flood 2014): advances `state`, returns 64 mixed bits.
std::uint64_t splitmix64(std::uint64_t& state);

class Random {
 public:
  Random(std::uint64_t run_seed, std::string_view user);
  // Goes on from a state, as published reference vectors give it. Not all words may be 0.
  explicit Random(const std::array<std::uint64_t, 4>& state) : state_(state) {}

  // 64 uniformly distributed bits.
  std::uint64_t next() {
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound), without bias (Lemire 2019). bound must not be 0.
  std::uint64_t below(std::uint64_t bound);

  // True with probability numerator / denominator.
  bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }

 private:
  static constexpr std::uint64_t rotate(std::uint64_t value, int by) {
    return (value << by) | (value >> (64 - by));
  }
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace nvmesim::base
