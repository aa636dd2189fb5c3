// Optional parts of a drive, each with a device that has it: what goes over the wire, and what it
// changes for I/O.
#include <algorithm>
#include <cstring>

#include "tests/unit/host/nvme/probe_check.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::BioOp;
using host::BlockStatus;
using host::Generation;

namespace {

using Answer = ScriptedDevice::Answer;
using Script = std::optional<Answer>;

constexpr std::uint32_t kMib = 1 << 20;

void give_streams(ScriptedRig& rig, std::uint16_t count) {
  rig.device.identify.oacs |= 1 << 5;
  rig.device.script = [&rig, count](std::uint16_t qid,
                                    const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 0x1a) {
      const std::array<std::uint16_t, 2> parameters{count, count};
      rig.machine.memory.copy_in(entry.prp1, parameters.data(), sizeof parameters);
    }
    return {};
  };
}

void for_all_extras(Generation generation) {
  RigConfig config = config_of(generation);
  config.driver.opal = config.driver.streams = true;
  config.endpoint.bar0_bytes = 4 * kMib;
  ScriptedRig rig(config);
  rig.device.cap.set(57, 57, 1);
  rig.device.fixed[spec::kRegCmbsz] = 0x200 << 12;   // 2 MiB of 4 KiB, for nothing
  rig.device.fixed[spec::kRegCmbloc] = 0x200 << 12;  // from 2 MiB on
  rig.device.identify.cmic = 1 << 3;
  rig.device.identify.nn = rig.device.identify.mnan = 2;
  rig.device.identify.nanagrpid = rig.device.identify.anagrpmax = 1;
  rig.device.identify.oacs = 1 << 0 | 1 << 8;
  rig.device.identify.hmpre = 1024;
  give_streams(rig, 8);
  Features features;
  features.cmbs = features.cmb = features.ana = features.streams = features.opal = features.dbbuf =
      true;
  features.hmb = 1024;
  check_probe(rig, generation, features);
}

}  // namespace

TEST_CASE("ANA, streams, self-encryption, host memory, shadow doorbells in the order of 5.15") {
  for_all_extras(Generation::v5_15);
}

TEST_CASE("ANA, self-encryption, host memory, shadow doorbells in the order of 6.1") {
  for_all_extras(Generation::v6_1);
}

TEST_CASE("too few streams are switched off again") {
  RigConfig config = config_of(Generation::v5_15);
  config.driver.streams = true;
  ScriptedRig rig(config);
  give_streams(rig, 3);
  std::vector<std::string> directives;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.ctrl().streams() == 0);
  }));
  for (const std::string& line : rig.device.wire)
    if (line.rfind("19", 0) == 0 || line.rfind("1a", 0) == 0) directives.push_back(line);
  CHECK(directives == std::vector<std::string>{"19 nsid ffffffff 0 1", "1a nsid ffffffff 7 101",
                                               "19 nsid ffffffff 0 1"});
}

TEST_CASE("a write hint becomes a stream") {
  RigConfig config = config_of(Generation::v5_15);
  config.driver.streams = true;
  ScriptedRig rig(config);
  give_streams(rig, 8);
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    host::Bio bio;
    bio.op = BioOp::kWrite;
    bio.sectors = 8;
    bio.write_hint = 3;
    bio.buffer = rig.disk().allocate_buffer(4096);
    CHECK(rig.do_io(bio) == BlockStatus::kOk);
    CHECK((rig.device.io.back().entry.cdw12 >> 20 & 15) == 1);
    CHECK(rig.device.io.back().entry.cdw13 >> 16 == 2);
    rig.disk().free_buffer(bio.buffer);
  }));
}

TEST_CASE("data in long pieces goes by SGL, in short ones by PRP, admin commands never by SGL") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.sgls = 1;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.io.clear();
    const host::IoBuffer memory = rig.disk().allocate_buffer(kMib);
    const auto send = [&](std::uint32_t sectors, std::vector<host::IoBuffer> pieces) {
      host::Bio bio;
      bio.sectors = sectors;
      bio.buffer = memory;
      bio.pieces = pieces;
      CHECK(rig.do_io(bio) == BlockStatus::kOk);
      return rig.device.io.back().entry;
    };
    CHECK(send(16, {}).flags == 0);  // two PRPs name it
    const auto single = send(64, {});
    CHECK(single.flags == 0x40);
    CHECK(single.prp1 == memory.address);
    CHECK(single.prp2 == 64 * 512);
    // Two pieces of 32 KiB: a list of two descriptors.
    const host::IoBuffer first{memory.address, 32768};
    const host::IoBuffer second{memory.address + 65536, 32768};
    const auto list = send(128, {first, second});
    CHECK(list.flags == 0x40);
    CHECK(list.prp2 >> 56 == 0x30);
    CHECK((list.prp2 & 0xffff'ffff) == 32);
    // Two of 4 KiB are too short.
    const auto shorter = send(16, {{memory.address, 4096}, {memory.address + 65536, 4096}});
    CHECK(shorter.flags == 0);
    CHECK(shorter.prp2 == memory.address + 65536);
    rig.disk().free_buffer(memory);
    CHECK(rig.dev().pool_blocks_in_use() == 0);
  }));
}

