// A first-in first-out queue that grows by doubling and never shrinks: no allocation once it has
// seen its longest queue.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace nvmesim::models {

template <class Item>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  Item& front() { return slots_[head_]; }
  // The i-th from the front.
  Item& operator[](std::size_t i) { return slots_[(head_ + i) & (slots_.size() - 1)]; }
  const Item& at(std::size_t i) const { return slots_[(head_ + i) & (slots_.size() - 1)]; }

  void push(Item item) {
    if (size_ == slots_.size()) grow();
    slots_[(head_ + size_) & (slots_.size() - 1)] = std::move(item);
    ++size_;
  }
  Item pop() {
    Item item = std::move(slots_[head_]);
    head_ = (head_ + 1) & (slots_.size() - 1);
    --size_;
    return item;
  }

 private:
  void grow() {
    std::vector<Item> larger(slots_.empty() ? 64 : slots_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
    slots_.swap(larger);
    head_ = 0;
  }

  std::vector<Item> slots_;  // a power of two
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace nvmesim::models
