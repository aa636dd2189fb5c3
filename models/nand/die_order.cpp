#include "models/nand/die_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "sim/base/assert.hpp"

namespace nvmesim::models {

DieOrder DieOrder::make(std::string_view text, std::uint32_t channels, std::uint32_t ways,
                        std::uint32_t dies_per_way) {
  if (text.size() != 4 || !std::is_permutation(text.begin(), text.end(), "CWDP")) {
    throw base::UserError(fmt::format(
        "ftl.allocation_order: \"{}\" is not an order of the four letters C (channel), W (way), "
        "D (die) and P (plane)",
        text));
  }
  DieOrder order;
  const std::uint32_t dies = channels * ways * dies_per_way;
  for (const char level : text.substr(0, text.find('P'))) {
    order.before_plane *= level == 'C' ? channels : level == 'W' ? ways : dies_per_way;
  }
  order.turn_of_die.resize(dies);
  for (std::uint32_t turn = 0; turn < dies; ++turn) {
    std::uint32_t rest = turn;
    const auto digit = [&rest](std::uint32_t base) {
      const std::uint32_t value = rest % base;
      rest /= base;
      return value;
    };
    std::uint32_t channel = 0;
    std::uint32_t way = 0;
    std::uint32_t die = 0;
    for (const char level : text) {
      if (level == 'C') channel = digit(channels);
      if (level == 'W') way = digit(ways);
      if (level == 'D') die = digit(dies_per_way);
    }
    const std::uint32_t number = (way * dies_per_way + die) * channels + channel;
    order.die_of_turn.push_back(number);
    order.turn_of_die[number] = turn;
  }
  return order;
}

}  // namespace nvmesim::models
