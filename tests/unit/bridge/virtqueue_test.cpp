#include "sim/bridge/virtqueue.hpp"

#include "tests/unit/bridge/peer.hpp"

namespace nvmesim::bridge {
namespace {

constexpr std::uint64_t kBytes = 1 << 20;
constexpr std::uint64_t kUser = 0x4000'0000;  // user address of guest address 0
constexpr std::uint16_t kEntries = 8;
constexpr std::uint64_t kDescriptors = 0x1000;
constexpr std::uint64_t kAvailable = 0x2000;
constexpr std::uint64_t kUsed = 0x3000;

// The driver's side, by hand.
struct Driver {
  Driver() : file(test::memory_file(kBytes)) {
    memory.add({0, kBytes, kUser, 0}, file);
    queue.set_size(kEntries);
    queue.set_addresses(memory, kUser + kDescriptors, kUser + kAvailable, kUser + kUsed);
    queue.enable(true);
  }
  template <class Value>
  void put(std::uint64_t address, Value value) {
    std::memcpy(memory.at_guest(address, sizeof value).data(), &value, sizeof value);
  }
  std::uint32_t get32(std::uint64_t address) {
    std::uint32_t value = 0;
    std::memcpy(&value, memory.at_guest(address, 4).data(), 4);
    return value;
  }
  void describe(unsigned index, std::uint64_t address, std::uint32_t bytes, unsigned flags,
                unsigned next) {
    put<std::uint64_t>(kDescriptors + 16 * index, address);
    put<std::uint32_t>(kDescriptors + 16 * index + 8, bytes);
    put<std::uint16_t>(kDescriptors + 16 * index + 12, static_cast<std::uint16_t>(flags));
    put<std::uint16_t>(kDescriptors + 16 * index + 14, static_cast<std::uint16_t>(next));
  }
  void offer(unsigned head) {
    put<std::uint16_t>(kAvailable + 4 + 2 * (offered % kEntries), static_cast<std::uint16_t>(head));
    put<std::uint16_t>(kAvailable + 2, ++offered);
  }

  Fd file;
  GuestMemory memory;
  Virtqueue queue;
  std::uint16_t offered = 0;
};

constexpr unsigned kNext = 1;
constexpr unsigned kWrite = 2;
constexpr unsigned kIndirect = 4;

TEST_CASE("a chain comes out as its pieces, and goes back with what was written") {
  Driver driver;
  driver.describe(3, 0x8000, 16, kNext, 5);
  driver.describe(5, 0x9000, 8, kNext, 1);
  driver.describe(1, 0xA000, 4, kWrite, 0);
  CHECK_FALSE(driver.queue.has_available());
  CHECK_FALSE(driver.queue.pop(driver.memory));
  driver.offer(3);
  const auto chain = driver.queue.pop(driver.memory);
  REQUIRE(chain);
  CHECK(chain->head == 3);
  REQUIRE(chain->readable.size() == 2);
  CHECK(chain->readable[0].data() == driver.memory.at_guest(0x8000, 16).data());
  CHECK(chain->readable[1].size() == 8);
  REQUIRE(chain->writable.size() == 1);
  CHECK(chain->writable[0].size() == 4);
  CHECK_FALSE(driver.queue.pop(driver.memory));
  driver.queue.push(3, 4);
  CHECK(driver.get32(kUsed) >> 16 == 1);  // idx
  CHECK(driver.get32(kUsed + 4) == 3);
  CHECK(driver.get32(kUsed + 8) == 4);
}

TEST_CASE("a queue goes round, past the end of its 16-bit indexes") {
  Driver driver;
  driver.describe(2, 0x8000, 4, 0, 0);
  for (unsigned i = 0; i < 70'000; ++i) {
    driver.offer(2);
    const auto chain = driver.queue.pop(driver.memory);
    REQUIRE(chain);
    driver.queue.push(chain->head, 0);
  }
  CHECK(driver.get32(kUsed) >> 16 == 70'000 % 65'536);
}

TEST_CASE("a chain that leads nowhere is refused") {
  {
    Driver driver;
    driver.offer(kEntries);  // no such descriptor
    CHECK_THROWS_AS(driver.queue.pop(driver.memory), PeerError);
  }
  {
    Driver driver;
    driver.describe(0, 0x8000, 4, kNext, 1);
    driver.describe(1, 0x8000, 4, kNext, 0);  // a ring
    driver.offer(0);
    CHECK_THROWS_AS(driver.queue.pop(driver.memory), PeerError);
  }
  {
    Driver driver;
    driver.describe(0, 0x8000, 4, kNext, 60'000);
    driver.offer(0);
    CHECK_THROWS_AS(driver.queue.pop(driver.memory), PeerError);
  }
}

TEST_CASE("a descriptor outside of memory, or one that was not negotiated, is refused") {
  const auto refused = [](std::uint64_t address, std::uint32_t bytes, unsigned flags) {
    Driver driver;
    driver.describe(0, address, bytes, flags, 0);
    driver.offer(0);
    CHECK_THROWS_AS(driver.queue.pop(driver.memory), PeerError);
  };
  refused(kBytes - 4, 8, 0);
  refused(~std::uint64_t{0} - 3, 8, kWrite);
  refused(0x8000, 0, 0);
  refused(0x8000, 0xFFFF'FFFF, 0);
  refused(0x8000, 16, kIndirect);
}

TEST_CASE("more available than there are entries is refused") {
  Driver driver;
  driver.put<std::uint16_t>(kAvailable + 2, kEntries + 1);
  CHECK_THROWS_AS(driver.queue.pop(driver.memory), PeerError);
}

TEST_CASE("a queue of a wrong size or place is refused, a disabled one is empty") {
  Driver driver;
  Virtqueue queue;
  CHECK_THROWS_AS(queue.set_addresses(driver.memory, kUser, kUser, kUser), PeerError);
  for (const std::uint32_t size : {0u, 3u, 65'536u, 0xFFFF'FFFFu}) {
    CHECK_THROWS_AS(queue.set_size(size), PeerError);
  }
  queue.set_size(Virtqueue::kMostEntries);
  CHECK_THROWS_AS(queue.set_addresses(driver.memory, kUser + kBytes - 16, kUser, kUser), PeerError);
  CHECK_THROWS_AS(queue.set_addresses(driver.memory, 0, 0, 0), PeerError);
  CHECK_FALSE(queue.has_available());
  driver.describe(0, 0x8000, 4, 0, 0);
  driver.offer(0);
  driver.queue.enable(false);
  CHECK_FALSE(driver.queue.pop(driver.memory));
}

}  // namespace
}  // namespace nvmesim::bridge
