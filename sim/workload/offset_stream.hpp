// Where the next I/O of a job goes: in order, each block once in random order (fio's random map),
// uniformly at random, or by zipf. Blocks are numbered from 0 within the job's region.
#pragma once

#include <cstdint>
#include <memory>

#include "sim/base/random.hpp"
#include "sim/workload/permutation.hpp"
#include "sim/workload/zipf.hpp"

namespace nvmesim::workload {

class OffsetStream {
 public:
  virtual ~OffsetStream() = default;
  virtual std::uint64_t next(base::Random& random) = 0;
};

// From 0 up to the end, and again.
class SequentialOffsets final : public OffsetStream {
 public:
  explicit SequentialOffsets(std::uint64_t blocks) : blocks_(blocks) {}
  std::uint64_t next(base::Random& random) override;

 private:
  std::uint64_t blocks_;
  std::uint64_t next_ = 0;
};

// Every block once before any comes again; then in a new order.
class ShuffledOffsets final : public OffsetStream {
 public:
  ShuffledOffsets(std::uint64_t blocks, base::Random& random) : order_(blocks, random) {}
  std::uint64_t next(base::Random& random) override;

 private:
  Permutation order_;
  std::uint64_t next_ = 0;
};

class UniformOffsets final : public OffsetStream {
 public:
  explicit UniformOffsets(std::uint64_t blocks) : blocks_(blocks) {}
  std::uint64_t next(base::Random& random) override { return random.below(blocks_); }

 private:
  std::uint64_t blocks_;
};

// The popular blocks lie scattered over the region.
class ZipfOffsets final : public OffsetStream {
 public:
  ZipfOffsets(std::uint64_t blocks, base::Fixed theta, base::Random& random)
      : zipf_(blocks, theta), place_(blocks, random) {}
  std::uint64_t next(base::Random& random) override { return place_.at(zipf_.draw(random)); }

 private:
  Zipf zipf_;
  Permutation place_;
};

}  // namespace nvmesim::workload
