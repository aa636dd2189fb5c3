#include "models/ftl/frontier.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/assert.hpp"

namespace nvmesim::models {

Frontier::Frontier(std::uint32_t dies, bool parity)
    : dies_(dies), parity_(parity), rows_(parity ? dies - 1 : dies) {}

void Frontier::open(std::uint32_t superblock, std::uint32_t rows) {
  open_ = true;
  superblock_ = superblock;
  rows_most_ = rows;
  left_ = rows * turns();
  next_turn_ = 0;
  std::fill(rows_.begin(), rows_.end(), 0);
  parity_row_ = 0;
  passed_ = 0;
}

std::uint32_t Frontier::in_turn() const {
  std::uint32_t turn = next_turn_;
  while (rows_[turn] == rows_most_) turn = turn + 1 == turns() ? 0 : turn + 1;
  return turn;
}

std::uint32_t Frontier::roomiest() const {
  return static_cast<std::uint32_t>(std::min_element(rows_.begin(), rows_.end()) - rows_.begin());
}

std::uint32_t Frontier::take(std::uint32_t turn) {
  NVMESIM_ASSERT(has_room(turn), "a program was asked for on a die that has no room");
  const std::uint32_t row = rows_[turn]++;
  if (row == parity_row_) ++passed_;
  --left_;
  next_turn_ = turn + 1 == turns() ? 0 : turn + 1;
  return row * dies_ + turn;
}

bool Frontier::take_parity(std::uint32_t& program) {
  if (!parity_ || passed_ < turns()) return false;
  program = parity_row_++ * dies_ + turns();
  count_passed();
  return true;
}

void Frontier::count_passed() {
  passed_ = static_cast<std::uint32_t>(
      std::count_if(rows_.begin(), rows_.end(), [this](auto row) { return row > parity_row_; }));
}

bool Frontier::restore(std::uint32_t superblock, std::uint32_t rows_most,
                       std::vector<std::uint32_t> rows) {
  open(superblock, rows_most);
  for (const std::uint32_t row : rows) {
    if (row > rows_most) return false;
    left_ -= row;
  }
  rows_ = std::move(rows);
  parity_row_ = *std::min_element(rows_.begin(), rows_.end());
  count_passed();
  const auto behind = std::find(rows_.begin(), rows_.end(), parity_row_);
  next_turn_ = static_cast<std::uint32_t>(behind - rows_.begin());
  return left_ > 0;
}

}  // namespace nvmesim::models
