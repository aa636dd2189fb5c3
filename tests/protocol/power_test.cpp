// Power states, autonomous transitions, temperature, throttling, firmware cores and stage widths.
#include "device/spec/management.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using spec::AdminOpcode;
using spec::FeatureId;
using spec::LogPageId;
using spec::NvmOpcode;
using spec::Status;

namespace {

struct Ready : Bench {
  explicit Ready(device::ControllerConfig wanted = full_config()) : Bench(wanted) {
    REQUIRE(enable());
    create_pair(1, 128);
  }
  Status set(FeatureId id, std::uint32_t cdw11) {
    auto entry = admin(AdminOpcode::kSetFeatures, static_cast<std::uint32_t>(id), cdw11);
    entry.prp1 = kData;
    return status(0, entry);
  }
  std::uint32_t power_state() {
    return run_command(0, admin(AdminOpcode::kGetFeatures, 2)).entry.dw0 & 0x1F;
  }
  base::Time read_time() {
    const base::Time start = scheduler.now();
    const auto completion = wait(1, submit(1, io(NvmOpcode::kRead, 0, 8)));
    REQUIRE(completion);
    return completion->when - start;
  }
  // Time of `count` reads of 4 KiB, all submitted at once.
  base::Time burst_time(int count) {
    const base::Time start = scheduler.now();
    std::vector<std::uint16_t> cids;
    for (int i = 0; i < count; ++i) cids.push_back(put(1, io(NvmOpcode::kRead, 0, 8)));
    ring(1);
    for (const std::uint16_t cid : cids) REQUIRE(wait(1, cid, 1s));
    return scheduler.now() - start;
  }
  spec::SmartLog smart() {
    REQUIRE(status(0, get_log(LogPageId::kSmart, 512)) == Status::kSuccess);
    return port.load<spec::SmartLog>(kData);
  }
  void apst(std::uint32_t idle_ms, std::uint32_t target) {
    std::fill_n(port.at(kData), 256, std::byte{0});
    for (std::uint64_t i = 0; i < target; ++i) {
      port.store<std::uint64_t>(kData + i * 8, (std::uint64_t{idle_ms} << 8) | (target << 3));
    }
    REQUIRE(set(FeatureId::kAutonomousPowerStateTransition, 1) == Status::kSuccess);
  }
};

}  // namespace

