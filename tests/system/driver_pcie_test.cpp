// What happens on PCIe and what becomes of the disk: fatal errors, a link that goes down, power
// that is taken away, DMA through an IOMMU.
#include "tests/system/driver_load.hpp"

using namespace nvmesim;
using namespace nvmesim::test;
using host::CtrlState;
using host::SuspendKind;

namespace {

constexpr base::Time kFault = 100ms;

// The first such TLP from then on.
std::vector<std::string> one_fault(const std::string& kind, const std::string& direction,
                                   std::vector<std::string> others = {}) {
  others.push_back("link.faults." + kind + "_ppb=1000000000");
  others.emplace_back("link.faults.most_of_each=1");
  others.push_back("link.faults.direction=" + direction);
  others.emplace_back("link.faults.from_us=100000");
  return others;
}

void wait_for(DriverRig& rig, base::Time when) {
  while (rig.now() < when) rig.sleep_ms(1);
}
// Until so many resets have ended, and a moment more.
void wait_for_resets(DriverRig& rig, unsigned resets) {
  for (unsigned i = 0; i < 2000 && rig.ctrl().resets() < resets; ++i) rig.sleep_ms(1);
  rig.ctrl().flush_reset();
  rig.sleep_ms(1);
}

// Load from before the fault until a while behind it: nothing fails, the disk works.
void survives(DriverRig& rig, unsigned resets) {
  rig.after_boot([&] {
    wait_for(rig, kFault - 2ms);
    Load load(rig, rig.disk());
    wait_for_resets(rig, 1 + resets);
    load.stop();
    CHECK(load.ended > 100);
    CHECK(load.failed == 0);
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    CHECK(rig.ctrl().resets() == 1 + resets);
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.dev().tags_in_use() == 0);
  });
}

}  // namespace

TEST_CASE("after a malformed TLP the bus is reset and the driver brings the drive up again") {
  DriverRig rig(one_fault("malformed", "up"));
  survives(rig, 1);
  CHECK(rig.logged("AER: 0000:00:00.0 met a fatal error") == 1);
  CHECK(rig.logged("frozen state error detected, reset controller") == 1);
  CHECK(rig.logged("restart after slot reset") == 1);
  CHECK(rig.logged("AER: recovery succeeded") == 1);
}

TEST_CASE("a malformed TLP that the drive gets is its fatal error, told to the root port") {
  DriverRig rig(one_fault("malformed", "down"));
  survives(rig, 1);
  CHECK(rig.logged("AER: 0000:01:00.0 met a fatal error") == 1);
  CHECK(rig.logged("AER: recovery succeeded") == 1);
}

TEST_CASE("a link that goes down for a moment costs a recovery and no request") {
  DriverRig rig(one_fault("surprise_down", "up"));
  survives(rig, 1);
  CHECK(rig.logged("AER: recovery succeeded") == 1);
}

TEST_CASE("behind a switch the ports get their configuration back too") {
  DriverRig rig(one_fault("malformed", "down", {"pcie_switch.ports=2"}));
  survives(rig, 1);
  CHECK(rig.logged("AER: recovery succeeded") == 1);
}

TEST_CASE("a switch that is reset as a whole is found as it was") {
  DriverRig rig({"pcie_switch.ports=2"});
  rig.after_boot([&] {
    Load load(rig, rig.disk());
    rig.sleep_ms(1);
    rig.system->uplink()->surprise_down();
    wait_for_resets(rig, 2);
    load.stop();
    CHECK(load.failed == 0);
    CHECK(rig.ctrl().state() == CtrlState::kLive);
  });
  CHECK(rig.logged("AER: recovery succeeded") == 1);
}

TEST_CASE("a kernel that handles no PCIe errors finds the drive gone at the first timeout") {
  DriverRig rig(one_fault("surprise_down", "up", {"host.aer=false"}));
  rig.after_boot([&] {
    wait_for(rig, kFault);
    CHECK(rig.read() != BlockStatus::kOk);
    rig.sleep_ms(1000);
    CHECK(rig.dev().removed());
  });
  CHECK(rig.logged("AER") == 0);
}

// The kernel's recovery would wait for the device that is being shut down, so it is not there: the
// Deletes of the queues end by the time limit of admin commands, the shutdown by its own.
TEST_CASE("a link that goes down in a shutdown costs the time limits of Delete and shutdown once") {
  DriverRig rig;
  rig.after_boot([&] {
    struct Trouble {
      pcie::Link& link;
      void begin() { link.surprise_down(); }
    } trouble{rig.system->link()};
    const base::Time begin = rig.now();
    rig.system->scheduler().after<&Trouble::begin>(1us, &trouble);
    rig.system->shutdown();
    CHECK(rig.now() - begin >= 65s);
    CHECK(rig.now() - begin < 66s);
  });
  CHECK(rig.logged("Device shutdown incomplete; abort shutdown") == 1);
}

