// The driver on a whole system whose drive and link can be made to fail: a small p4800x, the log of
// the host, fault rules at the controller, bios from a thread, and verified jobs.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "host/nvme/dev.hpp"
#include "sim/fault/rules.hpp"
#include "sim/system/system.hpp"
#include "sim/workload/job_runner.hpp"
#include "tests/support/catch.hpp"
#include "tests/system/identify_edit.hpp"

namespace nvmesim::test {

using host::BioOp;
using host::BlockStatus;
namespace spec = device::spec;

class DriverRig {
 public:
  explicit DriverRig(std::vector<std::string> settings = {},
                     std::vector<fault::RequestRule> link_faults = {},
                     const std::vector<IdentifyEdit>& identify = {},
                     const std::string& drive = "p4800x") {
    system_::ConfigRequest request;
    request.drive = drive;
    for (const IdentifyEdit& edit : identify) link_faults.push_back(edit.link_rule());
    for (const fault::RequestRule& rule : link_faults) {
      data_changes |= rule.action == fault::RequestRule::Action::kChange;
    }
    request.settings = {"host.cpus=4", "device.controller.max_io_queues=4",
                        "device.media.capacity_bytes=1073741824", "simulation.check_protocol=true"};
    for (std::string& setting : settings) request.settings.push_back(std::move(setting));
    system_::SystemHooks hooks;
    hooks.kernel_log = [this](const host::PrintLine& line) { log.push_back(line.to_string()); };
    hooks.link_faults = std::move(link_faults);
    system = std::make_unique<system_::System>(system_::load_config(request), std::move(hooks));
    rules = std::make_unique<fault::Rules>(system->scheduler());
    for (const IdentifyEdit& edit : identify) edit.arm(*rules);
    rules->arm(system->controller().points());
  }

  // Boots, then runs the scenario; without one the boot is the scenario.
  template <class F>
  void after_boot(F scenario) {
    REQUIRE(system->run([&] {
      CHECK(system->boot());
      scenario();
    }));
    // A fault that changes written data on its way is what the checker looks for.
    if (!data_changes) CHECK(system->protocol_violations() == std::vector<std::string>());
  }

  host::NvmeDev& dev() { return *system->driver().devices().front(); }
  host::NvmeCtrl& ctrl() { return dev().ctrl(); }
  host::Disk& disk() { return ctrl().namespaces().front()->disk; }
  host::Machine& machine() { return system->machine(); }
  void sleep_ms(std::uint64_t milliseconds) { machine().threads.msleep(milliseconds); }
  base::Time now() { return system->scheduler().now(); }

  BlockStatus io(BioOp op, std::uint64_t sector = 0, std::uint32_t sectors = 8) {
    host::Disk& on = disk();
    host::Completion ended(machine().threads);
    host::Bio bio;
    bio.op = op;
    bio.sector = sector;
    bio.sectors = op == BioOp::kFlush ? 0 : sectors;
    bio.buffer = on.allocate_buffer(sectors * 512);
    bio.done = base::Callback::of<&host::Completion::complete>(&ended);
    on.submit(bio);
    ended.wait();
    on.free_buffer(bio.buffer);
    return bio.status;
  }
  BlockStatus read() { return io(BioOp::kRead); }
  // A bio of the test's own, to its end.
  BlockStatus end(host::Bio& bio) {
    host::Completion ended(machine().threads);
    bio.done = base::Callback::of<&host::Completion::complete>(&ended);
    system->disk()->submit(bio);
    ended.wait();
    return bio.status;
  }

  // A fio job of several sections on the disk, its data verified and read back: nothing may fail.
  workload::WorkloadResult verified_job(std::string_view text) {
    const workload::JobFile file = workload::parse_job(text, "test");
    workload::RunnerConfig run;
    run.verify = true;
    workload::JobRunner runner(system->scheduler(), *system->disk(), file, run);
    CHECK_FALSE(system->run_workload(runner).has_value());
    const workload::WorkloadResult result = runner.result();
    CHECK(result.complete);
    CHECK(result.requests_failed == 0);
    CHECK(result.requests_lost() == 0);
    REQUIRE(result.verified.has_value());
    CHECK(result.verified->passed());
    CHECK(result.verified->sectors_checked > 0);
    return result;
  }
  // Writes and reads of several sizes, deep, on all processors.
  workload::WorkloadResult verified_traffic() {
    return verified_job(
        "[global]\nrw=randrw\nioengine=io_uring\niodepth=16\nsize=8m\nnumber_ios=150\n"
        "[small]\nbs=4k\nnumjobs=4\noffset_increment=16m\n"
        "[large]\nbs=128k\noffset=128m\n");
  }
  // Traffic, a reset, traffic again; nothing is left of it.
  void traffic_around_a_reset() {
    verified_traffic();
    CHECK(ctrl().reset_ctrl_sync() == 0);
    ctrl().flush_scan();
    verified_traffic();
    CHECK(dev().tags_in_use() <= 1);  // the request for an event has a tag of its own
    CHECK(dev().pool_blocks_in_use() == 0);
  }
  std::uint64_t statistic(std::string_view name) const {
    for (const base::Statistic& each : system->statistics().statistics())
      if (each.name == name) return each.value();
    FAIL("no statistic " << name);
    return 0;
  }

  unsigned logged(std::string_view text) const {
    return static_cast<unsigned>(std::count_if(log.begin(), log.end(), [&](const auto& line) {
      return line.find(text) != std::string::npos;
    }));
  }
  // Nothing that requests hold is held, and after removal nothing at all.
  void check_nothing_leaked() {
    // The root port's service may go on.
    const unsigned service = machine().interrupts.vectors_of(pcie::make_id(0, 0, 0));
    CHECK(machine().interrupts.vectors_in_use() == service);
    CHECK(machine().interrupts.handlers_in_use() == service);
    CHECK(machine().pages.coherent_bytes_in_use() == 0);
    CHECK(dev().pool_blocks_in_use() == 0);
    CHECK(dev().tags_in_use() == 0);
  }

  std::vector<std::string> log;
  bool data_changes = false;  // on the link, by a fault
  std::unique_ptr<system_::System> system;
  std::unique_ptr<fault::Rules> rules;
};

}  // namespace nvmesim::test
