// An integer that names one kind of thing: a QueueId cannot be passed where a DieId is meant.
// It compares, hashes and prints; it does no arithmetic. .value() is the plain number.
#pragma once

#include <fmt/format.h>

#include <compare>
#include <cstddef>
#include <functional>

namespace nvmesim::base {

template <class Tag, class Integer>
class StrongId {
 public:
  using Value = Integer;

  constexpr StrongId() = default;
  constexpr explicit StrongId(Integer value) : value_(value) {}
  constexpr Integer value() const { return value_; }
  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
  friend constexpr std::size_t hash_value(const StrongId& id) {
    return static_cast<std::size_t>(id.value_);
  }

 private:
  Integer value_{};
};

}  // namespace nvmesim::base

template <class Tag, class Integer>
struct std::hash<nvmesim::base::StrongId<Tag, Integer>> {
  std::size_t operator()(const nvmesim::base::StrongId<Tag, Integer>& id) const noexcept {
    return std::hash<Integer>{}(id.value());
  }
};

template <class Tag, class Integer>
struct fmt::formatter<nvmesim::base::StrongId<Tag, Integer>> : fmt::formatter<Integer> {
  auto format(const nvmesim::base::StrongId<Tag, Integer>& id, fmt::format_context& context) const {
    return fmt::formatter<Integer>::format(id.value(), context);
  }
};
