// Objects that are taken and given back all the time. They keep their insides (a vector its
// capacity) from one use to the next; addresses are stable.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

namespace nvmesim::models {

template <class Object>
class ObjectPool {
 public:
  Object* take() {
    if (free_.empty()) {
      free_.reserve(storage_.size() + 1);  // so that give() never allocates
      return &storage_.emplace_back();
    }
    Object* object = free_.back();
    free_.pop_back();
    return object;
  }
  void give(Object* object) { free_.push_back(object); }
  std::size_t in_use() const { return storage_.size() - free_.size(); }

 private:
  std::deque<Object> storage_;
  std::vector<Object*> free_;
};

}  // namespace nvmesim::models
