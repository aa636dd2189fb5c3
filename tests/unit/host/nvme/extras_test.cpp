// Optional parts of a drive, each with a device that has it: what goes over the wire, and what it
// changes for I/O.
#include <algorithm>
#include <cstring>

#include "tests/support/catch.hpp"
#include "tests/unit/host/nvme/rig.hpp"
#include "tests/unit/host/nvme/wire_order.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::BioOp;
using host::BlockStatus;
using host::Generation;

namespace {

using Answer = ScriptedDevice::Answer;
using Script = std::optional<Answer>;

constexpr std::uint32_t kMib = 1 << 20;

RigConfig config_of(Generation generation) {
  RigConfig config;
  config.driver.generation = generation;
  return config;
}

void check_probe(ScriptedRig& rig, Generation generation, const Features& features) {
  bool live = false;
  REQUIRE(rig.run([&] { live = rig.boot(); }));
  CHECK(live);
  CHECK(without_addresses(rig.device.wire) == expected_probe(generation, features));
  CHECK(rig.driver->disks().size() == 1);
}

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

TEST_CASE("the host memory buffer is lent, lent again after a reset, and given back at removal") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.hmpre = 3 * 1024;  // 12 MiB
  rig.device.identify.hmmin = 1024;
  std::vector<spec::SubmissionEntry> features;
  rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 9 && entry.cdw10 == 0xd) features.push_back(entry);
    return {};
  };
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.dev().host_memory()->bytes() == 12 * kMib);
    CHECK(rig.dev().host_memory()->count() == 3);
    CHECK(rig.ctrl().reset_ctrl_sync() == 0);
    CHECK(rig.dev().set_host_memory(false) == 0);
    CHECK(rig.dev().host_memory() == nullptr);
    rig.driver->remove();
  }));
  REQUIRE(features.size() == 3);
  CHECK(features[0].cdw11 == 1);
  CHECK(features[0].cdw12 == 3 * 1024);
  CHECK(features[0].cdw15 == 3);
  CHECK(features[1].cdw11 == 3);  // the same memory returns
  CHECK(features[1].cdw13 == features[0].cdw13);
  CHECK(features[2].cdw11 == 0);
  CHECK(rig.machine.pages.coherent_bytes_in_use() == 0);
  CHECK(rig.machine.pages.pages_in_use() == 0);
}

TEST_CASE("a host memory buffer whose minimum is above the limit is not lent") {
  RigConfig config = config_of(Generation::v5_15);
  config.driver.max_host_mem_size_mb = 8;
  ScriptedRig rig(config);
  rig.device.identify.hmpre = rig.device.identify.hmmin = 4096;
  check_probe(rig, Generation::v5_15, {});
  CHECK(rig.logged("min host memory (16 MiB) above limit (8 MiB)."));
}

TEST_CASE("a host without memory for the buffer goes on without") {
  RigConfig config = config_of(Generation::v5_15);
  config.host.memory_bytes = 64 * kMib;
  ScriptedRig rig(config);
  rig.device.identify.hmpre = rig.device.identify.hmmin = 25'000;  // 98 MiB
  check_probe(rig, Generation::v5_15, {});
  CHECK(rig.logged("failed to allocate host memory buffer."));
}

TEST_CASE("a drive that refuses the host memory buffer is used without, and the memory freed") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.hmpre = 1024;
  rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 9 && entry.cdw10 == 0xd) return Answer{.status = 6};
    return {};
  };
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.dev().host_memory() == nullptr);
    CHECK(rig.read_block() == BlockStatus::kOk);
  }));
  CHECK(rig.logged("failed to set host mem (err 6, flags 0x1)."));
}

TEST_CASE("submission queues lie in the controller memory buffer, as deep as fits") {
  RigConfig config = config_of(Generation::v5_15);
  config.endpoint.bar0_bytes = 4 * kMib;
  ScriptedRig rig(config);
  rig.device.cap.set(57, 57, 1);
  rig.device.cmb_offset = 2 * kMib;
  rig.device.cmb_address = 0xC000'0000 + 2 * kMib;
  rig.device.fixed[spec::kRegCmbsz] = 0x40 << 12 | 1;  // 256 KiB: 32 KiB for each of 8 queues
  rig.device.fixed[spec::kRegCmbloc] = 0x200 << 12;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.dev().queue_depth() == 512);
    CHECK(rig.dev().queue(1)->in_controller_memory());
    CHECK(rig.dev().controller_memory().in_use() == 256 * 1024);
    CHECK(rig.read_block() == BlockStatus::kOk);
    CHECK(rig.device.cmb_fetches >= 2);
    CHECK(rig.ctrl().reset_ctrl_sync() == 0);
    CHECK(rig.read_block() == BlockStatus::kOk);
    rig.driver->remove();
    CHECK(rig.dev().controller_memory().in_use() == 0);
  }));
}

