// The configuration of a whole simulated system, and how it is put together: defaults, then a host
// preset, then a drive preset, then the user's settings, each naming only what it changes.
#pragma once

#include <boost/describe.hpp>
#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/controller_config.hpp"
#include "host/kernel/host_config.hpp"
#include "host/nvme/driver_config.hpp"
#include "models/media_config.hpp"
#include "pcie/endpoint.hpp"
#include "pcie/enumerator.hpp"
#include "pcie/link.hpp"
#include "pcie/root_complex.hpp"
#include "pcie/switch.hpp"
#include "sim/base/config.hpp"
#include "sim/system/effects.hpp"

namespace nvmesim::system_ {

// How the simulation itself runs. Nothing of it changes the result of a run that does not hang.
struct SimulationConfig {
  std::uint64_t quantum_ns = 1'000'000'000;
  std::uint64_t hang_after_ms = 300'000;
  bool check_protocol = false;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(SimulationConfig, (), (quantum_ns, hang_after_ms, check_protocol))

// How a port of the drive reaches its namespaces at the start.
enum class PortAccess : std::uint8_t { optimized, non_optimized, inaccessible };
BOOST_DESCRIBE_ENUM(PortAccess, optimized, non_optimized, inaccessible)

struct DeviceConfig {
  std::uint32_t controllers = 1;
  std::vector<PortAccess> access;  // by controller; those behind the end are optimized
  std::string persona;             // a drive of the driver's quirk table to pass for; empty: none
  pcie::EndpointConfig endpoint;
  device::ControllerConfig controller;
  models::MediaConfig media;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(DeviceConfig, (), (controllers, access, persona, endpoint, controller, media))

struct SystemConfig {
  std::uint64_t seed = 1;
  SimulationConfig simulation;
  host::HostConfig host;
  host::DriverConfig driver;
  pcie::RootComplexConfig root_complex;
  // With a switch the drive hangs at its first port by `link`, and the switch at the root by
  // `uplink`.
  pcie::SwitchConfig pcie_switch;
  pcie::LinkConfig uplink;
  pcie::LinkConfig link;
  DeviceConfig device;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(SystemConfig, (),
                      (seed, simulation, host, driver, root_complex, pcie_switch, uplink, link,
                       device))

// What a user asked for.
struct ConfigRequest {
  std::string drive = "p5510";
  std::string host = "default";
  std::vector<std::string> settings;         // path.to.key=value
  std::vector<std::string> driver_settings;  // nvme.parameter=value, by Linux's names
  std::optional<std::uint64_t> seed;
  std::vector<Unread> unread;  // what the one who asks has no use for
};

// Throws UserError that names the source, the key and what is wrong with it, also for values that
// are fine alone but not together, and for settings without effect.
SystemConfig load_config(const ConfigRequest& request);

// What firmware sets when it finds the functions.
pcie::EnumerationOptions enumeration_options(const SystemConfig& config);

// The sections that a "drive" or a "host" file may have.
std::vector<std::string> preset_sections(std::string_view kind);

// The configuration as results show it: everything that can change a result, and the seed apart.
boost::json::value describe_config(const SystemConfig& config);

}  // namespace nvmesim::system_
