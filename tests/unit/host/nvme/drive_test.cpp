// The driver against the real controller: bring-up in its order on the wire, data that survives,
// stages that add up.
#include <cstring>

#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/host/nvme/rig.hpp"
#include "tests/unit/host/nvme/wire_order.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::BioOp;
using host::BlockStatus;
using host::Generation;

namespace {

constexpr std::uint32_t kLargest = 1 << 20;

// Sectors of the disk as a test remembers them.
class Reference {
 public:
  void write(host::Disk& disk, const host::IoBuffer& buffer, std::uint64_t sector,
             std::uint32_t sectors, base::Random& random) {
    bytes_.resize(sectors * 512u);
    for (std::uint32_t i = 0; i < sectors; ++i) {
      const std::uint64_t pattern = random.next();
      for (std::uint32_t at = 0; at < 512; at += 8)
        std::memcpy(bytes_.data() + i * 512 + at, &pattern, 8);
      sectors_[sector + i] = pattern;
    }
    disk.write_buffer(buffer, 0, bytes_);
  }
  void zero(std::uint64_t sector, std::uint32_t sectors) {
    for (std::uint32_t i = 0; i < sectors; ++i) sectors_[sector + i] = 0;
  }
  unsigned mismatches(host::Disk& disk, const host::IoBuffer& buffer, std::uint64_t sector,
                      std::uint32_t sectors) {
    bytes_.resize(sectors * 512u);
    disk.read_buffer(buffer, 0, bytes_);
    unsigned wrong = 0;
    for (std::uint32_t i = 0; i < sectors; ++i) {
      const auto found = sectors_.find(sector + i);
      const std::uint64_t wanted = found == sectors_.end() ? 0 : found->second;
      for (std::uint32_t at = 0; at < 512; at += 8)
        wrong += std::memcmp(bytes_.data() + i * 512 + at, &wanted, 8) != 0;
    }
    return wrong;
  }

 private:
  std::map<std::uint64_t, std::uint64_t> sectors_;
  std::vector<std::byte> bytes_;
};

void check_probe(Generation generation) {
  RigConfig config;
  config.driver.generation = generation;
  DriveRig rig(config);
  bool live = false;
  REQUIRE(rig.run([&] { live = rig.boot(); }));
  CHECK(live);
  const auto wire = without_addresses(rig.wire);
  const auto expected = expected_probe(generation, {});
  // The scan of a drive that offers events may have theirs in between.
  std::vector<std::string> plain;
  for (const std::string& line : wire)
    if (line.rfind("09 nsid 0 b", 0) != 0 && line.rfind("0c", 0) != 0) plain.push_back(line);
  CHECK(plain == expected);
  CHECK(rig.driver->list().size() == 1);
  CHECK(rig.driver->list()[0].node == "/dev/nvme0n1");
  CHECK(rig.driver->list()[0].size_bytes == 1 << 30);
}

}  // namespace

TEST_CASE("the real controller is brought up in the order of 5.15") {
  check_probe(Generation::v5_15);
}

TEST_CASE("the real controller is brought up in the order of 6.1") {
  check_probe(Generation::v6_1);
}

TEST_CASE("what is written, discarded and zeroed through the driver is what is read back") {
  DriveRig rig;
  unsigned wrong = 0;
  unsigned failed = 0;
  unsigned gaps = 0;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    host::Disk& disk = rig.disk();
    const host::IoBuffer buffer = disk.allocate_buffer(kLargest);
    base::Random random(7, "drive test");
    Reference reference;
    for (int i = 0; i < 400; ++i) {
      host::Bio bio;
      const std::uint64_t kind = random.below(10);
      bio.sectors = 1 + static_cast<std::uint32_t>(random.below(i % 8 == 0 ? kLargest / 512 : 64));
      bio.sector = random.below(20'000);
      bio.buffer = buffer;
      bio.cpu = host::CpuId(static_cast<std::uint16_t>(random.below(8)));
      bio.fua = random.below(4) == 0;
      if (kind < 4) {
        bio.op = BioOp::kWrite;
        reference.write(disk, buffer, bio.sector, bio.sectors, random);
      } else if (kind < 8) {
        bio.op = BioOp::kRead;
      } else {
        bio.op = kind == 8 ? BioOp::kDiscard : BioOp::kWriteZeroes;
        reference.zero(bio.sector, bio.sectors);
      }
      failed += rig.do_io(bio) != BlockStatus::kOk;
      base::Time sum{0};
      for (std::size_t stage = 0; stage < base::kStageCount; ++stage)
        sum += bio.stages.spent(static_cast<base::Stage>(stage));
      gaps += sum != bio.stages.total() || sum == base::kTimeZero;
      if (bio.op == BioOp::kRead)
        wrong += reference.mismatches(disk, buffer, bio.sector, bio.sectors);
    }
    host::Bio flush;
    flush.op = BioOp::kFlush;
    failed += rig.do_io(flush) != BlockStatus::kOk;
    disk.free_buffer(buffer);
  }));
  CHECK(failed == 0);
  CHECK(wrong == 0);
  CHECK(gaps == 0);
  CHECK(rig.media.flushes >= 1);
  CHECK(rig.media.deallocated_bytes > 0);
}

TEST_CASE("a read has its time in the stages of host, wire and device") {
  DriveRig rig;
  host::Bio bio;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    bio.sectors = 8;
    bio.buffer = rig.disk().allocate_buffer(4096);
    CHECK(rig.do_io(bio) == BlockStatus::kOk);
  }));
  using base::Stage;
  for (const Stage stage : {Stage::kSubmit, Stage::kDoorbell, Stage::kFetch, Stage::kDecode,
                            Stage::kArray, Stage::kData, Stage::kInterrupt}) {
    INFO(base::name(stage));
    CHECK(bio.stages.spent(stage) > base::kTimeZero);
  }
  CHECK(bio.stages.spent(Stage::kArray) == 10us);
}

TEST_CASE("64 requests over all processors end once each, and no tag or page stays taken") {
  DriveRig rig;
  struct Counter {
    unsigned ended = 0;
    void count() { ++ended; }
  } counter;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    std::vector<host::Bio> bios(64);
    for (std::size_t i = 0; i < bios.size(); ++i) {
      bios[i].op = i % 3 == 0 ? BioOp::kWrite : BioOp::kRead;
      bios[i].sector = 64 * i;
      bios[i].sectors = 64;
      bios[i].cpu = host::CpuId(static_cast<std::uint16_t>(i % 8));
      bios[i].buffer = rig.disk().allocate_buffer(64 * 512);
      bios[i].done = base::Callback::of<&Counter::count>(&counter);
      rig.disk().submit(bios[i]);
    }
    rig.machine.threads.msleep(100);
    for (host::Bio& bio : bios) rig.disk().free_buffer(bio.buffer);
    CHECK(rig.ctrl().tagset->tags_in_use() == 0);
    rig.driver->remove();
  }));
  CHECK(counter.ended == 64);
  CHECK(rig.machine.pages.coherent_bytes_in_use() == 0);
  CHECK(rig.io.size() == 65);
}
