// The configuration as a whole: presets, settings, the table of parameters.
#include "sim/system/presets.hpp"
#include "sim/system/system_config.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

TEST_CASE("every preset gives a valid configuration") {
  for (const std::string& drive : system_::preset_names("drives")) {
    for (const std::string& host : system_::preset_names("hosts")) {
      system_::ConfigRequest request;
      request.drive = drive;
      request.host = host;
      CHECK_NOTHROW(system_::load_config(request));
    }
  }
}

TEST_CASE("every parameter has a row with help, and a printed configuration reads back the same") {
  const auto rows = base::list_params<system_::SystemConfig>();
  CHECK(rows.size() > 100);
  for (const base::ParamRow& row : rows) {
    INFO(row.path);
    CHECK_FALSE(row.help.empty());
  }
  system_::ConfigRequest request;
  const auto config = system_::load_config(request);
  const auto printed = base::write_config(config);
  system_::SystemConfig again;
  base::read_config(printed, again, "printed");
  CHECK(base::write_config(again) == printed);
}

TEST_CASE("a module parameter goes to the driver by its Linux name") {
  system_::ConfigRequest request;
  request.driver_settings = {"nvme.io_queue_depth=64", "nvme_core.io_timeout=7"};
  const auto config = system_::load_config(request);
  CHECK(config.driver.io_queue_depth == 64);
  CHECK(config.driver.io_timeout == 7);
}

TEST_CASE("a preset of a drive cannot change the host") {
  CHECK_THROWS_AS(system_::load_preset("drives", "nothing-like-it"), base::UserError);
  CHECK_THROWS_AS(system_::load_preset("drives", "./nowhere.json"), base::UserError);
}

TEST_CASE("settings that do not fit together are refused") {
  system_::ConfigRequest request;
  request.settings = {"device.controller.max_io_queues=1024"};  // doorbells reach the MSI-X table
  CHECK_THROWS_AS(system_::load_config(request), base::UserError);
}

}  // namespace
}  // namespace nvmesim
