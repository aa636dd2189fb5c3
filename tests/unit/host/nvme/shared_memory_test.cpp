// Memory that drive and host share: the host memory buffer, the controller memory buffer, shadow
// doorbells, in front of a scripted device.
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

}  // namespace

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

TEST_CASE("in 6.1 a controller memory buffer that is no whole block of memory is passed over") {
  RigConfig config = config_of(Generation::v6_1);
  config.endpoint.bar0_bytes = 4 * kMib;
  ScriptedRig rig(config);
  rig.device.fixed[spec::kRegCmbsz] = 0x100 << 12;
  rig.device.fixed[spec::kRegCmbloc] = 0x300 << 12;
  REQUIRE(rig.run([&] {
    CHECK(rig.boot());
    CHECK(rig.dev().controller_memory().bytes() == 0);
  }));
  CHECK_FALSE(rig.logged("failed to register the CMB"));
}

TEST_CASE("without peer-to-peer DMA a controller memory buffer is switched off again") {
  RigConfig config = config_of(Generation::v6_1);
  config.driver.p2pdma = false;
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