TEST_CASE("a controller memory buffer that is too small for queues is not used for them") {
  RigConfig config = config_of(Generation::v5_15);
  config.endpoint.bar0_bytes = 4 * kMib;
  ScriptedRig rig(config);
  rig.device.fixed[spec::kRegCmbsz] = 0x4 << 12 | 1;  // 16 KiB
  rig.device.fixed[spec::kRegCmbloc] = 0x200 << 12;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK_FALSE(rig.dev().queue(1)->in_controller_memory());
    CHECK(rig.dev().queue_depth() == 1024);
  }));
}

TEST_CASE("a controller memory buffer beyond its BAR is ignored, a longer one clamped") {
  RigConfig config = config_of(Generation::v5_15);
  config.endpoint.bar0_bytes = 4 * kMib;
  ScriptedRig rig(config);
  rig.device.fixed[spec::kRegCmbsz] = 0x1000 << 12;  // 16 MiB
  rig.device.fixed[spec::kRegCmbloc] = 0x300 << 12;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.dev().controller_memory().bytes() == kMib);
  }));
}

TEST_CASE("in 6.1 a misaligned controller memory buffer is switched off again") {
  RigConfig config = config_of(Generation::v6_1);
  config.endpoint.bar0_bytes = 4 * kMib;
  ScriptedRig rig(config);
  rig.device.cap.set(57, 57, 1);
  rig.device.fixed[spec::kRegCmbsz] = 0x100 << 12;
  rig.device.fixed[spec::kRegCmbloc] = 0x300 << 12;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.dev().controller_memory().bytes() == 0);
  }));
  CHECK(rig.logged("failed to register the CMB"));
}

TEST_CASE("with shadow doorbells the register is written only when the event index asks for it") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.oacs = 1 << 8;
  std::uint64_t shadow = 0;
  std::uint64_t events = 0;
  // A head that was written before may still be on its way: only tails are counted.
  const auto tails = [&rig] {
    return std::count_if(rig.device.bells.begin(), rig.device.bells.end(),
                         [](const auto& bell) { return !bell.completion; });
  };
  rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 0x7c) {
      shadow = entry.prp1;
      events = entry.prp2;
    }
    return {};
  };
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.bells.clear();
    // An event index just behind the tail: the next one is told.
    const std::uint32_t tail = rig.machine.memory.load<std::uint32_t>(shadow + 8);
    rig.machine.memory.store(events + 8, tail);
    rig.machine.memory.store(events + 12, std::uint32_t{0x7000});  // heads are not wanted
    CHECK(rig.read_block() == BlockStatus::kOk);
    CHECK(tails() == 1);
    // One far away: the shadow alone gets it, and the drive looks there by itself.
    rig.machine.memory.store(events + 8, std::uint32_t{0x7000});
    rig.machine.threads.spawn("drive", [&] {
      rig.machine.threads.msleep(1);
      rig.device.poll_shadow(1, rig.machine.memory.load<std::uint32_t>(shadow + 8));
    });
    CHECK(rig.read_block() == BlockStatus::kOk);
    CHECK(tails() == 1);
    CHECK(rig.machine.memory.load<std::uint32_t>(shadow + 8) == tail + 2);
  }));
}

TEST_CASE("a drive that refuses shadow doorbells is rung as ever") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.oacs = 1 << 8;
  rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 0x7c) return Answer{.status = 1};
    return {};
  };
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.bells.clear();
    CHECK(rig.read_block() == BlockStatus::kOk);
    CHECK(rig.device.bells.size() >= 1);
  }));
  CHECK(rig.logged("unable to set dbbuf"));
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

TEST_CASE("a user's command is refused while the controller is not live") {
  ScriptedRig rig(config_of(Generation::v5_15));
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    host::NvmeCtrl::Passthrough command;
    command.command.opc = 0x0a;
    command.command.cdw10 = 2;
    CHECK(rig.ctrl().passthru(command) == 0);
    rig.driver->shutdown();
    CHECK(rig.ctrl().state() == host::CtrlState::kResetting);
    // The queue is open so that waiting commands fail, but it is disabled.
    CHECK(rig.ctrl().passthru(command) != 0);
  }));
}

TEST_CASE("a format by the user rests all I/O and is followed by a scan") {
  ScriptedRig rig(config_of(Generation::v5_15));
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.wire.clear();
    rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (qid == 0 && entry.opc == 0x80) {
        CHECK(rig.disk().queue().frozen());
        rig.device.ns.lbaf[0].lbads = 12;
        rig.device.ns.nsze = rig.device.ns.ncap = 1 << 17;
      }
      return {};
    };
    host::NvmeCtrl::Passthrough command;
    command.command.opc = 0x80;
    command.command.nsid = 1;
    CHECK(rig.ctrl().passthru(command) == 0);
    CHECK_FALSE(rig.disk().queue().frozen());
    CHECK(rig.disk().limits().logical_block_bytes == 4096);
    const std::vector<std::string> scan{"80 nsid 1 0 0", "06 nsid 0 2 0", "06 nsid 1 3 0",
                                        "06 nsid 1 0 0"};
    CHECK(rig.device.wire == scan);
  }));
}

