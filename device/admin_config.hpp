// Parameters of the administrative parts of a controller: registers of newer revisions, namespace
// management, firmware, self-test, sanitize, power, temperature. A part of ControllerConfig. All
// that a driver would notice is off by default.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/config.hpp"

namespace nvmesim::device {

BOOST_DEFINE_ENUM_CLASS(Revision, v1_4, v2_0)

// Fields of VS, CAP and CRTO.
struct RegisterConfig {
  Revision revision = Revision::v1_4;
  std::uint32_t mpsmin = 0;
  std::uint32_t cps = 0;
  std::uint32_t crms = 0;  // 2.0; bit 0: ready with media, bit 1: ready independent of media
  std::uint32_t media_ready_latency_us = 0;
  std::uint32_t boot_partition_units = 0;  // of 128 KiB; CAP.BPS if not 0

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(RegisterConfig, (),
                      (revision, mpsmin, cps, crms, media_ready_latency_us, boot_partition_units))

struct ManagementConfig {
  bool namespaces = false;  // OACS bit 3: Namespace Management and Attachment
  std::uint32_t max_namespaces = 16;
  bool format = false;  // OACS bit 1
  std::uint32_t format_ms = 200;
  bool endurance_group = false;  // CTRATT bits 2 and 4: one NVM set in one endurance group
  bool ana = false;              // CMIC bit 3
  std::uint32_t ana_groups = 2;
  std::uint32_t anatt_s = 10;
  std::uint32_t oaes = 0;
  std::uint32_t keep_alive_granularity_100ms = 0;  // KAS
  bool security = false;                           // OACS bit 0
  std::uint32_t streams = 0;                       // OACS bit 5; MSL
  std::uint32_t stream_write_blocks = 8;           // SWS
  std::uint32_t stream_granularity = 64;           // SGS
  std::uint32_t persistent_events = 256;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(ManagementConfig, (),
                      (namespaces, max_namespaces, format, format_ms, endurance_group, ana,
                       ana_groups, anatt_s, oaes, keep_alive_granularity_100ms, security, streams,
                       stream_write_blocks, stream_granularity, persistent_events))

struct FirmwareConfig {
  bool update = false;  // OACS bit 2
  std::uint32_t slots = 1;
  bool slot1_read_only = true;
  bool without_reset = false;  // FRMW bit 4
  std::uint32_t activation_ms = 500;
  std::uint32_t mtfa_100ms = 20;
  std::uint32_t granularity_pages = 1;  // FWUG, 4 KiB
  std::uint32_t max_image_bytes = 1'048'576;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(FirmwareConfig, (),
                      (update, slots, slot1_read_only, without_reset, activation_ms, mtfa_100ms,
                       granularity_pages, max_image_bytes))

struct SelfTestConfig {
  bool offered = false;  // OACS bit 4
  std::uint32_t short_ms = 60'000;
  std::uint32_t extended_ms = 600'000;
  bool single = true;  // DSTO bit 0: one at a time in the subsystem

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(SelfTestConfig, (), (offered, short_ms, extended_ms, single))

struct SanitizeConfig {
  std::uint32_t sanicap = 0;  // 1 crypto erase, 2 block erase, 4 overwrite
  std::uint32_t crypto_ms = 100;
  std::uint32_t block_ms = 2'000;
  std::uint32_t overwrite_ms = 10'000;  // a pass

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(SanitizeConfig, (), (sanicap, crypto_ms, block_ms, overwrite_ms))

// A power state below PS0.
struct PowerStateConfig {
  std::uint32_t max_power_centiwatts = 500;
  bool non_operational = false;
  std::uint32_t entry_latency_us = 0;
  std::uint32_t exit_latency_us = 0;
  std::uint32_t max_mb_per_s = 0;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(PowerStateConfig, (),
                      (max_power_centiwatts, non_operational, entry_latency_us, exit_latency_us,
                       max_mb_per_s))

struct PowerConfig {
  std::vector<PowerStateConfig> states;  // PS1 and on; PS0 is max_power_centiwatts
  bool apst = false;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(PowerConfig, (), (states, apst))

// The drive as one heat capacity behind one thermal resistance.
struct ThermalConfig {
  bool model = false;  // else the temperature is temperature_kelvin for ever
  std::uint32_t ambient_kelvin = 303;
  std::uint32_t resistance_mk_per_w = 4'000;
  std::uint32_t time_constant_ms = 30'000;
  std::uint32_t idle_centiwatts = 300;
  std::uint32_t active_centiwatts = 1'200;
  std::uint32_t sample_ms = 100;
  bool host_controlled = false;  // HCTMA
  std::uint32_t mntmt_kelvin = 318;
  std::uint32_t mxtmt_kelvin = 358;
  std::uint32_t light_mb_per_s = 1'000;
  std::uint32_t heavy_mb_per_s = 200;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(ThermalConfig, (),
                      (model, ambient_kelvin, resistance_mk_per_w, time_constant_ms,
                       idle_centiwatts, active_centiwatts, sample_ms, host_controlled, mntmt_kelvin,
                       mxtmt_kelvin, light_mb_per_s, heavy_mb_per_s))

// How old the drive is.
struct WearConfig {
  std::uint32_t spare_percent = 100;
  std::uint32_t spare_threshold_percent = 10;
  std::uint32_t used_percent = 0;
  bool read_only = false;  // only the warning: writes go on

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(WearConfig, (),
                      (spare_percent, spare_threshold_percent, used_percent, read_only))

struct ControllerConfig;
// What no range of a single parameter can say. Throws UserError.
void check_admin_config(const ControllerConfig& config);

}  // namespace nvmesim::device
