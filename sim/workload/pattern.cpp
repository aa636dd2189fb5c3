#include "sim/workload/pattern.hpp"

#include <algorithm>
#include <array>
#include <boost/endian/conversion.hpp>
#include <cstring>

#include "host/block/bio.hpp"

namespace nvmesim::workload {
namespace {

constexpr std::uint64_t kMagic = 0x59464952'4556534e;  // "NSVERIFY"
constexpr std::size_t kWords = host::kSectorBytes / 8;
constexpr std::size_t kHeaderWords = 4;
constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15;  // odd, so that no two words are alike

using SectorWords = std::array<std::uint64_t, kWords>;

std::uint64_t check_value(std::uint64_t sector, std::uint64_t version) {
  std::uint64_t mixed = (sector + 1) * 0xbf58476d1ce4e5b9 + version * 0x94d049bb133111eb;
  mixed ^= mixed >> 29;
  mixed *= 0xd6e8feb86659fd93;
  return mixed ^ (mixed >> 32);
}

SectorWords pattern_of(std::uint64_t sector, std::uint64_t version) {
  SectorWords words;
  const std::uint64_t check = check_value(sector, version);
  words[0] = boost::endian::native_to_little(kMagic);
  words[1] = boost::endian::native_to_little(sector);
  words[2] = boost::endian::native_to_little(version);
  words[3] = boost::endian::native_to_little(check);
  for (std::size_t i = kHeaderWords; i < kWords; ++i) {
    words[i] = boost::endian::native_to_little(check + i * kStep);
  }
  return words;
}

}  // namespace

void fill_pattern(std::span<std::byte> data, std::uint64_t sector, std::uint64_t version) {
  for (std::size_t at = 0; at + host::kSectorBytes <= data.size(); at += host::kSectorBytes) {
    const SectorWords words = pattern_of(sector++, version);
    std::memcpy(data.data() + at, words.data(), host::kSectorBytes);
  }
}

SectorFound inspect_sector(std::span<const std::byte> data) {
  SectorWords words;
  std::memcpy(words.data(), data.data(), host::kSectorBytes);
  if (words[0] != boost::endian::native_to_little(kMagic)) {
    const bool zero = std::all_of(words.begin(), words.end(), [](auto word) { return word == 0; });
    return {zero ? SectorContent::kZeroes : SectorContent::kForeign, 0, 0};
  }
  SectorFound found{SectorContent::kPattern, boost::endian::little_to_native(words[1]),
                    boost::endian::little_to_native(words[2])};
  if (words != pattern_of(found.sector, found.version)) found.content = SectorContent::kDamaged;
  return found;
}

}  // namespace nvmesim::workload
