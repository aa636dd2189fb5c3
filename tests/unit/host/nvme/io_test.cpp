// Commands on the wire and their completions, against a scripted device.
#include <algorithm>
#include <set>

#include "tests/support/catch.hpp"
#include "tests/unit/host/nvme/rig.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::BioOp;
using host::BlockStatus;

namespace {

using Answer = ScriptedDevice::Answer;
using Script = std::optional<Answer>;

bool is_read(std::uint16_t qid, const spec::SubmissionEntry& entry) {
  return qid != 0 && entry.opc == 2;
}

// Boots, then answers reads by `script`.
template <class F>
void after_boot(ScriptedRig& rig, F scenario) {
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    rig.device.io.clear();
    rig.device.bells.clear();
    scenario();
  }));
}

unsigned count(const std::vector<std::string>& lines, std::string_view start) {
  return static_cast<unsigned>(std::count_if(
      lines.begin(), lines.end(), [&](const auto& line) { return line.rfind(start, 0) == 0; }));
}

}  // namespace

TEST_CASE("each operation has its opcode, range and flags in the submission entry") {
  ScriptedRig rig;
  rig.device.identify.vwc = 1;
  rig.device.identify.oncs = spec::kOncsDsm | spec::kOncsWriteZeroes;
  after_boot(rig, [&] {
    host::IoBuffer buffer = rig.disk().allocate_buffer(16384);
    for (const BioOp op :
         {BioOp::kRead, BioOp::kWrite, BioOp::kFlush, BioOp::kDiscard, BioOp::kWriteZeroes}) {
      host::Bio bio;
      bio.op = op;
      bio.sector = op == BioOp::kFlush ? 0 : 1000;
      bio.sectors = op == BioOp::kFlush ? 0 : 24;
      bio.fua = op == BioOp::kWrite;
      bio.buffer = buffer;
      CHECK(rig.do_io(bio) == BlockStatus::kOk);
    }
    const auto& io = rig.device.io;
    CHECK(io.size() == 5);
    const auto at = [&](std::size_t i) { return io.at(i).entry; };
    CHECK(at(0).opc == 2);
    CHECK(at(0).nsid == 1);
    CHECK(at(0).cdw10 == 1000);
    CHECK(at(0).cdw12 == 23);
    CHECK(at(0).prp1 == buffer.address);
    CHECK(at(1).opc == 1);
    CHECK(at(1).cdw12 == (23 | 1u << 30));
    CHECK(at(2).opc == 0);
    CHECK(at(3).opc == 9);
    CHECK(at(3).cdw10 == 0);
    CHECK(at(3).cdw11 == 4);
    CHECK(at(3).prp2 == 0);
    CHECK(at(4).opc == 8);
    CHECK(at(4).cdw12 == 23);
    CHECK(at(4).prp1 == 0);
    rig.disk().free_buffer(buffer);
  });
}

TEST_CASE("a flush to a drive without volatile cache does not reach it") {
  ScriptedRig rig;
  after_boot(rig, [&] {
    host::Bio bio;
    bio.op = BioOp::kFlush;
    CHECK(rig.do_io(bio) == BlockStatus::kOk);
    CHECK(rig.device.io.empty());
  });
}

TEST_CASE("each use of a tag has a new generation in its command id") {
  ScriptedRig rig;
  after_boot(rig, [&] {
    for (int i = 0; i < 20; ++i) CHECK(rig.read_block() == BlockStatus::kOk);
    const auto first = host::generation_of(rig.device.io[0].entry.cid);
    for (unsigned i = 0; i < 20; ++i) {
      const std::uint16_t cid = rig.device.io[i].entry.cid;
      CHECK(host::tag_of(cid) == host::tag_of(rig.device.io[0].entry.cid));
      CHECK(host::generation_of(cid) == ((first + i) & 15));
    }
  });
}

TEST_CASE("in 5.15 the first command of a tag has generation 1, in 6.1 generation 0") {
  ScriptedRig rig;
  REQUIRE(rig.run([&] { CHECK(rig.boot()); }));
  REQUIRE(!rig.device.io.empty());
  CHECK(host::generation_of(rig.device.io[0].entry.cid) == 1);
}

TEST_CASE("in 6.1 the first command of a tag has generation 0") {
  RigConfig config;
  config.driver.generation = host::Generation::v6_1;
  ScriptedRig rig(config);
  REQUIRE(rig.run([&] { CHECK(rig.boot()); }));
  REQUIRE(!rig.device.io.empty());
  CHECK(host::generation_of(rig.device.io[0].entry.cid) == 0);
}

