#include "pcie/bit_errors.hpp"

namespace nvmesim::pcie {

BitErrors::BitErrors(std::uint64_t rate, base::Random random) : random_(random) {
  if (rate == 0) return;
  enabled_ = true;
  log2_good_ =
      base::log2(base::Fixed(1) - base::Fixed::ratio(static_cast<std::int64_t>(rate), kPetabit));
  draw();
}

// P(more than n good bits) = good^n, so n = floor(log(U) / log(good)) with U uniform in (0, 1].
void BitErrors::draw() {
  const base::Fixed uniform = base::Fixed::from_raw(base::Fixed::Raw{random_.next()} + 1);
  // At most 64 / 1.44e-15 bits, which fits.
  good_bits_ = static_cast<std::uint64_t>((base::log2(uniform) / log2_good_).floor());
}

std::uint64_t BitErrors::count(std::uint64_t bits) {
  std::uint64_t wrong = 0;
  while (bits > good_bits_) {
    bits -= good_bits_ + 1;
    ++wrong;
    draw();
  }
  good_bits_ -= bits;
  return wrong;
}

}  // namespace nvmesim::pcie
