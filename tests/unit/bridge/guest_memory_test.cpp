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
  CHECK_FALSE(GuestMemory::lost());
  REQUIRE(ftruncate(file.get(), 4096) == 0);
  CHECK(bytes[0] == std::byte{0});
  CHECK_FALSE(GuestMemory::lost());
  CHECK(bytes[5000] == std::byte{0});
  CHECK(GuestMemory::lost());
  bytes[60'000] = std::byte{1};
  CHECK(bytes[60'000] == std::byte{1});
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
