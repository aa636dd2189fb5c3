// Chunks of the host memory buffer, pages of the controller memory buffer, descriptors of SGLs,
// protection information, event indexes, quirks: each by itself.
#include <cstring>

#include "host/nvme/cmb.hpp"
#include "host/nvme/fail_request.hpp"
#include "host/nvme/host_memory_buffer.hpp"
#include "host/nvme/integrity.hpp"
#include "host/nvme/queue.hpp"
#include "host/nvme/quirks.hpp"
#include "host/nvme/sgl.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::host;

namespace {

constexpr std::uint64_t kMib = 1 << 20;

struct SmallHost {
  explicit SmallHost(std::uint64_t bytes) : scheduler("scheduler"), config(with(bytes)) {
    machine = std::make_unique<Memory>("memory", config, scheduler);
    memory = std::make_unique<PhysicalMemory>(bytes);
    memory->attach(*machine);
    pages = std::make_unique<PageAllocator>(*memory);
  }
  static HostConfig with(std::uint64_t bytes) {
    HostConfig config;
    config.memory_bytes = bytes;
    return config;
  }
  base::Scheduler scheduler;
  HostConfig config;
  std::unique_ptr<Memory> machine;
  std::unique_ptr<PhysicalMemory> memory;
  std::unique_ptr<PageAllocator> pages;
};

}  // namespace

TEST_CASE("host memory comes in chunks of 4 MiB, the last one shorter") {
  SmallHost host(256 * kMib);
  HostMemoryBuffer buffer(*host.pages, *host.memory);
  REQUIRE(buffer.allocate({.preferred = 10 * kMib, .minimum = kMib}));
  CHECK(buffer.bytes() == 10 * kMib);
  REQUIRE(buffer.count() == 3);
  CHECK(buffer.chunks()[2].bytes == 2 * kMib);
  for (unsigned i = 0; i < 3; ++i) {
    CHECK(host.memory->load<std::uint64_t>(buffer.descriptors() + 16 * i) ==
          buffer.chunks()[i].address);
    CHECK(host.memory->load<std::uint32_t>(buffer.descriptors() + 16 * i + 8) ==
          buffer.chunks()[i].bytes / 4096);
  }
  buffer.release();
  CHECK(host.pages->pages_in_use() == 0);
}

TEST_CASE("host memory stays within the number of descriptors, if that is enough") {
  SmallHost host(256 * kMib);
  HostMemoryBuffer buffer(*host.pages, *host.memory);
  REQUIRE(buffer.allocate({.preferred = 64 * kMib, .minimum = 8 * kMib, .most_chunks = 4}));
  CHECK(buffer.bytes() == 16 * kMib);
  HostMemoryBuffer other(*host.pages, *host.memory);
  CHECK_FALSE(other.allocate({.preferred = 64 * kMib, .minimum = 32 * kMib, .most_chunks = 4}));
  CHECK(other.bytes() == 0);
}

TEST_CASE("when memory is in pieces, chunks are halved until they fit") {
  SmallHost host(32 * kMib);
  // Every second MiB is taken.
  std::vector<DmaMemory> taken;
  for (int i = 0; i < 31; ++i) taken.push_back(host.pages->allocate_range(kMib));
  for (std::size_t i = 0; i < taken.size(); i += 2) host.pages->free_range(taken[i]);
  HostMemoryBuffer buffer(*host.pages, *host.memory);
  REQUIRE(buffer.allocate({.preferred = 6 * kMib, .minimum = 6 * kMib}));
  CHECK(buffer.bytes() == 6 * kMib);
  CHECK(buffer.chunks().front().bytes <= kMib);
  HostMemoryBuffer coarse(*host.pages, *host.memory);
  CHECK_FALSE(
      coarse.allocate({.preferred = 8 * kMib, .minimum = 8 * kMib, .smallest_chunk = 2 * kMib}));
}

