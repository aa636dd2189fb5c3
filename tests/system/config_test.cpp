// The configuration as a whole: presets, settings, the table of parameters.
#include <algorithm>
#include <cstdio>
#include <fstream>

#include "sim/system/absent_parts.hpp"
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

// What load_config says; empty if it takes it.
std::string refusal(const system_::ConfigRequest& request) {
  try {
    system_::load_config(request);
  } catch (const base::UserError& error) {
    return error.what();
  }
  return {};
}

TEST_CASE("a setting without effect is refused, and taken with the part that reads it") {
  struct Row {
    const char* setting;
    std::vector<std::string> part;
  };
  const Row rows[] = {
      {"device.media.ftl.slc_fold_start=2", {"device.media.ftl.slc_superblocks=4"}},
      {"device.media.nand.slc_read_ns=20000", {"device.media.ftl.slc_dynamic_superblocks=4"}},
      {"device.media.ftl.gc_choices=5", {"device.media.ftl.gc_policy=d_choices"}},
      {"device.media.ftl.gc_choices=6", {"device.media.ftl.gc_policy=windowed"}},
      {"device.media.nand.suspend_limit=2", {"device.media.nand.program_suspend=true"}},
      {"device.media.nand.suspend_gap_ns=2", {"device.media.nand.erase_suspend=true"}},
      {"device.media.nand.program_suspend_ns=2", {"device.media.nand.program_suspend=true"}},
      {"device.media.read_cache.ahead_after=3",
       {"device.media.read_cache.bytes=16777216", "device.media.read_cache.ahead_units=64"}},
      {"device.media.read_cache.hit_ns=3", {"device.media.read_cache.bytes=16777216"}},
      {"device.media.map_cache.entries_per_page=512", {"device.media.map_cache.bytes=1048576"}},
      {"device.media.dram.map_access_bytes=8", {"device.media.dram.mb_per_s=20000"}},
      {"device.media.reliability.rber_ppb=5", {"device.media.reliability.bit_errors=true"}},
      {"device.media.reliability.initial_retention_days=5",
       {"device.media.reliability.refresh_days=3"}},
      {"device.controller.cmb.access_ns=5", {"device.controller.pmr.pages=16"}},
      {"device.controller.cmb.lists=false", {"device.controller.cmb.pages=16"}},
      {"device.controller.pipeline.lookup_width=2",
       {"device.controller.pipeline.lookup_interval_cycles=5"}},
      {"device.controller.pipeline.read_core_cycles=2", {"device.controller.firmware_cores=2"}},
      {"device.controller.sgl_max_descriptors=2", {"device.controller.sgls=1"}},
      {"link.faults.most_of_each=2", {"link.faults.poison_ppb=5"}},
      {"link.credits.update_latency_ns=2", {"link.credits.posted_headers=64"}},
      {"uplink.faults.from_us=2", {"pcie_switch.ports=2", "uplink.faults.poison_ppb=5"}},
  };
  for (const Row& row : rows) {
    system_::ConfigRequest request;
    request.settings = {row.setting};
    INFO(row.setting);
    CHECK(refusal(request).find(" has no effect: ") != std::string::npos);
    request.settings.insert(request.settings.end(), row.part.begin(), row.part.end());
    CHECK(refusal(request) == "");
  }
}

TEST_CASE("whatever nothing reads is a parameter or a section of them") {
  const auto rows = base::list_params<system_::SystemConfig>();
  system_::SystemConfig config;
  std::vector<system_::Unread> list = system_::absent_parts(config);
  CHECK(list.size() > 50);
  config.device.media.kind = models::MediaKind::xpoint;
  config.pcie_switch.ports = 1;
  config.device.media.map_cache.bytes = 1 << 20;
  for (const system_::Unread& more : system_::absent_parts(config)) list.push_back(more);
  for (const system_::Unread& each : list) {
    INFO(each.section);
    CHECK(std::any_of(rows.begin(), rows.end(), [&](const base::ParamRow& row) {
      return row.path == each.section || row.path.starts_with(each.section + ".");
    }));
  }
}

// A drive file in the working directory, for as long as the object lives.
class DriveFile {
 public:
  DriveFile(std::string path, std::string_view text) : path_(std::move(path)) {
    std::ofstream(path_) << text;
  }
  ~DriveFile() { std::remove(path_.c_str()); }
  system_::ConfigRequest request(std::vector<std::string> settings = {}) const {
    system_::ConfigRequest request;
    request.drive = path_;
    request.settings = std::move(settings);
    return request;
  }

 private:
  std::string path_;
};

TEST_CASE("a file that sets what nothing reads is refused") {
  const DriveFile file("./no_effect_alone.json",
                       R"({"device": {"media": {"map_cache": {"entries_per_page": 512}}}})");
  CHECK(refusal(file.request())
            .find("no_effect_alone.json: device.media.map_cache.entries_per_page has no "
                  "effect: ") != std::string::npos);
  CHECK(refusal(file.request({"device.media.map_cache.bytes=1048576"})) == "");
}

TEST_CASE("a sweep may take away a part that a file describes, and a file may list defaults") {
  const DriveFile file("./with_map_cache.json", R"({"device": {"media": {
    "map_cache": {"bytes": 1048576, "entries_per_page": 512},
    "nand": {"suspend_limit": 8}}}})");
  CHECK(refusal(file.request()) == "");
  CHECK(refusal(file.request({"device.media.map_cache.bytes=0"})) == "");
}

TEST_CASE("a medium that would not be built is refused with the configuration") {
  system_::ConfigRequest request;
  request.settings = {"device.media.kind=xpoint"};
  CHECK(refusal(request).starts_with("device.media.nand."));
}

}  // namespace
}  // namespace nvmesim
