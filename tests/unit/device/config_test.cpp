// The controller's configuration: every parameter has its row, and what does not fit is refused.
#include <boost/json.hpp>

#include "device/controller_config.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim;
using device::ControllerConfig;

namespace {
constexpr std::uint64_t kMediaBytes = 1 << 24;

void check_refused(const ControllerConfig& config, const std::string& key) {
  try {
    device::check_config(config, kMediaBytes);
    FAIL("not refused: " << key);
  } catch (const base::UserError& error) {
    CHECK(std::string(error.what()).find(key) != std::string::npos);
  }
}
}  // namespace

TEST_CASE("the parameter tables are complete and the defaults are allowed") {
  base::check_params<ControllerConfig>();
  device::check_config(ControllerConfig{}, kMediaBytes);
}
TEST_CASE("namespaces that do not fit into the media are refused") {
  ControllerConfig config;
  config.namespaces = {{kMediaBytes / 512}, {8}};
  check_refused(config, "namespaces.1");
  config.namespaces = {{0}, {0}};
  check_refused(config, "namespaces.1");
  config.namespaces.clear();
  check_refused(config, "namespaces");
}
TEST_CASE("texts that do not fit into Identify are refused") {
  ControllerConfig config;
  config.identity.serial_number = "123456789012345678901";
  check_refused(config, "serial_number");
  config = {};
  config.identity.model_number = "caf\xC3\xA9";
  check_refused(config, "model_number");
}
TEST_CASE("values that are not offered are refused") {
  ControllerConfig config;
  config.logical_block_bytes = 1024;
  check_refused(config, "logical_block_bytes");
  config = {};
  config.fuses = 1;
  check_refused(config, "fuses");
  config = {};
  config.lpa = 0x20;
  check_refused(config, "lpa");
  config = {};
  config.acl = 200;
  check_refused(config, "admin_command_slots");
}
TEST_CASE("registers of many queues and a wide stride need their room in the BAR") {
  ControllerConfig config;
  config.max_io_queues = 128;
  CHECK(config.register_bytes() == 0x1000 + 129 * 8);
  config.dstrd = 4;
  CHECK(config.register_bytes() == 0x1000 + 128 * 128 + 64 + 4);
}