TEST_CASE("a dropped completion is a failed transfer in the drive, and the request is sent again") {
  DriverRig rig(one_fault("drop_completion", "down"));
  rig.after_boot([&] {
    wait_for(rig, kFault);
    CHECK(rig.io(BioOp::kWrite) == BlockStatus::kOk);
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.system->endpoint().timeouts() == 1);
  });
}

TEST_CASE("sleep of the whole system takes the drive's power, and it comes back as it was") {
  DriverRig rig({"link.power.aspm=l1"});
  rig.after_boot([&] {
    CHECK(rig.io(BioOp::kWrite, 80) == BlockStatus::kOk);
    const pcie::RequesterId id = rig.dev().function().id;
    const auto express = rig.dev().function().express_capability;
    const std::uint32_t link_control = rig.machine().read32(id, express + 0x10) & 0xFFFF;
    CHECK(link_control == 3);
    CHECK(rig.dev().suspend(SuspendKind::kToRam) == 0);
    CHECK_FALSE(rig.system->endpoint().powered());
    CHECK_FALSE(rig.system->link().up());
    rig.sleep_ms(1000);
    CHECK(rig.dev().resume() == 0);
    rig.ctrl().flush_reset();
    CHECK(rig.system->endpoint().powered());
    CHECK((rig.machine().read32(id, express + 0x10) & 0xFFFF) == link_control);
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    CHECK(rig.io(BioOp::kRead, 80) == BlockStatus::kOk);
  });
}

TEST_CASE("through an IOMMU only what is mapped is reached, and nothing stays mapped") {
  DriverRig rig({"root_complex.iommu.enabled=true", "host.iommu.mode=strict"});
  std::uint64_t at_rest = 0;
  rig.after_boot([&] {
    CHECK(rig.read() == BlockStatus::kOk);
    at_rest = rig.machine().dma.pages();
    CHECK(at_rest > 0);  // queues and lists
    Load load(rig, rig.disk());
    rig.sleep_ms(1);
    CHECK(rig.machine().dma.pages() > at_rest);
    rig.sleep_ms(20);
    load.stop();
    CHECK(load.failed == 0);
    CHECK(rig.machine().dma.pages() == at_rest);
    CHECK(rig.system->root_complex().iommu()->fault_count() == 0);
    rig.system->remove();
  });
  rig.check_nothing_leaked();
  CHECK(rig.machine().dma.pages() == 0);
}

TEST_CASE("DMA that the driver did not map is refused and logged") {
  DriverRig rig({"root_complex.iommu.enabled=true"});
  rig.after_boot([&] {
    const std::array<std::byte, 16> data{};
    const host::DmaMemory elsewhere = rig.machine().pages.allocate_range(4096);
    rig.system->endpoint().dma_write(elsewhere.address, data, {}, {}, {});
    rig.sleep_ms(1);
    CHECK(rig.system->root_complex().iommu()->fault_count() == 1);
    CHECK(rig.logged("no mapping allows its write") == 1);
    rig.sleep_ms(1000);  // the error is reported, and nothing needs to be done
    CHECK(rig.ctrl().state() == CtrlState::kLive);
    CHECK(rig.read() == BlockStatus::kOk);
    rig.machine().pages.free_range(elsewhere);
  });
}

TEST_CASE("a write into a page that is mapped for reading only is refused") {
  DriverRig rig({"root_complex.iommu.enabled=true"});
  rig.after_boot([&] {
    const std::array<std::byte, 16> data{};
    const host::DmaMemory page = rig.machine().pages.allocate_range(4096);
    rig.machine().dma.map(page.address, 4096, false);
    rig.system->endpoint().dma_write(page.address, data, {}, {}, {});
    rig.sleep_ms(1);
    CHECK(rig.system->root_complex().iommu()->fault_count() == 1);
    rig.machine().dma.map(page.address, 4096, true);  // a second user, who is written to
    rig.system->endpoint().dma_write(page.address, data, {}, {}, {});
    rig.sleep_ms(1);
    CHECK(rig.system->root_complex().iommu()->fault_count() == 1);
    rig.machine().dma.unmap(page.address, 4096, true);
    rig.system->endpoint().dma_write(page.address, data, {}, {}, {});
    rig.sleep_ms(1);
    CHECK(rig.system->root_complex().iommu()->fault_count() == 2);
    rig.machine().dma.unmap(page.address, 4096, false);
    rig.machine().pages.free_range(page);
  });
}

TEST_CASE("in passthrough the IOMMU lets everything by, and counts it") {
  DriverRig rig({"root_complex.iommu.enabled=true", "host.iommu.mode=passthrough"});
  rig.after_boot([&] {
    CHECK(rig.read() == BlockStatus::kOk);
    CHECK(rig.machine().dma.pages() == 0);
    CHECK(rig.system->root_complex().iommu()->misses() == 0);
  });
}