TEST_CASE("pages of the controller memory buffer are given out lowest first and come back") {
  ControllerMemory cmb;
  cmb.set(0x1000'0000, 64 * 1024);
  const std::uint64_t first = cmb.allocate(5000);
  CHECK(first == 0x1000'0000);
  CHECK(cmb.allocate(4096) == 0x1000'2000);
  cmb.free(first);
  CHECK(cmb.allocate(12288) == 0x1000'3000);
  CHECK(cmb.allocate(8192) == 0x1000'0000);
  CHECK(cmb.allocate(64 * 1024) == 0);
}

TEST_CASE("queues in a controller memory buffer are as deep as an equal share in pages allows") {
  ControllerMemory cmb;
  cmb.set(0x1000'0000, 256 * 1024);
  CHECK(cmb.queue_depth(4, 1024, 64) == 1024);
  CHECK(cmb.queue_depth(5, 1024, 64) == 768);  // 51.2 KiB, in pages 48
  CHECK(cmb.queue_depth(64, 1024, 64) == 64);
  CHECK(cmb.queue_depth(65, 1024, 64) == 0);
}

TEST_CASE("an SGL of one piece is in the command, of more in a pool by their number") {
  SmallHost host(64 * kMib);
  SglMapper mapper(*host.pages, *host.memory);
  SglMapping mapping;
  std::vector<DataSegment> segments{{0x10000, 4096}};
  REQUIRE(mapper.map(segments, mapping));
  CHECK(mapping.in_command.address == 0x10000);
  CHECK(mapping.in_command.type == 0);
  CHECK(mapper.lists_in_use() == 0);
  for (unsigned i = 1; i < 17; ++i) segments.push_back({0x10000 + 0x10000ull * i, 512 * i});
  mapping = {};
  REQUIRE(mapper.map(std::span(segments).first(16), mapping));
  CHECK(mapping.small);
  CHECK(mapping.in_command.bytes == 256);
  CHECK(mapping.in_command.type == 0x30);
  CHECK(host.memory->load<SglDescriptor>(mapping.list + 16 * 15).bytes == 512 * 15);
  mapper.unmap(mapping);
  REQUIRE(mapper.map(segments, mapping));
  CHECK_FALSE(mapping.small);
  mapper.unmap(mapping);
  CHECK(mapper.lists_in_use() == 0);
}

// Check value of CRC-16/T10-DIF over "123456789" in the catalogue of parametrised CRC algorithms.
TEST_CASE("the guard is the CRC of T10 DIF") {
  const char* text = "123456789";
  CHECK(t10_dif_crc(std::as_bytes(std::span(text, 9))) == 0xD0DB);
}

TEST_CASE("protection information fits what it was made for and nothing else") {
  std::vector<std::byte> data(4096);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7 % 251);
  std::vector<std::byte> tuples(64);
  make_protection(data, 512, 1, 1000, tuples);
  CHECK(check_protection(data, 512, 1, 1000, tuples));
  CHECK_FALSE(check_protection(data, 512, 1, 1001, tuples));
  CHECK(check_protection(data, 512, 3, 1001, tuples));
  data[513] ^= std::byte{1};
  CHECK_FALSE(check_protection(data, 512, 1, 1000, tuples));
  tuples[8 + 2] = tuples[8 + 3] = std::byte{0xff};  // the escape of that block
  CHECK(check_protection(data, 512, 1, 1000, tuples));
}

TEST_CASE("a doorbell is told exactly when it passes the event index, also around its end") {
  for (unsigned before : {0u, 5u, 65530u, 65535u}) {
    for (unsigned step = 1; step <= 20; ++step) {
      const auto now = static_cast<std::uint16_t>(before + step);
      for (unsigned ahead = 0; ahead < 40; ++ahead) {
        const auto event = static_cast<std::uint16_t>(before + ahead);
        CHECK(passes_event(event, now, static_cast<std::uint16_t>(before)) == (ahead < step));
      }
    }
  }
}

TEST_CASE("drives of the quirk table have their oddities, others none") {
  CHECK(quirks_of(0x8086, 0x0953, false).stripe_size);
  CHECK(quirks_of(0x8086, 0x0a54, false).ignore_subnqn);
  CHECK(quirks_of(0x8086, 0xf1a5, false).medium_priority_queues);
  CHECK(quirks_of(0x8086, 0x5845, false).identify_cns);
  CHECK(quirks_of(0x1bb1, 0x0100, false).delay_before_check_ready);
  CHECK(quirks_of(0x144d, 0xa822, false).disable_write_zeroes);
  CHECK(quirks_of(0x106b, 0x2005, false).shared_tags);
  CHECK(quirks_of(0x106b, 0x2005, false).sqes_128);
  CHECK(quirks_of(0x2646, 0x2263, false).no_deepest_power_state);
  CHECK_FALSE(quirks_of(0x1b36, 0x0010, false).bogus_ids);
  CHECK(quirks_of(0x1b36, 0x0010, true).bogus_ids);
  CHECK_FALSE(quirks_of(0x8086, 0x0b60, true).bogus_ids);
  Quirks quirks;
  add_core_quirks(0x14a4, "", "22301111", false, quirks);
  CHECK(quirks.simple_suspend);
  add_core_quirks(0x1e0f, "KCD6XVUL6T40", "", false, quirks);
  CHECK_FALSE(quirks.no_apst);
  add_core_quirks(0x1e0f, "KCD6XVUL6T40", "", true, quirks);
  CHECK(quirks.no_apst);
}

TEST_CASE("the parameter of injected failures is four numbers or a user's mistake") {
  CHECK_THROWS_AS(FailRequest("1,2,3", "test"), base::UserError);
  CHECK_THROWS_AS(FailRequest("1,2,3,4,", "test"), base::UserError);
  CHECK_THROWS_AS(FailRequest("1,x,3,4", "test"), base::UserError);
  CHECK_THROWS_AS(FailRequest("-1,2,3,4", "test"), base::UserError);
  FailRequest none("", "test");
  CHECK_FALSE(none.armed());
  FailRequest third("3,100,2,2", "test");
  std::string pattern;
  for (int i = 0; i < 12; ++i) pattern += third.should_fail() ? 'x' : '.';
  CHECK(pattern == "....x..x....");
  FailRequest always("1,100,0,-1", "test");
  for (int i = 0; i < 100; ++i) CHECK(always.should_fail());
}
