#include "sim/workload/offset_stream.hpp"

namespace nvmesim::workload {

std::uint64_t SequentialOffsets::next(base::Random&) {
  const std::uint64_t block = next_;
  next_ = next_ + 1 == blocks_ ? 0 : next_ + 1;
  return block;
}

std::uint64_t ShuffledOffsets::next(base::Random& random) {
  if (next_ == order_.size()) {
    order_ = Permutation(order_.size(), random);
    next_ = 0;
  }
  return order_.at(next_++);
}

}  // namespace nvmesim::workload
