// Optional parts of a drive as the driver uses them, each against the real controller: the data of
// everything that is written is verified, before and after a reset.
#include <cstring>

#include "tests/system/driver_rig.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::CtrlState;
using host::SuspendKind;

namespace {

const std::string kController = "device.controller.";
const std::string kDriver = "host.nvme.nvme0.";

void shadow_doorbells(const char* generation) {
  DriverRig rig({kController + "doorbell_buffer_config=true",
                 std::string("driver.generation=") + generation});
  rig.after_boot([&] {
    rig.traffic_around_a_reset();
    const std::uint64_t commands = rig.statistic(kDriver + "commands");
    CHECK(rig.statistic(kDriver + "shadow_doorbells") > commands / 4);
    CHECK(rig.statistic(kDriver + "doorbells") < commands);
    CHECK(rig.statistic(kController + "shadow_doorbell_reads") > 0);
    CHECK(rig.statistic(kController + "invalid_doorbells") == 0);
    rig.system->remove();
  });
  rig.check_nothing_leaked();
}

void streams(const char* generation, std::uint16_t expected) {
  DriverRig rig({kController + "management.streams=8", "driver.streams=true",
                 std::string("driver.generation=") + generation});
  rig.after_boot([&] {
    CHECK(rig.ctrl().streams() == expected);
    unsigned with_stream = 0;
    rig.rules->change_command(fault::io_command(spec::NvmOpcode::kWrite), fault::kEveryTime,
                              [&with_stream](spec::SubmissionEntry& entry) {
                                with_stream += (entry.cdw12 >> 20 & 15) == 1;
                              });
    host::Bio bio;
    bio.op = BioOp::kWrite;
    bio.sectors = 8;
    bio.buffer = rig.disk().allocate_buffer(4096);
    for (std::uint8_t hint = 0; hint <= 5; ++hint) {
      bio.write_hint = hint;
      bio.sector = std::uint64_t{8} * hint;
      CHECK(rig.end(bio) == BlockStatus::kOk);
    }
    rig.disk().free_buffer(bio.buffer);
    CHECK(with_stream == (expected != 0 ? 4u : 0u));  // hints 2 to 5
    rig.verified_traffic();
  });
}

}  // namespace

TEST_CASE("a drive keeps its mapping in lent host memory, also after a reset, and gives it back") {
  DriverRig rig({"device.media.map_cache.bytes=16384", kController + "hmb.hmpre_pages=2048",
                 kController + "hmb.hmmin_pages=16", "device.media.capacity_bytes=1073741824"},
                {}, {}, "970pro");
  rig.after_boot([&] {
    REQUIRE(rig.dev().host_memory() != nullptr);
    CHECK(rig.dev().host_memory()->bytes() == 2048 * 4096);
    rig.traffic_around_a_reset();
    const auto accesses = [&rig] {
      return rig.statistic(kController + "host_memory_reads") +
             rig.statistic(kController + "host_memory_writes");
    };
    CHECK(accesses() > 100);
    CHECK(rig.dev().set_host_memory(false) == 0);
    CHECK(rig.dev().host_memory() == nullptr);
    const std::uint64_t before = accesses();
    rig.verified_traffic();
    CHECK(accesses() == before);
    CHECK(rig.dev().set_host_memory(true) == 0);
    rig.verified_traffic();
    CHECK(accesses() > before);
    rig.system->remove();
  });
  rig.check_nothing_leaked();
}

TEST_CASE("submission queues in the controller's memory carry all commands, also after a reset") {
  DriverRig rig({kController + "cmb.pages=512"});
  rig.after_boot([&] {
    for (unsigned qid = 1; qid < rig.dev().online_queues(); ++qid)
      CHECK(rig.dev().queue(qid)->in_controller_memory());
    CHECK(rig.dev().queue_depth() == 1024);
    const std::uint64_t before = rig.statistic(kController + "local_memory_accesses");
    rig.traffic_around_a_reset();
    const std::uint64_t accesses = rig.statistic(kController + "local_memory_accesses") - before;
    CHECK(accesses >= rig.statistic(kController + "fetches") / 2);
    rig.system->remove();
    CHECK(rig.dev().controller_memory().in_use() == 0);
  });
  rig.check_nothing_leaked();
}

TEST_CASE("a small controller memory buffer makes the queues shorter") {
  DriverRig rig({kController + "cmb.pages=16"});
  rig.after_boot([&] {
    CHECK(rig.dev().queue_depth() == 256);  // 16 KiB for each of four
    CHECK(rig.dev().queue(1)->in_controller_memory());
    rig.verified_traffic();
  });
}

TEST_CASE("nvme.use_cmb_sqes=0 keeps queues in host memory") {
  DriverRig rig({kController + "cmb.pages=512", "driver.use_cmb_sqes=false"});
  rig.after_boot([&] {
    CHECK_FALSE(rig.dev().queue(1)->in_controller_memory());
    rig.verified_traffic();
    CHECK(rig.statistic(kController + "local_memory_accesses") == 0);
  });
}

TEST_CASE("shadow doorbells save register writes and lose no command, also after a reset, 5.15") {
  shadow_doorbells("v5_15");
}

TEST_CASE("shadow doorbells save register writes and lose no command, also after a reset, 6.1") {
  shadow_doorbells("v6_1");
}

TEST_CASE("write hints become streams that the drive accepts, 5.15") {
  streams("v5_15", 4);
}

