// The order in which consecutive pages go round the array: a permutation of C (channel), W (way), D
// (die of a way) and P (plane), the level that changes first in front. CWDP goes to all channels
// before it comes to the next way; PWDC fills all planes of all dies of one channel first. A die
// has a number (die d is on channel d % channels) and a turn, its place in this order.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace nvmesim::models {

struct DieOrder {
  std::vector<std::uint32_t> die_of_turn;
  std::vector<std::uint32_t> turn_of_die;
  // Dies that get a page each before the first of them gets one for its next plane.
  std::uint32_t before_plane = 1;

  // Throws UserError if `text` is no permutation of CWDP.
  static DieOrder make(std::string_view text, std::uint32_t channels, std::uint32_t ways,
                       std::uint32_t dies_per_way);
};

}  // namespace nvmesim::models
