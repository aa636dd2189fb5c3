// A drive with two ports: two functions, two controllers, one NVM subsystem.
#include "device/core.hpp"
#include "sim/system/further_controllers.hpp"
#include "tests/system/driver_rig.hpp"

using namespace nvmesim;
using namespace nvmesim::test;

namespace {

std::vector<std::string> two_ports(const char* namespaces = "[{\"shared\": true}]") {
  return {"device.controllers=2", std::string("device.controller.namespaces=") + namespaces};
}

host::Disk& disk_of(DriverRig& rig, std::size_t device) {
  return rig.system->driver().devices()[device]->ctrl().namespaces().front()->disk;
}

// Runs a request on a disk whose buffer holds `value`; what the buffer holds afterwards.
std::uint64_t transfer(DriverRig& rig, host::Disk& disk, BioOp op, std::uint64_t value) {
  host::Completion ended(rig.machine().threads);
  host::Bio bio;
  bio.op = op;
  bio.sector = 8;
  bio.sectors = 8;
  bio.buffer = disk.allocate_buffer(4096);
  disk.write_buffer(bio.buffer, 0, std::as_bytes(std::span(&value, 1)));
  bio.done = base::Callback::of<&host::Completion::complete>(&ended);
  disk.submit(bio);
  ended.wait();
  CHECK(bio.status == BlockStatus::kOk);
  disk.read_buffer(bio.buffer, 0, std::as_writable_bytes(std::span(&value, 1)));
  disk.free_buffer(bio.buffer);
  return value;
}

}  // namespace

TEST_CASE("both ports of a drive lead to its shared namespace") {
  DriverRig rig(two_ports());
  rig.after_boot([&] {
    REQUIRE(rig.system->driver().devices().size() == 2);
    transfer(rig, disk_of(rig, 0), BioOp::kWrite, 0x1122'3344'5566'7788);
    CHECK(transfer(rig, disk_of(rig, 1), BioOp::kRead, 0) == 0x1122'3344'5566'7788);
    transfer(rig, disk_of(rig, 1), BioOp::kWrite, 42);
    CHECK(transfer(rig, disk_of(rig, 0), BioOp::kRead, 0) == 42);
  });
}
TEST_CASE("a private namespace is reached through the first port only") {
  DriverRig rig(two_ports("[{\"blocks\": 1000, \"shared\": true}, {\"blocks\": 2000}]"));
  rig.after_boot([&] {
    REQUIRE(rig.system->driver().devices().size() == 2);
    CHECK(rig.system->driver().devices()[0]->ctrl().namespaces().size() == 2);
    CHECK(rig.system->driver().devices()[1]->ctrl().namespaces().size() == 1);
  });
}
TEST_CASE("a reset of one port's controller leaves the other's requests alone") {
  DriverRig rig(two_ports());
  rig.after_boot([&] {
    transfer(rig, disk_of(rig, 1), BioOp::kWrite, 7);
    CHECK(rig.system->driver().devices()[0]->ctrl().reset_ctrl_sync() == 0);
    CHECK(transfer(rig, disk_of(rig, 1), BioOp::kRead, 0) == 7);
    CHECK(transfer(rig, disk_of(rig, 0), BioOp::kRead, 0) == 7);
    CHECK(rig.system->controller().core().subsystem.size() == 2);
  });
}
