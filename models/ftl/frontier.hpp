// An open superblock: how far it has been written on each die. A program of it is given out for the
// die of a turn (DieOrder); turns that have had all their programs have no room any more. With
// parity the last turn of each row is the row's parity, due as soon as all others have passed it.
#pragma once

#include <cstdint>
#include <vector>

namespace nvmesim::models {

class Frontier {
 public:
  Frontier(std::uint32_t dies, bool parity);

  bool is_open() const { return open_; }
  std::uint32_t superblock() const { return superblock_; }
  // Turns that data is written to.
  std::uint32_t turns() const { return static_cast<std::uint32_t>(rows_.size()); }
  // Programs of data that it can still give out.
  std::uint32_t programs_left() const { return open_ ? left_ : 0; }
  bool has_room(std::uint32_t turn) const {
    return open_ && turn < turns() && rows_[turn] < rows_most_;
  }
  // The first turn with room, going round from the one after the last that was taken.
  std::uint32_t in_turn() const;
  // The one with the most room, the first of them in order.
  std::uint32_t roomiest() const;

  // `rows`: programs of each die.
  void open(std::uint32_t superblock, std::uint32_t rows);
  // The number of the turn's next program in the superblock.
  std::uint32_t take(std::uint32_t turn);
  // Whether a row has become complete; then `program` is that of its parity.
  bool take_parity(std::uint32_t& program);
  // When nothing is left.
  void close() { open_ = false; }

  // For a saved state: programs that each turn has had. restore() is false if that cannot be.
  const std::vector<std::uint32_t>& rows() const { return rows_; }
  bool restore(std::uint32_t superblock, std::uint32_t rows_most, std::vector<std::uint32_t> rows);

 private:
  void count_passed();

  std::uint32_t dies_;
  bool parity_;
  bool open_ = false;
  std::uint32_t superblock_ = 0;
  std::uint32_t rows_most_ = 0;
  std::uint32_t left_ = 0;
  std::uint32_t next_turn_ = 0;
  std::vector<std::uint32_t> rows_;  // by turn
  std::uint32_t parity_row_ = 0;     // the next one that will be complete,
  std::uint32_t passed_ = 0;         // and how many turns have passed it
};

}  // namespace nvmesim::models