TEST_CASE("Identify describes the power states") {
  Ready bench;
  REQUIRE(bench.status(0, identify(1, 0)) == Status::kSuccess);
  const auto data = bench.port.load<spec::IdentifyController>(kData);
  CHECK(data.npss == 3);
  CHECK(data.apsta == 1);
  CHECK(data.psd[0].mp == 1200);
  CHECK(data.psd[1].mp == 900);
  CHECK(data.psd[1].flags == 0);
  CHECK(data.psd[2].flags == 2);
  CHECK(data.psd[3].enlat == 900);
  CHECK(data.psd[3].exlat == 4'000);
}
TEST_CASE("an I/O command wakes the drive from a non-operational state, after entry and exit") {
  Ready bench;
  const base::Time awake = bench.read_time();
  REQUIRE(bench.set(FeatureId::kPowerManagement, 3) == Status::kSuccess);
  CHECK(bench.alive());  // admin commands do not wake it
  CHECK(bench.power_state() == 3);
  bench.run(10ms);
  const base::Time asleep = bench.read_time();
  CHECK(asleep - awake >= 4ms);
  CHECK(asleep - awake <= 4'005us);
  CHECK(bench.power_state() == 0);
  CHECK(bench.read_time() - awake <= 3us);
}
TEST_CASE("an I/O command that comes during the entry waits for its end, too") {
  Ready bench;
  const base::Time awake = bench.read_time();
  REQUIRE(bench.set(FeatureId::kPowerManagement, 2) == Status::kSuccess);
  const base::Time asleep = bench.read_time();
  CHECK(asleep - awake > 1'100us);
  CHECK(asleep - awake <= 1'205us);
}
TEST_CASE("APST lets the drive sleep after its idle time, and again after each I/O") {
  Ready bench;
  bench.apst(5, 3);
  bench.run(4ms);
  CHECK(bench.power_state() == 0);
  bench.run(2ms);
  CHECK(bench.power_state() == 3);
  CHECK(bench.read_time() > 4ms);
  CHECK(bench.power_state() == 0);
  bench.run(6ms);
  CHECK(bench.power_state() == 3);
  CHECK(bench.controller->core().power.autonomous_counter() == 2);
}
TEST_CASE("APST does not let a busy drive sleep") {
  Ready bench;
  bench.apst(5, 3);
  bench.media.held = true;
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.run(20ms);
  CHECK(bench.power_state() == 0);
  bench.run_command(0, admin(AdminOpcode::kAbort, 1 | (std::uint32_t{cid} << 16)));
  bench.run(6ms);
  CHECK(bench.power_state() == 3);
}
TEST_CASE("APST switched off, or a reset, ends the transitions") {
  Ready bench;
  bench.apst(5, 3);
  std::fill_n(bench.port.at(kData), 256, std::byte{0});
  REQUIRE(bench.set(FeatureId::kAutonomousPowerStateTransition, 0) == Status::kSuccess);
  bench.run(20ms);
  CHECK(bench.power_state() == 0);
  bench.apst(5, 3);
  bench.disable();
  REQUIRE(bench.enable());
  bench.run(20ms);
  CHECK(bench.power_state() == 0);
}
TEST_CASE("an operational state of less power limits the data rate") {
  Ready bench;
  const base::Time fast = bench.burst_time(100);
  REQUIRE(bench.set(FeatureId::kPowerManagement, 1) == Status::kSuccess);
  const base::Time slow = bench.burst_time(100);
  // 100 * 4096 bytes at 400 MB/s: the last one starts after 99 of them.
  CHECK(slow >= base::picoseconds(99 * 4096 * 2'500));
  CHECK(slow <= base::picoseconds(100 * 4096 * 2'500) + 60us);
  CHECK(fast < slow / 4);
}

TEST_CASE("the temperature follows the power with its time constant") {
  device::ControllerConfig config = full_config();
  config.power.apst = false;
  config.temperature_kelvin = 303;
  Ready bench(config);
  bench.media.held = true;
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.run(1s);
  // 12 W at 4 K/W: 48 K above 303 K in the end, 63 % of it after one time constant.
  const auto after_one = bench.smart().composite_temperature;
  CHECK(after_one >= 332);
  CHECK(after_one <= 334);
  bench.run(10s);
  CHECK(bench.smart().composite_temperature == 351);
  bench.run_command(0, admin(AdminOpcode::kAbort, 1 | (std::uint32_t{cid} << 16)));
  bench.run(20s);
  CHECK(bench.smart().composite_temperature == 315);  // 3 W when idle
}
TEST_CASE("a temperature above its threshold warns, once, and below it no more") {
  device::ControllerConfig config = full_config();
  config.temperature_kelvin = 303;
  Ready bench(config);
  REQUIRE(bench.set(FeatureId::kTemperatureThreshold, 330) == Status::kSuccess);
  REQUIRE(bench.set(FeatureId::kAsyncEventConfiguration, 2) == Status::kSuccess);
  const std::uint16_t event = bench.submit(0, admin(AdminOpcode::kAsyncEventRequest));
  bench.media.held = true;
  const std::uint16_t cid = bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  CHECK_FALSE(bench.wait(0, event, 100ms));
  bench.run(3s);
  const auto completion = bench.wait(0, event);
  REQUIRE(completion);
  CHECK(completion->entry.dw0 == 0x0002'0101);
  CHECK(bench.smart().critical_warning == spec::kWarningTemperature);
  bench.run_command(0, admin(AdminOpcode::kAbort, 1 | (std::uint32_t{cid} << 16)));
  bench.run(10s);
  CHECK(bench.smart().critical_warning == 0);
}
TEST_CASE("TMT1 and TMT2 throttle lightly and heavily, and are counted") {
  device::ControllerConfig config = full_config();
  config.temperature_kelvin = 340;
  config.thermal.ambient_kelvin = 340;
  config.thermal.resistance_mk_per_w = 0;
  config.critical_temperature_kelvin = 400;
  Ready bench(config);
  const base::Time fast = bench.burst_time(100);
  const auto id = FeatureId::kHostControlledThermalManagement;
  REQUIRE(bench.set(id, (330u << 16) | 350) == Status::kSuccess);
  const base::Time light = bench.burst_time(100);
  REQUIRE(bench.set(id, (330u << 16) | 335) == Status::kSuccess);
  const base::Time heavy = bench.burst_time(100);
  CHECK(light >= base::picoseconds(99 * 4096 * 1'000));  // 1,000 MB/s
  CHECK(heavy >= base::picoseconds(99 * 4096 * 5'000));  // 200 MB/s
  CHECK(fast < light);
  CHECK(light < heavy / 3);
  bench.run(3s);
  auto log = bench.smart();
  CHECK(log.thm_temp1_trans_count == 1);
  CHECK(log.thm_temp2_trans_count == 1);
  REQUIRE(bench.set(id, 0) == Status::kSuccess);
  CHECK(bench.burst_time(100) <= fast + 5us);
}
TEST_CASE("time in throttling and above the warning temperature is counted") {
  device::ControllerConfig config = full_config();
  config.temperature_kelvin = 345;
  config.thermal.ambient_kelvin = 345;
  config.thermal.resistance_mk_per_w = 0;
  config.thermal.sample_ms = 1'000;
  Ready bench(config);
  REQUIRE(bench.set(FeatureId::kHostControlledThermalManagement, (330u << 16) | 355) ==
          Status::kSuccess);
  bench.media.held = true;
  bench.submit(1, io(NvmOpcode::kRead, 0, 8));
  bench.run(125s);
  const auto log = bench.smart();
  CHECK(log.thm_temp1_total_time >= 123);
  CHECK(log.thm_temp1_total_time <= 125);
  CHECK(log.thm_temp2_total_time == 0);
  CHECK(log.warning_temp_time == 2);
  CHECK(log.critical_comp_temp_time == 0);
}

TEST_CASE("a firmware core serves one command after another") {
  device::ControllerConfig config = small_config();
  config.firmware_cores = 1;
  config.pipeline.read_core_cycles = 8'000;  // 10 us
  Ready bench(config);
  const base::Time one = bench.burst_time(1);
  CHECK(one >= 20us);  // the core and the media
  const base::Time forty = bench.burst_time(40);
  CHECK(forty >= 400us);
  CHECK(forty <= 400us + one);
}
TEST_CASE("two firmware cores serve twice as much") {
  device::ControllerConfig config = small_config();
  config.firmware_cores = 2;
  config.pipeline.read_core_cycles = 8'000;
  Ready bench(config);
  const base::Time one = bench.burst_time(1);
  const base::Time forty = bench.burst_time(40);
  CHECK(forty >= 200us);
  CHECK(forty <= 200us + one);
}
TEST_CASE("a stage of width four takes four commands in an interval") {
  device::ControllerConfig config = small_config();
  config.pipeline.decode_interval_cycles = 8'000;  // 10 us
  config.pipeline.decode_width = 4;
  Ready bench(config);
  bench.run(1ms);
  const base::Time four = bench.burst_time(4);
  CHECK(four < 20us);
  bench.run(1ms);
  const base::Time forty = bench.burst_time(40);
  CHECK(forty >= 90us);
  CHECK(forty <= 90us + four);
}
TEST_CASE("completion and fetch stages have their widths") {
  device::ControllerConfig config = small_config();
  config.pipeline.completion_interval_cycles = 8'000;
  config.pipeline.fetch_interval_cycles = 8'000;
  config.pipeline.fetch_burst_entries = 1;
  config.pipeline.completion_width = 2;
  config.pipeline.fetch_width = 2;
  Ready bench(config);
  bench.run(1ms);
  const base::Time twenty = bench.burst_time(20);
  CHECK(twenty >= 90us);
  CHECK(twenty <= 140us);
}
