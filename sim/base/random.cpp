#include "sim/base/random.hpp"

#include "sim/base/assert.hpp"

namespace nvmesim::base {
namespace {

// FNV-1a, 64 bits.
std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const char letter : name) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100'0000'01B3;
  }
  return hash;
}

}  // namespace

std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t mixed = state += 0x9E37'79B9'7F4A'7C15;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58'476D'1CE4'E5B9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D0'49BB'1331'11EB;
  return mixed ^ (mixed >> 31);
}

Random::Random(std::uint64_t run_seed, std::string_view user) {
  // The run's seed is mixed first, so that seeds and names that differ in a bit or two never meet.
  std::uint64_t seed = splitmix64(run_seed) ^ hash_name(user);
  for (std::uint64_t& word : state_) word = splitmix64(seed);
}

std::uint64_t Random::below(std::uint64_t bound) {
  NVMESIM_ASSERT(bound != 0, "a random number below 0 was asked for");
  __extension__ using Wide = unsigned __int128;
  Wide product = Wide{next()} * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t refused = (0 - bound) % bound;  // 2^64 mod bound
    while (static_cast<std::uint64_t>(product) < refused) product = Wide{next()} * bound;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

}  // namespace nvmesim::base
