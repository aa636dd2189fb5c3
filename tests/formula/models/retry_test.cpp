// Read retries, soft decodes and rebuilds cost what arithmetic says.
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

using base::Time;

constexpr Time kMapping = 200ns;
// One try: command, tR, status, a unit over the channel at 1024 MB/s, ECC.
constexpr Time kTry = 500ns + 40us + 300ns + 4us + 2us;

MediaConfig drive(std::uint32_t rber_ppb) {
  MediaConfig config = small_drive(256);
  config.nand.channels = 4;
  config.nand.dies_per_channel = 1;
  config.nand.channel_mb_per_s = 1024;
  config.ftl.prefill_percent = 50;
  config.reliability.bit_errors = true;
  config.reliability.variation_percent = 0;
  config.reliability.rber_ppb = rber_ppb;
  config.reliability.read_rber_ppb_per_kread = 0;
  config.reliability.ecc_limit_ppb = 8'000'000;
  config.reliability.retry_gain_percent = 50;
  config.reliability.max_retries = 3;
  config.reliability.soft_limit_ppb = 16'000'000;
  config.reliability.soft_decode_ns = 30'000;
  return config;
}

TEST_CASE("below the limit of the decoder a read is one try") {
  Rig rig(drive(8'000'000));
  auto& read = rig.read(5);
  rig.run();
  CHECK(read.done == kMapping + kTry);
  CHECK(rig.statistic("reliability.read_retries") == 0);
}

TEST_CASE("each retry is a whole try, as many as bring the rate below the limit") {
  Rig rig(drive(30'000'000));  // 15, then 7.5 million
  auto& read = rig.read(5);
  rig.run();
  CHECK(read.done == kMapping + 3 * kTry);
  CHECK(read.status == MediaStatus::kOk);
  CHECK(read.command.parts[0].stages.total() == read.done);
  CHECK(rig.statistic("reliability.read_retries") == 2);
  CHECK(rig.statistic("reliability.retried_reads") == 1);
}

TEST_CASE("after the last retry a soft decode adds its time") {
  Rig rig(drive(100'000'000));  // 12.5 million after three
  auto& read = rig.read(5);
  rig.run();
  CHECK(read.done == kMapping + 4 * kTry + 30us);
  CHECK(read.status == MediaStatus::kOk);
  CHECK(rig.statistic("reliability.soft_decodes") == 1);
}

TEST_CASE("beyond the soft decoder the data is lost, and only that of the unit") {
  Rig rig(drive(200'000'000));
  auto& read = rig.read(5);
  rig.run();
  CHECK(read.status == MediaStatus::kUncorrectable);
  CHECK(rig.statistic("reliability.lost_units") == 1);
  CHECK(rig.statistic("reliability.rebuilt_units") == 0);
}

TEST_CASE("with parity a lost unit is rebuilt from the other dies of its row") {
  MediaConfig config = drive(200'000'000);
  config.ftl.parity = true;
  config.ftl.prefill_percent = 0;
  Rig rig(config);
  rig.write(0, 64, 9);
  rig.run();
  auto& read = rig.read(5);
  const Time begin = rig.scheduler.now();
  rig.run();
  CHECK(read.status == MediaStatus::kOk);
  CHECK(Rig::version(read) == 9);
  // Four tries and the soft decode; then the three others at once, each on its own channel.
  CHECK(read.done - begin == kMapping + 4 * kTry + 30us + kTry);
  CHECK(read.command.parts[0].stages.total() == read.done - begin);
  CHECK(rig.statistic("reliability.rebuilt_units") == 1);
  CHECK(rig.statistic("ftl.parity_units") == 5 * 4);  // five rows of three programs are complete
}

TEST_CASE("the error rate is the sum of its causes") {
  ReliabilityConfig config;
  config.bit_errors = true;
  config.initial_cycles = 500;
  config.initial_retention_days = 10;
  config.rber_ppb = 1'000;
  config.wear_rber_ppb_per_kcycle = 4'000;
  config.retention_rber_ppb_per_day = 100;
  config.read_rber_ppb_per_kread = 50;
  base::StatisticsRegistry statistics;
  const Geometry shape = Geometry::make(small_drive().nand, 4096, 60, 7);
  const Reliability reliability(config, shape, 1, statistics, "media");
  CHECK(reliability.rber_ppb({}) == 1'000 + 2'000);
  CHECK(reliability.rber_ppb({1500, 0, base::Time{0}, false}) == 1'000 + 8'000);
  CHECK(reliability.rber_ppb({0, 20'000, base::Time{0}, false}) == 1'000 + 2'000 + 1'000);
  CHECK(reliability.rber_ppb({0, 0, std::chrono::hours(48), false}) == 1'000 + 2'000 + 300);
  CHECK(reliability.rber_ppb({0, 0, base::Time{0}, true}) == 1'000 + 2'000 + 1'500);
}

}  // namespace
}  // namespace nvmesim::models