TEST_CASE("a command that may change the controller is followed by its identification") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.lpa = 2;
  rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 2 && (entry.cdw10 & 0xff) == 5) {
      const std::uint32_t effects = 1 | 1 << 4;
      rig.machine.memory.store(entry.prp1 + 0x10 * 4, effects);  // firmware commit
    }
    return {};
  };
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.wire.clear();
    host::NvmeCtrl::Passthrough command;
    command.command.opc = 0x10;
    CHECK(rig.ctrl().passthru(command) == 0);
    CHECK(rig.device.wire.at(0) == "10 nsid 0 0 0");
    CHECK(rig.device.wire.at(1) == "R VS");
    CHECK(rig.device.wire.at(2) == "06 nsid 0 1 0");
  }));
}

TEST_CASE("keep alive asks for a reserved tag that PCI has not, and resets") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.lpa = 2;
  rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 2 && (entry.cdw10 & 0xff) == 5)
      rig.machine.memory.store(entry.prp1 + 0x09 * 4, std::uint32_t{1 | 1 << 1});
    return {};
  };
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    host::NvmeCtrl::Passthrough command;
    command.command.opc = 9;
    command.command.cdw10 = 0xf;
    command.command.cdw11 = 3500;
    CHECK(rig.ctrl().passthru(command) == 0);
    CHECK(rig.ctrl().kato() == 4);
    rig.machine.threads.msleep(2500);
    CHECK(rig.logged("keep-alive failed"));
    CHECK(rig.ctrl().resets() == 2);
  }));
}

TEST_CASE("a drive that counts traffic as keep alive is left alone as long as there is some") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.ctratt = 1 << 6;
  rig.device.identify.kas = 10;
  rig.device.identify.lpa = 2;
  rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 2 && (entry.cdw10 & 0xff) == 5)
      rig.machine.memory.store(entry.prp1 + 0x09 * 4, std::uint32_t{1 | 1 << 1});
    return {};
  };
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    host::NvmeCtrl::Passthrough command;
    command.command.opc = 9;
    command.command.cdw10 = 0xf;
    command.command.cdw11 = 2000;
    CHECK(rig.ctrl().passthru(command) == 0);
    for (int i = 0; i < 5; ++i) {
      CHECK(rig.read_block() == BlockStatus::kOk);
      rig.machine.threads.msleep(900);
    }
    CHECK(rig.ctrl().resets() == 1);
    rig.machine.threads.msleep(3000);
    CHECK(rig.ctrl().resets() >= 2);
  }));
}

TEST_CASE("suspend to idle uses the deepest power state, and resume goes back") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.npss = 4;
  rig.device.identify.hmpre = 1024;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (qid == 0 && entry.opc == 10) return Answer{.result = 2};
      return {};
    };
    rig.device.wire.clear();
    CHECK(rig.dev().suspend(host::SuspendKind::kToIdle) == 0);
    CHECK(rig.ctrl().state() == host::CtrlState::kLive);
    CHECK(rig.dev().resume() == 0);
    CHECK(rig.read_block() == BlockStatus::kOk);
  }));
  CHECK(rig.device.wire == std::vector<std::string>{"09 nsid 0 d 0", "0a nsid 0 2 0",
                                                    "09 nsid 0 2 4", "09 nsid 0 2 2",
                                                    "09 nsid 0 d 3"});
}

TEST_CASE("a drive that refuses its deepest power state is shut down instead") {
  ScriptedRig rig(config_of(Generation::v5_15));
  rig.device.identify.npss = 4;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (qid == 0 && entry.opc == 9 && entry.cdw10 == 2) return Answer{.status = 2};
      return {};
    };
    CHECK(rig.dev().suspend(host::SuspendKind::kToIdle) == 0);
    CHECK(rig.ctrl().state() == host::CtrlState::kResetting);
    rig.device.script = nullptr;
    CHECK(rig.dev().resume() == 0);
    rig.ctrl().flush_reset();
    CHECK(rig.ctrl().state() == host::CtrlState::kLive);
    CHECK(rig.read_block() == BlockStatus::kOk);
  }));
}

TEST_CASE("firmware that wants drives shut down, or links that may not sleep, are obeyed") {
  RigConfig config = config_of(Generation::v5_15);
  config.host.storage_d3 = true;
  ScriptedRig rig(config);
  rig.device.identify.npss = 4;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.dev().suspend(host::SuspendKind::kToIdle) == 0);
    CHECK(rig.ctrl().state() == host::CtrlState::kResetting);
  }));
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
