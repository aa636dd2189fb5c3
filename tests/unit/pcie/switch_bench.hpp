// A root port, an uplink, a switch, and drives behind it with a host thread and memory above.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "pcie/switch.hpp"
#include "tests/unit/pcie/full_bench.hpp"

namespace nvmesim::test {

inline pcie::LinkConfig link_of(std::uint32_t lanes) {
  pcie::LinkConfig config;
  config.lanes = lanes;
  return config;
}

// Root port 0: a switch with drives behind it.
struct SwitchBench {
  static constexpr auto kUp = base::Splice::Direction::kUpstream;
  base::Scheduler scheduler{"scheduler"};
  HostThread host{"host", scheduler};
  pcie::RootComplex root;
  check::CheckedSockets sockets{true, scheduler};
  Memory memory{"memory", scheduler};
  pcie::Link uplink;
  pcie::Switch sw;
  std::deque<Drive> drives;
  std::vector<pcie::FunctionInfo> functions;

  explicit SwitchBench(std::uint32_t count, const pcie::LinkConfig& up = link_of(4),
                       const pcie::LinkConfig& down = link_of(4), bool peer_to_peer = false,
                       const pcie::RootComplexConfig& config = FullBench::root_config(1),
                       const pcie::EndpointConfig& endpoint = {},
                       const std::vector<pcie::LinkConfig>& first_links = {})  // else `down`
      : root("root", config, scheduler, host),
        uplink("uplink", up, scheduler),
        sw("switch", pcie::SwitchConfig{count, 105, peer_to_peer}, scheduler) {
    sockets.bind("cpu", host.out, root.cpu);
    sockets.bind("memory", root.memory, memory.in, kUp);
    sockets.bind("root_down", root.ports[0].to_link, uplink.from_root);
    sockets.bind("root_up", uplink.to_root, root.ports[0].from_link, kUp);
    sockets.bind("switch_down", uplink.to_endpoint, sw.from_up);
    sockets.bind("switch_up", sw.to_up, uplink.from_endpoint, kUp);
    root.ports[0].attach_below(sw);
    sw.set_uplink(uplink);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string name = "drive" + std::to_string(i);
      auto& drive = drives.emplace_back(name, i < first_links.size() ? first_links[i] : down,
                                        endpoint, scheduler, sockets);
      sockets.bind(name + "_port_down", sw.ports[i].to_link, drive.link.from_root);
      sockets.bind(name + "_port_up", drive.link.to_root, sw.ports[i].from_link, kUp);
      sw.ports[i].attach_below(drive.endpoint);
      sw.ports[i].set_link(drive.link);
      drive.endpoint.set_switch(sw);
    }
  }

  void run(std::function<void()> test) {
    host.body = [this, test = std::move(test)] {
      functions = pcie::enumerate(host, root.config().window());
      for (const auto& function : functions) {
        host.write32(function.id, 4, pcie::kCommandMemorySpace | pcie::kCommandBusMaster);
      }
      test();
    };
    sc_core::sc_start();
    CHECK(host.finished);
    CHECK(sockets.violations(true) == std::vector<std::string>());
  }
};

}  // namespace nvmesim::test
