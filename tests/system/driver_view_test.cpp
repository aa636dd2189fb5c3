// What a user sees of the driver: personas of the quirk table, sysfs, trace events.
#include <regex>

#include "host/nvme/sysfs.hpp"
#include "sim/system/personas.hpp"
#include "tests/system/driver_rig.hpp"

using namespace nvmesim;
using namespace nvmesim::test;

namespace {

std::string value_of(const std::vector<host::SysfsAttribute>& attributes, std::string_view path) {
  for (const auto& attribute : attributes)
    if (attribute.path == path) return attribute.value;
  return "(none)";
}

}  // namespace

TEST_CASE("each persona names a drive of the table") {
  for (const system_::Persona& persona : system_::personas()) {
    system_::ConfigRequest request;
    request.drive = "p4800x";
    request.settings = {fmt::format("device.persona={}", persona.name)};
    const system_::SystemConfig config = system_::load_config(request);
    INFO(persona.name);
    CHECK(config.device.endpoint.vendor_id == persona.vendor);
    CHECK(config.device.controller.identity.vendor_id == persona.vendor);
    host::Quirks quirks = host::quirks_of(persona.vendor, persona.device, true);
    host::add_core_quirks(persona.vendor, config.device.controller.identity.model_number,
                          config.device.controller.identity.firmware_revision, true, quirks);
    const std::array<bool, 17> oddities{quirks.stripe_size,
                                        quirks.identify_cns,
                                        quirks.deallocate_zeroes,
                                        quirks.delay_before_check_ready,
                                        quirks.no_apst,
                                        quirks.no_deepest_power_state,
                                        quirks.queue_depth_one,
                                        quirks.medium_priority_queues,
                                        quirks.disable_write_zeroes,
                                        quirks.single_vector,
                                        quirks.no_namespace_descriptors,
                                        quirks.skip_generation,
                                        quirks.bogus_ids,
                                        quirks.ignore_subnqn,
                                        quirks.simple_suspend,
                                        quirks.sqes_128,
                                        quirks.fixed_temp_thresholds};
    CHECK(std::count(oddities.begin(), oddities.end(), true) >= 1);
  }
  CHECK_THROWS_AS(system_::load_config({.settings = {"device.persona=intel-0954"}}),
                  base::UserError);
}

TEST_CASE("a drive that is late to be ready is waited for 2.3 s before it is asked") {
  DriverRig rig({"device.persona=hgst-0003"});
  rig.after_boot([&] {
    CHECK(rig.now() > 2300ms);
    CHECK(rig.read() == BlockStatus::kOk);
  });
}

TEST_CASE("a drive that takes one command at a time gets one, from one vector") {
  DriverRig rig({"device.persona=apple-2001"});
  rig.after_boot([&] {
    CHECK(rig.dev().queue_depth() == 2);
    CHECK(rig.dev().num_vecs() == 1);
    CHECK(rig.read() == BlockStatus::kOk);
  });
}

TEST_CASE("a striped drive gets no request across its stripes") {
  DriverRig rig({"device.persona=intel-0953", "device.controller.mdts=5"});
  rig.after_boot([&] {
    CHECK(rig.disk().limits().chunk_sectors == 256);
    CHECK(rig.io(BioOp::kRead, 128, 256) == BlockStatus::kOk);
    CHECK(rig.disk().queue().bios_split() == 1);
  });
}

