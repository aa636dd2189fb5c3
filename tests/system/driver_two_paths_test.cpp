// Two controllers of one subsystem probed by one host: a disk with two paths. Which of them is
// used, what becomes of requests when one of them fails or goes, and which controllers are refused.
#include <cstring>

#include "device/core.hpp"
#include "host/nvme/sysfs.hpp"
#include "sim/system/further_controllers.hpp"
#include "tests/system/driver_load.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::CtrlState;
using spec::AnaState;

namespace {

constexpr std::uint8_t kCnsController = 1;
constexpr std::size_t kCmicAt = 76;
constexpr std::size_t kCntlidAt = 78;
constexpr std::size_t kSubnqnAt = 768;

std::vector<std::string> two_ports(std::vector<std::string> more = {}) {
  more.insert(more.end(),
              {"device.controllers=2", "device.controller.namespaces=[{\"shared\":true}]"});
  return more;
}

std::vector<std::string> with_ana(std::vector<std::string> more = {}) {
  more.insert(more.end(),
              {"device.controller.management.ana=true", "device.controller.management.oaes=2048"});
  return two_ports(std::move(more));
}

host::NvmeDev& dev(DriverRig& rig, std::size_t index) {
  return *rig.system->driver().devices()[index];
}

std::uint64_t commands(const DriverRig& rig, unsigned index) {
  return rig.statistic("host.nvme.nvme" + std::to_string(index) + ".commands");
}

std::uint64_t failovers(const DriverRig& rig) {
  return rig.statistic("host.nvme.nvme0.failovers") + rig.statistic("host.nvme.nvme1.failovers");
}

void set_state(DriverRig& rig, unsigned controller, AnaState state) {
  if (controller == 0)
    rig.system->controller().set_ana_state(1, state);
  else
    rig.system->further().controller(controller - 1).set_ana_state(1, state);
}

// How many commands each path gets of a verified job.
std::pair<std::uint64_t, std::uint64_t> shares(DriverRig& rig) {
  const std::uint64_t first = commands(rig, 0);
  const std::uint64_t second = commands(rig, 1);
  rig.verified_traffic();
  return {commands(rig, 0) - first, commands(rig, 1) - second};
}

// Something happens to a path again and again while verified traffic runs.
template <class F>
void disturbed_traffic(DriverRig& rig, unsigned times, base::Time period, F disturb) {
  host::Completion over(rig.machine().threads);
  rig.machine().threads.spawn("disturbance", [&] {
    for (unsigned i = 0; i < times; ++i) {
      rig.machine().threads.sleep_for(period);
      disturb(i);
    }
    over.complete();
  });
  rig.verified_traffic();
  over.wait();
}

std::vector<std::uint8_t> nqn_bytes(const char* text) {
  std::vector<std::uint8_t> bytes(256);
  std::memcpy(bytes.data(), text, std::strlen(text));
  return bytes;
}

void refused_as_duplicate(const char* generation) {
  // The first controller's id becomes that of the second.
  system_::ConfigRequest request;
  request.drive = "p4800x";
  const std::uint32_t id =
      system_::load_config(request).device.controller.identity.controller_id + 1;
  DriverRig rig(two_ports({std::string("driver.generation=") + generation}), {},
                {{kCnsController,
                  0,
                  kCntlidAt,
                  {static_cast<std::uint8_t>(id), static_cast<std::uint8_t>(id >> 8)}}});
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    CHECK(dev(rig, 0).removed() != dev(rig, 1).removed());
    // The one that came first serves the disk.
    CHECK(rig.system->driver().disks().size() == 1);
    CHECK(rig.io(BioOp::kRead) == BlockStatus::kOk);
  }));
  CHECK(rig.logged("Duplicate cntlid") == 1);
  CHECK(rig.logged("Removing after probe failure status: -22") == 1);
}

}  // namespace

TEST_CASE("two controllers of a subsystem lead to one disk, which is read once") {
  DriverRig rig(two_ports());
  rig.after_boot([&] {
    REQUIRE(rig.system->driver().devices().size() == 2);
    CHECK(rig.system->disk()->name() == "nvme0n1");
    CHECK(rig.system->driver().disks().size() == 1);
    CHECK(rig.system->driver().list().size() == 1);
    CHECK(dev(rig, 0).ctrl().namespaces().front()->disk.name() == "nvme0c0n1");
    CHECK(dev(rig, 1).ctrl().namespaces().front()->disk.name() == "nvme0c1n1");
    CHECK(dev(rig, 0).ctrl().subsystem() == dev(rig, 1).ctrl().subsystem());
    CHECK(commands(rig, 0) + commands(rig, 1) == 1);
  });
}

