// The words for what a link carries: two directions, three classes of traffic.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nvmesim::pcie {

enum class Direction : std::uint8_t { kDown, kUp };  // towards the endpoint, towards the root

inline constexpr Direction kBothDirections[] = {Direction::kDown, Direction::kUp};
constexpr std::size_t index_of(Direction direction) {
  return static_cast<std::size_t>(direction);
}
constexpr Direction opposite(Direction direction) {
  return direction == Direction::kDown ? Direction::kUp : Direction::kDown;
}

enum class TrafficClass : std::uint8_t { kPosted, kNonPosted, kCompletion };
inline constexpr std::size_t kTrafficClasses = 3;

}  // namespace nvmesim::pcie
