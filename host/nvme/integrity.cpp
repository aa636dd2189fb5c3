#include "host/nvme/integrity.hpp"

#include <array>

namespace nvmesim::host {
namespace {

constexpr std::uint16_t kPolynomial = 0x8BB7;

constexpr std::array<std::uint16_t, 256> make_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned i = 0; i < table.size(); ++i) {
    unsigned crc = i << 8;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 0x8000u) != 0 ? crc << 1 ^ kPolynomial : crc << 1;
    table[i] = static_cast<std::uint16_t>(crc);
  }
  return table;
}
constexpr auto kTable = make_table();

template <class Word>
void put(std::span<std::byte> at, Word value) {
  for (std::size_t i = sizeof(Word); i-- > 0; value = static_cast<Word>(value >> 8))
    at[i] = static_cast<std::byte>(value & 0xff);
}
std::uint32_t get(std::span<const std::byte> at) {
  std::uint32_t value = 0;
  for (const std::byte byte : at) value = value << 8 | std::to_integer<std::uint32_t>(byte);
  return value;
}

std::uint32_t reference_of(unsigned type, std::uint64_t lba) {
  return type == 3 ? 0 : static_cast<std::uint32_t>(lba);
}

}  // namespace

std::uint16_t t10_dif_crc(std::span<const std::byte> data) {
  unsigned crc = 0;
  for (const std::byte byte : data)
    crc = (crc << 8 ^ kTable[(crc >> 8 ^ std::to_integer<unsigned>(byte)) & 0xff]) & 0xffff;
  return static_cast<std::uint16_t>(crc);
}

void make_protection(std::span<const std::byte> data, std::uint32_t block_bytes, unsigned type,
                     std::uint64_t lba, std::span<std::byte> tuples) {
  for (std::size_t i = 0; i * block_bytes < data.size(); ++i) {
    const std::span<std::byte> tuple = tuples.subspan(i * kTupleBytes, kTupleBytes);
    put(tuple.first(2), t10_dif_crc(data.subspan(i * block_bytes, block_bytes)));
    put(tuple.subspan(2, 2), std::uint16_t{0});
    put(tuple.subspan(4, 4), reference_of(type, lba + i));
  }
}

bool check_protection(std::span<const std::byte> data, std::uint32_t block_bytes, unsigned type,
                      std::uint64_t lba, std::span<const std::byte> tuples) {
  for (std::size_t i = 0; i * block_bytes < data.size(); ++i) {
    const std::span<const std::byte> tuple = tuples.subspan(i * kTupleBytes, kTupleBytes);
    const std::uint32_t reference = get(tuple.subspan(4, 4));
    const bool escape = get(tuple.subspan(2, 2)) == 0xffff && (type != 3 || reference == ~0u);
    if (escape) continue;
    if (get(tuple.first(2)) != t10_dif_crc(data.subspan(i * block_bytes, block_bytes)))
      return false;
    if (type != 3 && reference != reference_of(type, lba + i)) return false;
  }
  return true;
}

}  // namespace nvmesim::host
