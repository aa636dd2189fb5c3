// The driver on a whole simulated host, over a real link, in front of a scripted device or of the
// real controller with a medium that keeps everything in memory. What goes over the wire is written
// down as the device meets it: register accesses (doorbells apart), admin commands, I/O commands.
// A protocol checker sits in every socket, and what it finds fails the test.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

#include "device/controller.hpp"
#include "device/core.hpp"
#include "host/kernel/machine.hpp"
#include "host/nvme/dev.hpp"
#include "host/nvme/nvme.hpp"
#include "pcie/endpoint.hpp"
#include "pcie/enumerator.hpp"
#include "pcie/link.hpp"
#include "pcie/root_complex.hpp"
#include "sim/check/checked_sockets.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/host/nvme/ram_media.hpp"
#include "tests/unit/host/nvme/scripted_device.hpp"

namespace nvmesim::test {

struct RigConfig {
  host::HostConfig host;
  host::DriverConfig driver;
  pcie::EndpointConfig endpoint;
};

class HostRig : private pcie::ConfigAccess {
 public:
  explicit HostRig(const RigConfig& config)
      : scheduler("scheduler"),
        machine("host", config.host, scheduler),
        root_complex("root_complex", pcie::RootComplexConfig{}, scheduler, machine),
        link("link", pcie::LinkConfig{}, scheduler),
        endpoint("endpoint", config.endpoint, scheduler),
        memory("memory", config.host, scheduler),
        sockets(true, scheduler),
        driver(std::make_unique<host::Nvme>(machine, stages, config.driver)) {
    constexpr auto kUp = base::Splice::Direction::kUpstream;
    sockets.bind("cpu", machine.bus, root_complex.cpu);
    sockets.bind("memory", root_complex.memory, memory.port, kUp);
    machine.use_memory(memory);
    sockets.bind("root_down", root_complex.ports[0].to_link, link.from_root);
    sockets.bind("root_up", link.to_root, root_complex.ports[0].from_link, kUp);
    sockets.bind("device_down", link.to_endpoint, endpoint.from_link);
    sockets.bind("device_up", endpoint.to_link, link.from_endpoint, kUp);
    endpoint.set_link(link);
    root_complex.ports[0].attach_below(endpoint);
  }

  // Runs `scenario` in a thread of the host until it returns. False if everything stopped before.
  bool run(std::function<void()> scenario) {
    bool ended = false;
    machine.threads.spawn("scenario", [&] {
      scenario();
      ended = true;
      scheduler.stop();
    });
    sc_core::sc_start();
    // The scenario's end cuts requests short: open ones are none.
    CHECK(sockets.violations(false) == std::vector<std::string>());
    return ended;
  }

  // --- for scenarios
  bool boot() {
    functions = pcie::enumerate(*this, {0xC000'0000, 0x2000'0000});
    for (const pcie::FunctionInfo& function : functions) driver->probe(function);
    return driver->wait_ready();
  }
  host::NvmeDev& dev() { return *driver->devices().front(); }
  host::NvmeCtrl& ctrl() { return dev().ctrl(); }
  host::Disk& disk() { return ctrl().namespaces().front()->disk; }

  // Submits a bio and waits for its end.
  host::BlockStatus do_io(host::Bio& bio) {
    host::Completion ended(machine.threads);
    bio.done = base::Callback::of<&host::Completion::complete>(&ended);
    disk().submit(bio);
    ended.wait();
    return bio.status;
  }
  // A read of the first block into a buffer of its own.
  host::BlockStatus read_block() {
    host::Bio bio;
    bio.sectors = 8;
    bio.buffer = disk().allocate_buffer(4096);
    const host::BlockStatus status = do_io(bio);
    disk().free_buffer(bio.buffer);
    return status;
  }
  bool logged(std::string_view text) const { return machine.log.contains(text); }

  base::Scheduler scheduler;
  host::Machine machine;
  pcie::RootComplex root_complex;
  pcie::Link link;
  pcie::Endpoint endpoint;
  host::Memory memory;
  check::CheckedSockets sockets;
  base::StageJoin stages;
  std::unique_ptr<host::Nvme> driver;
  std::vector<pcie::FunctionInfo> functions;

 private:
  std::uint32_t read32(pcie::RequesterId function, unsigned offset) override {
    return machine.read32(function, offset);
  }
  void write32(pcie::RequesterId function, unsigned offset, std::uint32_t value) override {
    machine.write32(function, offset, value);
  }
};

struct ScriptedRig : HostRig {
  explicit ScriptedRig(const RigConfig& config = {})
      : HostRig(config), device(scheduler, endpoint) {
    endpoint.attach(device);
  }
  ScriptedDevice device;
};

struct DriveConfig {
  device::ControllerConfig controller;
  bool volatile_cache = true;
  std::uint64_t media_units = 1 << 18;  // 1 GiB
};

class DriveRig : public HostRig {
 public:
  explicit DriveRig(const RigConfig& config = {}, const DriveConfig& drive = {})
      : HostRig(config),
        media(scheduler, drive.media_units, drive.volatile_cache),
        controller(drive.controller, scheduler, endpoint, media, stages, log) {
    endpoint.attach(controller);
    controller.points().register_access.arm([this](device::RegisterAccess& access) {
      if (access.offset >= spec::kDoorbellBase) return;
      const std::string name = spec::register_name(access.offset);
      // Reads of CSTS while waiting come in any number: one of a row is kept.
      const std::string line =
          access.write ? fmt::format("W {} {:x}", name, access.value) : fmt::format("R {}", name);
      if (line != "R CSTS" || wire.empty() || wire.back() != line) wire.push_back(line);
    });
    controller.points().command_fetched.arm([this](std::uint16_t sqid, spec::SubmissionEntry& e) {
      if (sqid != 0)
        io.push_back(e);
      else
        wire.push_back(fmt::format("{:02x} nsid {:x} {:x} {:x}", e.opc, e.nsid, e.cdw10, e.cdw11));
    });
  }

  std::vector<std::string> wire;
  std::vector<spec::SubmissionEntry> io;
  base::Log log;
  RamMedia media;
  device::Controller controller;
};

}  // namespace nvmesim::test
