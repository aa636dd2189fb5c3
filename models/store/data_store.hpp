// The bytes of every logical unit, held by the unit's number: what the medium would return if it
// were read now. A unit without data reads as zeroes. Buffers are shared and never changed in
// place: a writer brings a new one, readers keep the old one.
#pragma once

#include <array>
#include <cstdint>

#include "models/media_points.hpp"
#include "models/state/state_io.hpp"
#include "models/store/sparse_array.hpp"
#include "sim/base/buffer.hpp"

namespace nvmesim::models {

class DataStore {
 public:
  // With keep_data false every unit reads as empty and nothing is kept. With keep_spare buffers
  // have a spare area (models/spare.hpp).
  DataStore(std::uint64_t units, bool keep_data, bool keep_spare, MediaPoints& points);

  bool keep_data() const { return keep_data_; }
  bool keep_spare() const { return pool_.buffer_bytes() > kUnitBytes; }
  // A buffer for new data; empty when no data is kept.
  base::BufferRef take_buffer() { return keep_data_ ? pool_.take() : base::BufferRef{}; }
  // The buffer `old` (may be empty: zeroes) with `bytes` of `from` (the same) in their place, and
  // what the spare area says of them.
  base::BufferRef merged(const base::BufferRef& old, const base::BufferRef& from,
                         std::uint32_t offset, std::uint32_t bytes);

  base::BufferRef read(UnitId unit);
  void write(UnitId unit, const base::BufferRef& data);
  // Units [first, first + count) have no data any more.
  void clear(std::uint64_t first, std::uint64_t count);

  // All units with data, in order. Loading without keep_data reads over them.
  void save(StateWriter& out) const;
  void load(std::uint64_t units, StateReader& in);

  std::uint64_t units_kept() const { return units_kept_; }

 private:
  struct Leaf {
    std::array<base::BufferRef, 64> units;
  };

  std::uint64_t units_;
  bool keep_data_;
  MediaPoints& points_;
  base::BufferPool pool_;
  SparseArray<Leaf> leaves_;
  std::uint64_t units_kept_ = 0;
};

}  // namespace nvmesim::models