TEST_CASE("6.1 knows no streams") {
  streams("v6_1", 0);
}

TEST_CASE("a change of an ANA group's state is told by an event and read from its log") {
  DriverRig rig({kController + "management.ana=true", kController + "management.oaes=2048"});
  rig.after_boot([&] {
    CHECK(rig.ctrl().has_ana());
    CHECK(rig.ctrl().ana_state(1) == 1);
    rig.system->controller().set_ana_state(1, spec::AnaState::kNonOptimized);
    rig.sleep_ms(5);
    CHECK(rig.ctrl().ana_state(1) == 2);
    CHECK(rig.ctrl().async_events() == 1);
    rig.verified_traffic();
  });
}

TEST_CASE("a drive that names itself self-encrypting is found out, before and after a reset") {
  DriverRig rig({kController + "management.security=true", "driver.opal=true"});
  rig.after_boot([&] {
    // Level 0 discovery of the drive offers no Opal: it is asked, and again after each reset.
    CHECK_FALSE(rig.ctrl().has_opal());
    std::uint64_t asked = 0;
    const auto rule = rig.rules->on_command(
        fault::admin_command(spec::AdminOpcode::kSecurityReceive), {.count = 0}, {});
    CHECK(rig.ctrl().reset_ctrl_sync() == 0);
    asked = rig.rules->matched(rule);
    CHECK(asked == 1);
    rig.verified_traffic();
  });
}

TEST_CASE("an idle drive goes to sleep by its own table, and I/O wakes it with its data") {
  DriverRig rig({kController + "power.apst=true",
                 kController + "power.states=[{\"non_operational\":true,\"entry_latency_us\":1000,"
                               "\"exit_latency_us\":1000,\"max_power_centiwatts\":50}]"});
  rig.after_boot([&] {
    rig.verified_traffic();
    rig.sleep_ms(500);
    const std::uint64_t asleep = rig.statistic(kController + "autonomous_transitions");
    CHECK(asleep >= 1);
    rig.verified_traffic();
    rig.sleep_ms(500);
    CHECK(rig.statistic(kController + "autonomous_transitions") > asleep);
  });
}

TEST_CASE("suspend to idle leaves the data and the host memory buffer in place") {
  DriverRig rig({"device.media.map_cache.bytes=16384", kController + "hmb.hmpre_pages=1024",
                 kController + "power.states=[{\"non_operational\":true,\"entry_latency_us\":1000,"
                               "\"exit_latency_us\":1000,\"max_power_centiwatts\":50}]",
                 "device.media.capacity_bytes=1073741824"},
                {}, {}, "970pro");
  rig.after_boot([&] {
    rig.verified_traffic();
    const std::uint64_t resets = rig.ctrl().resets();
    for (int i = 0; i < 3; ++i) {
      CHECK(rig.dev().suspend(SuspendKind::kToIdle) == 0);
      CHECK_FALSE(rig.dev().host_memory_enabled());
      rig.sleep_ms(100);
      CHECK(rig.dev().resume() == 0);
      CHECK(rig.dev().host_memory_enabled());
      rig.verified_traffic();
    }
    CHECK(rig.ctrl().resets() == resets);
    CHECK(rig.statistic(kController + "power_transitions") >= 6);
  });
}

TEST_CASE("a format by the user rests all I/O, changes the block size, and is followed by a scan") {
  DriverRig rig({kController + "management.format=true"});
  rig.after_boot([&] {
    rig.verified_traffic();
    const std::uint64_t sectors = rig.disk().capacity_sectors();
    unsigned format = 0;
    for (; format < 16; ++format) {
      spec::IdentifyNamespace id{};
      CHECK(rig.ctrl().identify(0, 1, 0, host::bytes_of(id)) == 0);
      if (id.lbaf[format].lbads == 12 && id.lbaf[format].ms == 0) break;
    }
    REQUIRE(format < 16);
    host::NvmeCtrl::Passthrough command;
    command.command.opc = 0x80;
    command.command.nsid = 1;
    command.command.cdw10 = format;
    CHECK(rig.ctrl().passthru(command) == 0);
    CHECK(rig.disk().limits().logical_block_bytes == 4096);
    CHECK(rig.disk().capacity_sectors() == sectors);
    rig.verified_traffic();
  });
}

TEST_CASE("a namespace that the user detaches goes away, and comes back with its data") {
  DriverRig rig({kController + "management.namespaces=true", kController + "lpa=6"});
  rig.after_boot([&] {
    CHECK(rig.io(BioOp::kWrite, 800) == BlockStatus::kOk);
    const auto attach = [&rig](bool on) {
      std::vector<std::byte> list(4096);
      const std::uint16_t ids[] = {1, rig.ctrl().identify_data().cntlid};
      std::memcpy(list.data(), ids, sizeof ids);
      host::NvmeCtrl::Passthrough command;
      command.command.opc = 0x15;
      command.command.nsid = 1;
      command.command.cdw10 = on ? 0 : 1;
      command.data = list;
      CHECK(rig.ctrl().passthru(command) == 0);
    };
    attach(false);
    CHECK(rig.ctrl().namespaces().empty());
    attach(true);
    REQUIRE(rig.ctrl().namespaces().size() == 1);
    CHECK(rig.disk().name() == "nvme0n1");
    CHECK(rig.io(BioOp::kRead, 800) == BlockStatus::kOk);
  });
}