TEST_CASE("every completion batch moves the head doorbell once, by all that were found") {
  ScriptedRig rig;
  after_boot(rig, [&] {
    for (int i = 0; i < 8; ++i) CHECK(rig.read_block() == BlockStatus::kOk);
    unsigned heads = 0;
    std::uint32_t last = 0;
    for (const auto& bell : rig.device.bells) {
      if (!bell.completion || bell.qid == 0) continue;
      ++heads;
      last = bell.value;
    }
    CHECK(heads >= 1);
    CHECK(heads <= 8);
    CHECK(last != 0);
    CHECK(rig.dev().queue(1)->completions() == 9);  // the partition scan's read included
  });
}

TEST_CASE("a completion under an id that nobody waits for is reported and completes nothing") {
  ScriptedRig rig;
  after_boot(rig, [&] {
    rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (!is_read(qid, entry)) return {};
      rig.device.post(qid, entry.cid ^ 0x1000, {.interrupt = false});  // another generation
      rig.device.post(qid, entry.cid ^ 0x0200, {.interrupt = false});  // a tag not in use
      return Answer{};
    };
    CHECK(rig.read_block() == BlockStatus::kOk);
    rig.device.script = nullptr;
    CHECK(rig.read_block() == BlockStatus::kOk);
  });
  CHECK(rig.logged("genctr mismatch"));
  CHECK(rig.logged("could not locate request for tag"));
  CHECK(rig.logged("completed on queue 1"));
  CHECK(rig.dev().queue(1)->invalid_ids() == 2);
}

TEST_CASE("a failed read is sent again up to the limit of retries, then fails") {
  RigConfig config;
  config.driver.max_retries = 3;
  ScriptedRig rig(config);
  after_boot(rig, [&] {
    rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (is_read(qid, entry)) return Answer{.status = 0x281};
      return {};
    };
    CHECK(rig.read_block() == BlockStatus::kMedium);
    CHECK(rig.device.io.size() == 4);
    std::set<std::uint16_t> ids;
    for (const auto& seen : rig.device.io) ids.insert(seen.entry.cid);
    CHECK(ids.size() == 4);
  });
}

TEST_CASE("a failure that the drive says is final is not sent again") {
  ScriptedRig rig;
  after_boot(rig, [&] {
    rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (is_read(qid, entry)) return Answer{.status = 0x4281};
      return {};
    };
    CHECK(rig.read_block() == BlockStatus::kMedium);
    CHECK(rig.device.io.size() == 1);
  });
}

TEST_CASE("a retry waits for the delay that the drive named") {
  ScriptedRig rig;
  rig.device.identify.crdt1 = 3;
  rig.device.identify.crdt2 = 5;
  after_boot(rig, [&] {
    int reads = 0;
    rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (!is_read(qid, entry) || ++reads > 2) return {};
      return Answer{.status = static_cast<std::uint16_t>(0x82 | reads << 11)};
    };
    CHECK(rig.read_block() == BlockStatus::kOk);
    const auto& io = rig.device.io;
    CHECK(io.size() == 3);
    CHECK(io.at(1).when - io.at(0).when >= 300ms);
    CHECK(io.at(1).when - io.at(0).when < 310ms);
    CHECK(io.at(2).when - io.at(1).when >= 500ms);
    CHECK(io.at(2).when - io.at(1).when < 510ms);
  });
}

TEST_CASE("a completion whose interrupt was lost is found when the time runs out") {
  ScriptedRig rig;
  after_boot(rig, [&] {
    rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (is_read(qid, entry)) return Answer{.interrupt = false};
      return {};
    };
    const base::Time start = rig.scheduler.now();
    CHECK(rig.read_block() == BlockStatus::kOk);
    CHECK(rig.scheduler.now() - start >= 30s);
    CHECK(rig.scheduler.now() - start < 37s);
  });
  CHECK(rig.logged("timeout, completion polled"));
  CHECK(rig.ctrl().resets() == 1);
}

TEST_CASE(
    "a command that is never answered is aborted, then the controller is reset and it is retried") {
  ScriptedRig rig;
  after_boot(rig, [&] {
    int reads = 0;
    std::uint32_t aborted = 0;
    rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (is_read(qid, entry) && ++reads == 1) return Answer{.drop = true};
      if (qid == 0 && entry.opc == 8) {
        aborted = entry.cdw10;
        return Answer{.result = 1};
      }
      return {};
    };
    CHECK(rig.read_block() == BlockStatus::kOk);
    CHECK(aborted >> 16 == rig.device.io.at(0).entry.cid);
    CHECK((aborted & 0xffff) == rig.device.io.at(0).qid);
    CHECK(rig.device.io.size() == 2);
  });
  CHECK(rig.logged("timeout, aborting"));
  CHECK(rig.logged("Abort status: 0x0"));
  CHECK(rig.logged("timeout, reset controller"));
  CHECK(rig.ctrl().resets() == 2);
  CHECK(rig.ctrl().state() == host::CtrlState::kLive);
  // The reset disabled an enabled controller: queues deleted first.
  CHECK(count(rig.device.wire, "00 nsid 0") == 8);
  CHECK(count(rig.device.wire, "04 nsid 0") == 8);
  CHECK(count(rig.device.wire, "W CC 460000") == 2);
}

