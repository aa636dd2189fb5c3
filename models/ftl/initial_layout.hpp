// What lies on the drive before the first command: which units are where, which places are valid
// and which superblocks are closed, computed on demand and never stored.
//
// none: the units were written once, in order, onto an empty drive. sequential: they were written
// in order over and over, so the superblocks in front hold nothing valid any more. random: the
// drive has been overwritten at random until it is in its steady state.
//
// Random, in closed form. With uniform writes over U units a unit of age a (in writes per unit) is
// still valid with probability e^-a. In the steady state superblocks are closed at an even rate,
// live for T and are collected; those B that are closed hold all units, so
// alpha (1 - e^-T) / T = 1 with alpha = B S / U. The i-th oldest is valid to e^-T(B-1-i+1/2)/B.
// Which units those are is a keyed permutation; so is where they lie in the superblock.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <vector>

#include "models/ftl/bijection.hpp"
#include "models/ftl/deal.hpp"
#include "models/nand/geometry.hpp"
#include "models/state/state_io.hpp"

namespace nvmesim::models {

enum class Precondition : std::uint8_t { none, sequential, random };
BOOST_DESCRIBE_ENUM(Precondition, none, sequential, random)

class InitialLayout {
 public:
  static constexpr std::uint64_t kNoUnit = ~std::uint64_t{0};

  // `units` of the host hold data, from unit 0; so do the pages of the mapping table that name
  // them, if pages of it are units. `kept_free`: superblocks that collection leaves free in the
  // steady state. `deal`: what was written in order was dealt so.
  InitialLayout(const Geometry& geometry, Precondition kind, std::uint64_t units,
                std::uint32_t kept_free, Deal deal, std::uint64_t seed);

  std::uint64_t units() const { return units_; }  // with pages of the table
  std::uint64_t pages() const { return units_ - host_; }
  bool holds(std::uint64_t unit) const {
    return unit < host_ || (unit >= geometry_->host_units && unit - pages_from() < units_);
  }
  // For units that it holds.
  Place place_of(std::uint64_t unit) const;
  // The unit that was last written to the place, valid or not; kNoUnit if it was never written.
  std::uint64_t record(Place place) const;
  bool valid(Place place) const;
  bool closed(std::uint32_t superblock) const { return superblock < closed_; }
  std::uint32_t valid_in(std::uint32_t superblock) const;
  // Units n .. n+63 of the host lie side by side, if n is a multiple of 64 and superblocks are,
  // too.
  std::uint64_t host_units() const { return host_; }
  bool contiguous() const { return kind_ != Precondition::random && in_place(); }
  // Neighbouring units lie anywhere.
  bool scattered() const { return kind_ == Precondition::random; }

  void save(StateWriter& out) const;
  static InitialLayout load(const Geometry& geometry, StateReader& in);

  // T of the random steady state, times 2^32; alpha as a fraction. For tests and tools.
  static std::uint64_t lifetime_q32(std::uint64_t physical, std::uint64_t logical);

 private:
  void count_random(std::uint32_t blocks);
  // Units that hold data are numbered without a gap: those of the host, then pages of the table.
  std::uint64_t pages_from() const { return geometry_->host_units - host_; }
  std::uint64_t dense(std::uint64_t unit) const {
    return unit < host_ ? unit : unit - pages_from();
  }
  std::uint64_t unit_of(std::uint64_t dense) const {
    return dense < host_ ? dense : dense + pages_from();
  }
  // Number of a data place within its superblock, not counting parity; and back.
  std::uint64_t data_offset(std::uint64_t offset) const;
  std::uint64_t offset_of(std::uint64_t data_offset) const;
  bool is_parity(std::uint64_t offset) const;
  // Where the unit that was the so manieth written to a superblock lies; and back.
  std::uint64_t dealt(std::uint64_t written) const;
  std::uint64_t written(std::uint64_t data_offset) const;
  Deal deal_for(std::uint64_t first_program) const;
  // Whether dealing leaves everything where it would be without, or nothing was dealt.
  bool in_place() const {
    return units_ == 0 || (deal_.inner == 1 && (deal_.outer == 1 || geometry_->program_rows == 1));
  }

  const Geometry* geometry_;
  Precondition kind_;
  std::uint64_t host_;  // units of the host that hold data
  std::uint64_t units_;
  std::uint32_t kept_free_;
  Deal deal_;
  std::uint64_t seed_;
  std::uint32_t closed_ = 0;           // superblocks in front that are written
  std::uint32_t first_valid_ = 0;      // sequential: the first of them that holds valid units
  std::vector<std::uint64_t> before_;  // random: valid units in the superblocks before
  Bijection unit_order_;
  Bijection place_order_;
};

}  // namespace nvmesim::models
