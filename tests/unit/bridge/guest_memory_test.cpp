#include "sim/bridge/guest_memory.hpp"

#include "tests/unit/bridge/peer.hpp"

namespace nvmesim::bridge {
namespace {

constexpr std::uint64_t kBytes = 64 * 1024;
constexpr std::uint64_t kGuest = 0x10'0000;
constexpr std::uint64_t kUser = 0x6000'0000;

TEST_CASE("guest memory is found by both of its addresses, and the bytes are the file's") {
  const Fd file = test::memory_file(kBytes + 4096);
  GuestMemory memory;
  memory.add({kGuest, kBytes, kUser, 4096}, file);
  const auto by_guest = memory.at_guest(kGuest + 100, 4);
  const auto by_user = memory.at_user(kUser + 100, 4);
  REQUIRE(by_guest.size() == 4);
  REQUIRE(by_user.size() == 4);
  CHECK(by_guest.data() == by_user.data());
  std::memcpy(by_guest.data(), "abcd", 4);
  char text[4];
  REQUIRE(pread(file.get(), text, 4, 4096 + 100) == 4);
  CHECK(std::memcmp(text, "abcd", 4) == 0);
}

TEST_CASE("nothing is found that is not wholly inside of one region") {
  const Fd file = test::memory_file(2 * kBytes);
  GuestMemory memory;
  memory.add({kGuest, kBytes, kUser, 0}, file);
  memory.add({kGuest + kBytes, kBytes, kUser + 2 * kBytes, kBytes}, file);
  CHECK(memory.at_guest(kGuest, kBytes).size() == kBytes);
  CHECK(memory.at_guest(kGuest - 1, 2).empty());
  CHECK(memory.at_guest(kGuest + kBytes - 1, 2).empty());  // two regions, though neighbours
  CHECK(memory.at_guest(kGuest + 2 * kBytes, 1).empty());
  CHECK(memory.at_guest(kGuest + 8, ~std::uint64_t{0} - 4).empty());
  CHECK(memory.at_guest(~std::uint64_t{0}, 8).empty());
  CHECK(memory.at_user(kUser + kBytes, 1).empty());
  CHECK(memory.at_user(0, 1).empty());
}

TEST_CASE("memory that is taken away reads as zeroes, and that is told") {
  const Fd file = test::memory_file(kBytes);
  GuestMemory memory;
  memory.add({kGuest, kBytes, kUser, 0}, file);
  const auto bytes = memory.at_guest(kGuest, kBytes);
  bytes[5000] = std::byte{7};
  CHECK_FALSE(memory.lost());
  REQUIRE(ftruncate(file.get(), 4096) == 0);
  CHECK(bytes[0] == std::byte{0});
  CHECK_FALSE(memory.lost());
  CHECK(bytes[5000] == std::byte{0});
  CHECK(memory.lost());
  bytes[60'000] = std::byte{1};
  CHECK(bytes[60'000] == std::byte{1});
  const Fd other_file = test::memory_file(kBytes);
  GuestMemory other;
  other.add({kGuest, kBytes, kUser, 0}, other_file);
  CHECK_FALSE(other.lost());
  memory.clear();
  CHECK_FALSE(memory.lost());
}

TEST_CASE("a region for which no guard is left is refused, and taken when one is free again") {
  const Fd file = test::memory_file(4096);
  GuestMemory memory;
  const auto region = [](std::uint64_t i) {
    return MemoryRegion{kGuest + 4096 * i, 4096, kUser + 4096 * i, 0};
  };
  constexpr std::uint64_t kSlots = 2 * GuestMemory::kMostRegions;
  {
    GuestMemory another;
    another.add(region(0), file);
    for (std::uint64_t i = 1; i < kSlots; ++i) memory.add(region(i), file);
    CHECK_THROWS_AS(memory.add(region(kSlots), file), PeerError);
    CHECK(memory.at_guest(kGuest + 4096 * kSlots, 1).empty());
  }
  memory.add(region(kSlots), file);
  CHECK(memory.at_guest(kGuest + 4096 * kSlots, 1).size() == 1);
}

TEST_CASE("regions that no memory can have are refused") {
  const Fd file = test::memory_file(kBytes);
  GuestMemory memory;
  const std::uint64_t high = ~std::uint64_t{0} - 4095;
  CHECK_THROWS_AS(memory.add({kGuest, 0, kUser, 0}, file), PeerError);
  CHECK_THROWS_AS(memory.add({kGuest, kBytes + 1, kUser, 0}, file), PeerError);
  CHECK_THROWS_AS(memory.add({kGuest, kBytes, kUser, 4096}, file), PeerError);
  CHECK_THROWS_AS(memory.add({high, kBytes, kUser, 0}, file), PeerError);
  CHECK_THROWS_AS(memory.add({kGuest, kBytes, high, 0}, file), PeerError);
  CHECK_THROWS_AS(memory.add({kGuest, kBytes, kUser, high}, file), PeerError);
  memory.add({kGuest, kBytes, kUser, 0}, file);
  CHECK_THROWS_AS(memory.add({kGuest + kBytes - 1, 16, kUser + kBytes, 0}, file), PeerError);
  CHECK_THROWS_AS(memory.add({kGuest + kBytes, 16, kUser, 0}, file), PeerError);
  memory.clear();
  CHECK(memory.at_guest(kGuest, 1).empty());
}

}  // namespace
}  // namespace nvmesim::bridge