TEST_CASE("without multipath each controller has a disk of its own to the shared namespace") {
  DriverRig rig(two_ports({"driver.multipath=false"}));
  rig.after_boot([&] {
    const auto disks = rig.system->driver().disks();
    REQUIRE(disks.size() == 2);
    CHECK(disks[0]->name() == "nvme0n1");
    CHECK(disks[1]->name() == "nvme1n1");
  });
}

TEST_CASE("policy numa keeps to one path, round-robin takes one after the other") {
  DriverRig rig(two_ports());
  rig.after_boot([&] {
    auto [first, second] = shares(rig);
    CHECK(std::min(first, second) == 0);
    CHECK(std::max(first, second) >= 750);
    CHECK(host::sysfs_store(dev(rig, 1), "iopolicy", "round-robin", false) == 0);
    std::tie(first, second) = shares(rig);
    CHECK(first + second >= 750);
    CHECK(std::max(first, second) - std::min(first, second) <= 1);
    CHECK(host::sysfs_store(dev(rig, 0), "iopolicy", "nearest", false) == -EINVAL);
  });
}

TEST_CASE("both policies prefer an optimized path, and use another one when there is none") {
  DriverRig rig(with_ana({"device.access=[\"non_optimized\",\"optimized\"]"}));
  rig.after_boot([&] {
    CHECK(shares(rig).first == 0);
    dev(rig, 0).ctrl().subsystem()->policy() = host::IoPolicy::round_robin;
    CHECK(shares(rig).first == 0);
    set_state(rig, 1, AnaState::kInaccessible);
    rig.sleep_ms(10);
    CHECK(shares(rig).second == 0);
    set_state(rig, 1, AnaState::kNonOptimized);
    rig.sleep_ms(10);
    const auto [first, second] = shares(rig);
    CHECK(std::max(first, second) - std::min(first, second) <= 1);
    CHECK(failovers(rig) == 0);
  });
}

TEST_CASE("a namespace that no controller gives access to has no disk until one does") {
  DriverRig rig(with_ana({"device.access=[\"inaccessible\",\"inaccessible\"]"}));
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    CHECK(dev(rig, 1).ctrl().state() == CtrlState::kLive);
    CHECK(dev(rig, 1).ctrl().namespaces().size() == 1);
    CHECK(rig.system->driver().disks().empty());
    set_state(rig, 1, AnaState::kNonOptimized);
    rig.sleep_ms(10);
    REQUIRE(rig.system->driver().disks().size() == 1);
    CHECK(commands(rig, 1) == 1);
    CHECK(commands(rig, 0) == 0);
  }));
}

TEST_CASE("requests of a path that becomes inaccessible go by the other one, their data right") {
  DriverRig rig(with_ana());
  rig.after_boot([&] {
    // Until the host has read the log, the drive refuses what comes.
    rig.rules->on_command(fault::admin_command(spec::AdminOpcode::kGetLogPage,
                                               static_cast<std::uint8_t>(
                                                   spec::LogPageId::kAsymmetricNamespaceAccess)),
                          fault::kEveryTime, {.delay = 300us});
    // One of the two is always accessible.
    disturbed_traffic(rig, 8, 800us, [&](unsigned i) {
      set_state(rig, (i + 1) % 2, AnaState::kOptimized);
      rig.machine().threads.sleep_for(500us);
      set_state(rig, i % 2, AnaState::kInaccessible);
    });
    CHECK(failovers(rig) > 0);
    CHECK(commands(rig, 0) > 0);
    CHECK(commands(rig, 1) > 0);
    CHECK(dev(rig, 0).ctrl().resets() == 1);
    CHECK(dev(rig, 1).ctrl().resets() == 1);
  });
  CHECK(rig.logged("failing I/O") == 0);
}

TEST_CASE("resets of one path's controller after the other fail no request") {
  DriverRig rig(two_ports({"driver.iopolicy=round_robin"}));
  rig.after_boot([&] {
    disturbed_traffic(rig, 6, 300us,
                      [&](unsigned i) { CHECK(dev(rig, i % 2).ctrl().reset_ctrl_sync() == 0); });
    for (unsigned i = 0; i < 2; ++i) {
      CHECK(dev(rig, i).ctrl().resets() == 4);  // the start is one
      CHECK(commands(rig, i) > 100);
    }
    rig.verified_traffic();
    rig.system->remove();
  });
  CHECK(rig.logged("no usable path") == 0);
  rig.check_nothing_leaked();
}

