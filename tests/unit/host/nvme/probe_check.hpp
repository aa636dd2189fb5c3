// A probe of the scripted device by a driver of one generation, and its whole wire order.
#pragma once

#include "tests/support/catch.hpp"
#include "tests/unit/host/nvme/rig.hpp"
#include "tests/unit/host/nvme/wire_order.hpp"

namespace nvmesim::test {

inline RigConfig config_of(host::Generation generation) {
  RigConfig config;
  config.driver.generation = generation;
  return config;
}

inline void check_probe(ScriptedRig& rig, host::Generation generation, const Features& features) {
  bool live = false;
  REQUIRE(rig.run([&] { live = rig.boot(); }));
  CHECK(live);
  CHECK(without_addresses(rig.device.wire) == expected_probe(generation, features));
  CHECK(rig.driver->disks().size() == 1);
}

}  // namespace nvmesim::test
