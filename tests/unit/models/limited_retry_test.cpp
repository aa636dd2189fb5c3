// Limited Retry: a read gives up after few retries instead of taking long.
#include "tests/unit/models/rig.hpp"

namespace nvmesim::models {
namespace {

// Every read needs three retries: 24e6 x 0.7^2 is above the limit of 8.5e6, x 0.7^3 below.
MediaConfig worn() {
  MediaConfig config = small_drive();
  config.ftl.prefill_percent = 100;
  config.reliability.bit_errors = true;
  config.reliability.variation_percent = 0;
  config.reliability.rber_ppb = 24'000'000;
  config.reliability.retention_rber_ppb_per_day = 0;
  return config;
}

Rig::Io& read_limited(Rig& rig, std::uint64_t unit) {
  Rig::Io& io = rig.make(MediaOp::kRead, unit * kUnitBytes, kUnitBytes);
  io.command.limited_retry = true;
  rig.start(io);
  return io;
}

TEST_CASE("a read that needs more retries than limited_retries fails early with Limited Retry") {
  Rig rig(worn());
  Rig::Io& full = rig.read(5);
  rig.run();
  CHECK(full.status == MediaStatus::kOk);
  const std::uint64_t retries = rig.statistic("reliability.read_retries");
  CHECK(retries > 2);
  Rig::Io& limited = read_limited(rig, 5);
  rig.run();
  CHECK(limited.status == MediaStatus::kUncorrectable);
  CHECK(rig.statistic("reliability.read_retries") == retries + 2);
  CHECK(limited.done - limited.started < full.done - full.started);
}

TEST_CASE("with Limited Retry nothing is rebuilt from parity") {
  MediaConfig config = worn();
  config.ftl.parity = true;
  config.reliability.limited_retries = 0;
  Rig rig(config);
  Rig::Io& limited = read_limited(rig, 5);
  rig.run();
  CHECK(limited.status == MediaStatus::kUncorrectable);
  CHECK(rig.statistic("reliability.rebuilt_units") == 0);
  CHECK(rig.statistic("reliability.soft_decodes") == 0);
}

TEST_CASE("a read that needs no more retries than limited_retries is as any other") {
  MediaConfig config = worn();
  config.reliability.limited_retries = 8;
  Rig rig(config);
  Rig::Io& full = rig.read(5);
  rig.run();
  Rig::Io& limited = read_limited(rig, 5);
  rig.run();
  CHECK(limited.status == MediaStatus::kOk);
  CHECK(limited.done - limited.started == full.done - full.started);
}

}  // namespace
}  // namespace nvmesim::models