TEST_CASE("a controller that reports a fatal status is reset when a command runs out of time") {
  ScriptedRig rig;
  after_boot(rig, [&] {
    int reads = 0;
    rig.device.script = [&](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      if (!is_read(qid, entry) || ++reads > 1) return {};
      rig.device.csts_extra = 2;
      return Answer{.drop = true};
    };
    rig.machine.threads.spawn("repair", [&] {
      rig.machine.threads.msleep(40'000);
      rig.device.csts_extra = 0;
    });
    CHECK(rig.read_block() == BlockStatus::kOk);
  });
  CHECK(rig.logged("controller is down; will reset: CSTS=0x3"));
  // A dead controller is asked for nothing more.
  CHECK(count(rig.device.wire, "00 nsid 0") == 0);
}

TEST_CASE("an admin command that is never answered while connecting ends the controller") {
  ScriptedRig rig;
  rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
    if (qid == 0 && entry.opc == 9) return Answer{.drop = true};
    return {};
  };
  bool live = true;
  REQUIRE(rig.run([&] {
    live = rig.boot();
    rig.machine.threads.msleep(10'000);
  }));
  CHECK_FALSE(live);
  CHECK(rig.logged("timeout, disable controller"));
  CHECK(rig.dev().removed());
  CHECK(rig.machine.pages.coherent_bytes_in_use() == 0);
  CHECK(rig.machine.interrupts.vectors_in_use() == 0);
}

TEST_CASE("shutdown deletes the queues from the last one on and sets the shutdown notification") {
  RigConfig config;
  config.host.cpus = 2;
  ScriptedRig rig(config);
  after_boot(rig, [&] {
    rig.device.wire.clear();
    rig.driver->shutdown();
  });
  CHECK(rig.device.wire == std::vector<std::string>{"R CSTS", "00 nsid 0 2 0", "00 nsid 0 1 0",
                                                    "04 nsid 0 2 0", "04 nsid 0 1 0", "W CC 464001",
                                                    "R CSTS"});
  CHECK(rig.ctrl().state() == host::CtrlState::kResetting);
}

TEST_CASE("removal under load ends every request once and gives everything back") {
  ScriptedRig rig;
  unsigned ended = 0;
  struct Counter {
    unsigned* ended;
    void count() { ++*ended; }
  } counter{&ended};
  after_boot(rig, [&] {
    rig.device.script = [](std::uint16_t qid, const spec::SubmissionEntry& entry) -> Script {
      // Half of the reads are never answered.
      if (is_read(qid, entry) && entry.cdw10 % 16 == 0) return Answer{.drop = true};
      return {};
    };
    std::vector<host::Bio> bios(64);
    for (std::size_t i = 0; i < bios.size(); ++i) {
      bios[i].sector = 8 * i;
      bios[i].sectors = 8;
      bios[i].cpu = host::CpuId(static_cast<std::uint16_t>(i % 8));
      bios[i].buffer = rig.disk().allocate_buffer(4096);
      bios[i].done = base::Callback::of<&Counter::count>(&counter);
      rig.disk().submit(bios[i]);
    }
    host::Disk& disk = rig.disk();
    rig.machine.threads.msleep(1);
    rig.driver->remove();
    rig.machine.threads.msleep(100);
    CHECK(ended == 64);
    for (host::Bio& bio : bios) disk.free_buffer(bio.buffer);
  });
  CHECK(rig.dev().removed());
  CHECK(rig.machine.pages.coherent_bytes_in_use() == 0);
  CHECK(rig.machine.interrupts.vectors_in_use() == 0);
  CHECK(rig.machine.interrupts.handlers_in_use() == 0);
}

TEST_CASE("a reset on request brings the controller back with the same disk") {
  ScriptedRig rig;
  after_boot(rig, [&] {
    host::Disk* before = &rig.disk();
    CHECK(rig.ctrl().reset_ctrl_sync() == 0);
    rig.ctrl().flush_scan();
    CHECK(rig.ctrl().state() == host::CtrlState::kLive);
    CHECK(&rig.disk() == before);
    CHECK(rig.read_block() == BlockStatus::kOk);
  });
}
