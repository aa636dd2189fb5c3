// A huge array of which little is touched: leaves of 64 elements under nodes of 256 leaves under
// one table (a radix tree of fixed depth, no hashing). An absent leaf stands for default contents
// that its user computes; a cleared one for "all empty", which costs four bytes per 64 elements.
// An untouched array costs 8 bytes per 16,384 elements.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace nvmesim::models {

template <class Leaf>
class SparseArray {
 public:
  static constexpr std::uint64_t kLeafSize = 64;
  static constexpr std::uint64_t kNodeSize = kLeafSize * 256;

  enum class State : std::uint8_t { kAbsent, kCleared, kPresent };
  struct Found {
    State state;
    Leaf* leaf;  // only if present
  };

  explicit SparseArray(std::uint64_t elements) : nodes_((elements + kNodeSize - 1) / kNodeSize) {}

  Found find(std::uint64_t index) const {
    const Node* node = nodes_[index / kNodeSize].get();
    if (node == nullptr) return {State::kAbsent, nullptr};
    const std::uint32_t slot = (*node)[slot_of(index)];
    if (slot == kAbsentSlot) return {State::kAbsent, nullptr};
    if (slot == kClearedSlot) return {State::kCleared, nullptr};
    return {State::kPresent, at(slot - kFirstSlot)};
  }

  // The leaf of `index`; a new one is filled by fill(leaf, first index of the leaf, cleared).
  template <class Fill>
  Leaf& touch(std::uint64_t index, Fill fill) {
    std::uint32_t& slot = slot_ref(index);
    if (slot >= kFirstSlot) return *at(slot - kFirstSlot);
    const bool cleared = slot == kClearedSlot;
    const std::uint32_t number = take();
    slot = number + kFirstSlot;
    Leaf* leaf = at(number);
    fill(*leaf, index / kLeafSize * kLeafSize, cleared);
    return *leaf;
  }

  // Everything in the leaf of `index` is empty from now on.
  void clear_leaf(std::uint64_t index) {
    std::uint32_t& slot = slot_ref(index);
    if (slot >= kFirstSlot) free_.push_back(slot - kFirstSlot);
    slot = kClearedSlot;
  }

  // True if no leaf at all is present or cleared in the node of `index`.
  bool node_untouched(std::uint64_t index) const { return nodes_[index / kNodeSize] == nullptr; }

  std::uint64_t leaves() const { return made_ - free_.size(); }

 private:
  using Node = std::array<std::uint32_t, kNodeSize / kLeafSize>;
  static constexpr std::uint32_t kAbsentSlot = 0;
  static constexpr std::uint32_t kClearedSlot = 1;
  static constexpr std::uint32_t kFirstSlot = 2;
  static constexpr std::size_t kSlab = 64;  // leaves allocated at once

  static std::size_t slot_of(std::uint64_t index) {
    return static_cast<std::size_t>(index / kLeafSize % (kNodeSize / kLeafSize));
  }
  Leaf* at(std::uint32_t number) const { return &slabs_[number / kSlab][number % kSlab]; }
  std::uint32_t& slot_ref(std::uint64_t index) {
    std::unique_ptr<Node>& node = nodes_[index / kNodeSize];
    if (node == nullptr) node = std::make_unique<Node>();  // all absent
    return (*node)[slot_of(index)];
  }
  std::uint32_t take() {
    if (!free_.empty()) {
      const std::uint32_t number = free_.back();
      free_.pop_back();
      return number;
    }
    if (made_ % kSlab == 0) slabs_.push_back(std::make_unique<Leaf[]>(kSlab));
    return made_++;
  }

  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Leaf[]>> slabs_;
  std::vector<std::uint32_t> free_;
  std::uint32_t made_ = 0;
};

}  // namespace nvmesim::models