TEST_CASE("module parameters have Linux's names, defaults and ranges") {
  const auto with = [](const std::string& setting) {
    system_::ConfigRequest request;
    request.driver_settings = {setting};
    return system_::load_config(request).driver;
  };
  const host::DriverConfig config = with("nvme.io_queue_depth=4095");
  CHECK(config.io_queue_depth == 4095);
  CHECK(config.max_host_mem_size_mb == 128);
  CHECK(config.sgl_threshold == 32768);
  CHECK(config.use_cmb_sqes);
  CHECK_FALSE(config.use_threaded_interrupts);
  CHECK(config.write_queues + config.poll_queues == 0);
  CHECK_FALSE(config.noacpi);
  CHECK(config.admin_timeout == 60);
  CHECK(config.io_timeout == 30);
  CHECK(config.shutdown_timeout == 5);
  CHECK(config.max_retries == 5);
  CHECK(config.default_ps_max_latency_us == 100'000);
  CHECK(config.apst_primary_timeout_ms == 100);
  CHECK(config.apst_secondary_timeout_ms == 2000);
  CHECK(config.multipath);
  CHECK_FALSE(config.streams);
  CHECK(with("nvme.poll_queues=2").poll_queues == 2);
  CHECK(with("nvme_core.multipath=false").multipath == false);
  for (const char* wrong : {"nvme.io_queue_depth=1", "nvme.io_queue_depth=4096",
                            "nvme.write_queues=9", "nvme.poll_queues=9", "nvme.unknown=1",
                            "nvme_core.shutdown_timeout=256", "nvme_core.max_retries=256"}) {
    INFO(wrong);
    CHECK_THROWS_AS(with(wrong), base::UserError);
  }
}

TEST_CASE("sysfs shows what the drive said of itself") {
  DriverRig rig;
  rig.after_boot([&] {
    const auto attributes = host::sysfs_attributes(rig.dev(), true, true);
    const std::string ctrl = "/sys/class/nvme/nvme0/";
    CHECK(value_of(attributes, ctrl + "state") == "live");
    CHECK(value_of(attributes, ctrl + "transport") == "pcie");
    CHECK(value_of(attributes, ctrl + "address") == "0000:01:00.0");
    CHECK(value_of(attributes, ctrl + "queue_count") == "5");
    CHECK(value_of(attributes, ctrl + "sqsize") == "1023");
    CHECK(value_of(attributes, ctrl + "cntlid") == "1");
    CHECK(value_of(attributes, ctrl + "serial").substr(0, 16) == "NVS4800000000001");
    CHECK(value_of(attributes, ctrl + "cmb") == "(none)");
    CHECK(value_of(attributes, ctrl + "subsysnqn").substr(0, 4) == "nqn.");
    CHECK(value_of(attributes, "/sys/block/nvme0n1/nsid") == "1");
    CHECK(value_of(attributes, "/sys/block/nvme0n1/wwid").size() > 10);
    CHECK(value_of(attributes, ctrl + "hwmon0/temp1_label") == "Composite");
    CHECK(std::stoi(value_of(attributes, ctrl + "hwmon0/temp1_input")) > 0);
  });
}

TEST_CASE("trace events have the format of the kernel") {
  DriverRig rig;
  std::vector<std::string> lines;
  rig.system->driver().set_trace_sink([&](std::string_view line) { lines.emplace_back(line); });
  rig.after_boot([&] {
    lines.clear();
    CHECK(rig.read() == BlockStatus::kOk);
  });
  REQUIRE(lines.size() == 3);
  const std::string head = R"( *\S+-\d+ +\[\d{3}\] \S{5} +\d+\.\d{6}: )";
  CHECK(std::regex_match(
      lines[0], std::regex(head + R"(nvme_setup_cmd: nvme0: disk=nvme0n1, qid=1, cmdid=\d+, )"
                                  R"(nsid=1, flags=0x0, meta=0x0, cmd=\(nvme_cmd_read slba=0, )"
                                  R"(len=7, ctrl=0x0, dsmgmt=0, reftag=0\))")));
  CHECK(std::regex_match(
      lines[1], std::regex(head + R"(nvme_sq: nvme0: disk=nvme0n1, qid=1, head=\d+, tail=\d+)")));
  CHECK(std::regex_match(
      lines[2], std::regex(head + R"(nvme_complete_rq: nvme0: disk=nvme0n1, qid=1, cmdid=\d+, )"
                                  R"(res=0x0, retries=0, flags=0x0, status=0x0)")));
}