TEST_CASE("a path that is taken away under load leaves the disk to the other one") {
  DriverRig rig(two_ports({"driver.iopolicy=round_robin"}));
  rig.after_boot([&] {
    disturbed_traffic(rig, 1, 500us, [&](unsigned) { dev(rig, 0).unbind(); });
    CHECK(dev(rig, 0).removed());
    CHECK(rig.system->driver().disks().size() == 1);
    CHECK(rig.system->disk()->capacity_sectors() != 0);
    const std::uint64_t before = commands(rig, 0);
    rig.verified_traffic();
    CHECK(commands(rig, 0) == before);
    // It comes back as a path of the same disk, and then the other one goes.
    CHECK(rig.system->driver().probe(dev(rig, 0).function()) == 0);
    CHECK(rig.system->driver().wait_ready());
    REQUIRE(rig.system->driver().devices().size() == 3);
    CHECK(dev(rig, 2).ctrl().name() == "nvme2");
    CHECK(rig.system->driver().disks().size() == 1);
    disturbed_traffic(rig, 1, 500us, [&](unsigned) { dev(rig, 1).unbind(); });
    rig.verified_traffic();
    rig.system->remove();
    CHECK(rig.system->driver().disks().empty());
  });
  CHECK(rig.logged("failing I/O") == 0);
  rig.check_nothing_leaked();
}

TEST_CASE("a path that is pulled out under load loses no request") {
  bool pulled = false;
  DriverRig rig(two_ports({"driver.iopolicy=round_robin"}),
                {{.when = [&pulled](auto, const auto&) { return pulled; },
                  .count = ~0ull,
                  .action = fault::RequestRule::Action::kFail}});
  rig.after_boot([&] {
    disturbed_traffic(rig, 1, 500us, [&](unsigned) {
      pulled = true;
      rig.machine().threads.sleep_for(200us);  // until the slot notices
      dev(rig, 0).unbind();
    });
    CHECK(dev(rig, 0).ctrl().state() == CtrlState::kDeletingNoIo);  // by way of DEAD
    CHECK(failovers(rig) > 0);
    rig.verified_traffic();
    rig.system->remove();
  });
  rig.check_nothing_leaked();
}

TEST_CASE("with its last path the disk goes, and what it has fails") {
  DriverRig rig(two_ports());
  rig.after_boot([&] {
    host::BlockDevice& head = *rig.system->disk();
    dev(rig, 0).unbind();
    dev(rig, 1).unbind();
    host::Bio bio;
    bio.sectors = 8;
    bio.buffer = head.allocate_buffer(4096);
    CHECK(rig.end(bio) == BlockStatus::kIoError);
    head.free_buffer(bio.buffer);
    rig.system->remove();
  });
  CHECK(rig.logged("no available path - failing I/O") == 1);
  rig.check_nothing_leaked();
}

TEST_CASE("a controller whose id its subsystem has already is refused, 5.15") {
  refused_as_duplicate("v5_15");
}

TEST_CASE("a controller whose id its subsystem has already is refused, 6.1") {
  refused_as_duplicate("v6_1");
}

TEST_CASE("a second controller that says its subsystem has only one is refused") {
  DriverRig rig(two_ports(), {}, {{kCnsController, 0, kCmicAt, {0}}});
  rig.rules->on_command(fault::admin_command(spec::AdminOpcode::kIdentify), fault::kEveryTime,
                        {.delay = 5ms});  // so that it comes last
  REQUIRE(rig.system->run([&] {
    CHECK_FALSE(rig.system->boot());
    CHECK(dev(rig, 0).removed());
    CHECK_FALSE(dev(rig, 1).removed());
    CHECK(rig.system->disk()->name() == "nvme1n1");
  }));
  CHECK(rig.logged("Subsystem does not support multiple controllers") == 1);
}

TEST_CASE("controllers that name different subsystems have disks of their own") {
  DriverRig rig(two_ports(), {}, {{kCnsController, 0, kSubnqnAt, nqn_bytes("nqn.test:other")}});
  rig.after_boot([&] {
    CHECK(dev(rig, 0).ctrl().subsystem_nqn() == "nqn.test:other");
    CHECK(dev(rig, 0).ctrl().subsystem() != dev(rig, 1).ctrl().subsystem());
    const auto disks = rig.system->driver().disks();
    REQUIRE(disks.size() == 2);
    CHECK(disks[0]->name() == "nvme0n1");
    CHECK(disks[1]->name() == "nvme1n1");
  });
}

TEST_CASE("controllers without a name for their subsystem belong together by serial and model") {
  DriverRig rig(two_ports({"device.controller.identity.subnqn="}));
  rig.after_boot([&] {
    CHECK(dev(rig, 0).ctrl().subsystem() == dev(rig, 1).ctrl().subsystem());
    CHECK(rig.system->driver().disks().size() == 1);
  });
}
