// --verify finds what it is there for: each test damages one thing inside the drive, by a rule at
// one of its points, and the command must end with status 1.
#include <cstdio>

#include "models/media_points.hpp"
#include "sim/app/simulation.hpp"
#include "sim/app/verb.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

const std::string kJob = NVMESIM_SOURCE_DIR "/tests/system/verify.fio";

int run_verified(std::function<void(models::MediaPoints&)> damage) {
  system_::SystemHooks hooks;
  hooks.built = [damage](system_::System& system) { damage(system.media().points()); };
  return app::run_with(
      {kJob, "--verify", "--no-summary", "--set", "simulation.check_protocol=true"},
      std::move(hooks));
}

TEST_CASE("an undamaged drive passes the verification") {
  CHECK(run_verified([](models::MediaPoints&) {}) == 0);
}

// The drive's link hangs at a switch; every page that it touches is walked; far memory.
TEST_CASE("a drive behind a switch, an IOMMU and another node passes the verification") {
  CHECK(app::run_with({kJob, "--verify", "--no-summary", "--set", "simulation.check_protocol=true",
                       "--set", "pcie_switch.ports=3", "--set", "root_complex.iommu.enabled=true",
                       "--set", "root_complex.iommu.cache_entries=8", "--set",
                       "root_complex.remote_memory_bytes=2147483648"},
                      {}) == 0);
}

TEST_CASE("a drive with few tags passes the verification") {
  CHECK(app::run_with({kJob, "--verify", "--no-summary", "--set", "simulation.check_protocol=true",
                       "--set", "device.endpoint.outstanding_reads=3"},
                      {}) == 0);
}

TEST_CASE("one flipped mapping entry fails the verification") {
  auto flipped = std::make_shared<bool>(false);
  CHECK(run_verified([flipped](models::MediaPoints& points) {
          points.map_lookup.arm([flipped](models::UnitId, models::PhysicalUnit& place) {
            if (*flipped) return;
            *flipped = true;
            place = models::PhysicalUnit(place.value() ^ 1);
          });
        }) == 1);
  CHECK(*flipped);
}

TEST_CASE("one dropped write fails the verification") {
  auto dropped = std::make_shared<bool>(false);
  CHECK(run_verified([dropped](models::MediaPoints& points) {
          points.store_write.arm([dropped](models::UnitId, bool& drop) {
            if (!*dropped) drop = *dropped = true;
          });
        }) == 1);
  CHECK(*dropped);
}

TEST_CASE("one flipped bit fails the verification") {
  auto flipped = std::make_shared<bool>(false);
  CHECK(run_verified([flipped](models::MediaPoints& points) {
          points.store_read.arm([flipped](models::UnitId, std::span<std::byte> data) {
            if (*flipped) return;
            *flipped = true;
            data[100] ^= std::byte{0x10};
          });
        }) == 1);
  CHECK(*flipped);
}

}  // namespace
}  // namespace nvmesim