TEST_CASE(
    "requests end where pieces of memory leave the page boundary, and at chunks of the disk") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.ns.noiob = 32;  // 16 KiB
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.io.clear();
    const host::IoBuffer memory = rig.disk().allocate_buffer(kMib);
    host::Bio bio;
    bio.sector = 24;
    bio.sectors = 24;
    bio.buffer = memory;
    CHECK(rig.do_io(bio) == BlockStatus::kOk);
    CHECK(rig.device.io.size() == 2);
    CHECK(rig.device.io[0].entry.cdw12 == 7);
    CHECK(rig.device.io[1].entry.cdw12 == 15);
    rig.device.io.clear();
    // 1 KiB, then a piece elsewhere that begins within a page: two requests.
    const std::vector<host::IoBuffer> pieces{{memory.address, 1024},
                                             {memory.address + 8192 + 512, 3072}};
    bio.sector = 0;
    bio.sectors = 8;
    bio.pieces = pieces;
    CHECK(rig.do_io(bio) == BlockStatus::kOk);
    CHECK(rig.device.io.size() == 2);
    CHECK(rig.device.io[0].entry.cdw12 == 1);
    CHECK(rig.device.io[1].entry.cdw12 == 5);
    CHECK(rig.device.io[1].entry.prp1 == memory.address + 8192 + 512);
    rig.disk().free_buffer(memory);
  }));
}

TEST_CASE("with integrity the host makes protection information and checks what it reads") {
  RigConfig config = config_of(Generation::v5_15);
  config.driver.integrity = true;
  ScriptedRig rig(config);
  rig.device.ns.lbaf[0].ms = 8;
  rig.device.ns.dps = 1;
  std::vector<std::byte> stored(64);
  bool spoil = false;
  rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 || entry.mptr == 0) return {};
    if (entry.opc == 1) {
      rig.machine.memory.copy_out(entry.mptr, stored.data(), 64);
    } else {
      if (spoil) stored[0] ^= std::byte{1};
      rig.machine.memory.copy_in(entry.mptr, stored.data(), 64);
    }
    return {};
  };
  bool live = false;
  REQUIRE(rig.run([&] {
    live = rig.boot();
    host::Bio bio;
    bio.op = BioOp::kWrite;
    bio.sector = 80;
    bio.sectors = 8;
    bio.buffer = rig.disk().allocate_buffer(4096);
    CHECK(rig.do_io(bio) == BlockStatus::kOk);
    const auto entry = rig.device.io.back().entry;
    CHECK((entry.cdw12 >> 26 & 15) == 5);  // check guard and reference tag, no PRACT
    CHECK(entry.cdw14 == 80);
    CHECK(stored[7] == std::byte{80});
    CHECK(stored[15] == std::byte{81});
    bio.op = BioOp::kRead;
    CHECK(rig.do_io(bio) == BlockStatus::kOk);
    spoil = true;
    CHECK(rig.do_io(bio) == BlockStatus::kProtection);
    rig.disk().free_buffer(bio.buffer);
  }));
  CHECK(live);
}

TEST_CASE("threaded interrupts cost one switch more and deliver the same") {
  RigConfig plain = config_of(Generation::v5_15);
  plain.driver.use_threaded_interrupts = true;
  ScriptedRig rig(plain);
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    for (int i = 0; i < 20; ++i) CHECK(rig.read_block() == BlockStatus::kOk);
    CHECK(rig.ctrl().reset_ctrl_sync() == 0);
    CHECK(rig.read_block() == BlockStatus::kOk);
    rig.driver->remove();
  }));
  CHECK(rig.machine.interrupts.handlers_in_use() == 0);
}

TEST_CASE("injected failures come as often as they were asked for") {
  RigConfig config = config_of(Generation::v5_15);
  config.driver.fail_request = "2,100,40,3";
  ScriptedRig rig(config);
  unsigned failed = 0;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    for (int i = 0; i < 60; ++i) failed += rig.read_block() != BlockStatus::kOk;
  }));
  CHECK(failed == 3);
}

namespace {

// Apple's 2005: submission entries 128 bytes apart, one vector, tags shared between the queues,
// command ids that are tags. 6.1 leaves it with one I/O queue.
void is_served_with_wide_entries(Generation generation, std::size_t queues) {
  RigConfig config = config_of(generation);
  config.host.cpus = 4;
  config.endpoint.vendor_id = 0x106b;
  config.endpoint.device_id = 0x2005;
  ScriptedRig rig(config);
  rig.device.io_entry_bytes = 128;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.dev().num_vecs() == 1);
    CHECK(rig.dev().online_queues() == queues + 1);
    for (unsigned i = 0; i < 5; ++i) CHECK(rig.read_block() == host::BlockStatus::kOk);
  }));
  CHECK(rig.device.io.size() >= 6);
  for (const auto& seen : rig.device.io) {
    CHECK(seen.entry.opc == 2);
    CHECK(seen.entry.nsid == 1);
    CHECK(seen.entry.cid >= 32);  // the tags below are reserved
    CHECK(seen.entry.cid < 0x1000);
  }
}

}  // namespace

TEST_CASE("a drive whose submission entries lie 128 bytes apart is served, 5.15") {
  is_served_with_wide_entries(Generation::v5_15, 1);
}

TEST_CASE("a drive whose submission entries lie 128 bytes apart is served, 6.1") {
  is_served_with_wide_entries(Generation::v6_1, 1);
}
