#include "device/admin_config.hpp"

#include <fmt/format.h>

#include "device/controller_config.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::device {

std::span<const base::ParamInfo> RegisterConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"revision", "", 0, 0, "NVMe revision of VS, and of what only 2.0 has"},
      {"mpsmin", "", 0, 4, "CAP.MPSMIN: smallest memory page is 4 KiB << mpsmin"},
      {"cps", "", 0, 3, "CAP.CPS: controller power scope (2.0)"},
      {"crms", "", 0, 3, "CAP.CRMS: 1 = ready with media, 2 = ready independent of media (2.0)"},
      {"media_ready_latency_us", "us", 0, 100'000'000,
       "from controller to media ready; part of the time to CSTS.RDY unless CC.CRIME is 1"},
      {"boot_partition_units", "128 KiB", 0, 512, "size of a boot partition; 0 = CAP.BPS is 0"},
  };
  return kParams;
}

std::span<const base::ParamInfo> ManagementConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"namespaces", "", 0, 1, "OACS bit 3: Namespace Management and Attachment"},
      {"max_namespaces", "namespaces", 1, 1024, "Identify NN when namespaces can be created"},
      {"format", "", 0, 1, "OACS bit 1: Format NVM, with 512 and 4096 byte formats"},
      {"format_ms", "ms", 0, 100'000'000, "least time of a Format NVM, beside the media's own"},
      {"endurance_group", "", 0, 1, "CTRATT bits 2 and 4: one NVM set in one endurance group"},
      {"ana", "", 0, 1, "CMIC bit 3: asymmetric namespace access reporting"},
      {"ana_groups", "groups", 1, 128, "Identify ANAGRPMAX"},
      {"anatt_s", "s", 1, 255, "Identify ANATT: longest ANA transition"},
      {"oaes", "", 0, 0x4F00,
       "notices: 100h namespaces, 200h firmware, 400h telemetry, 800h ANA, 4000h endurance group"},
      {"keep_alive_granularity_100ms", "100 ms", 0, 0xFFFF, "Identify KAS; 0 = no Keep Alive"},
      {"security", "", 0, 1, "OACS bit 0: Security Send and Receive"},
      {"streams", "streams", 0, 0xFFFF, "OACS bit 5: most open streams; 0 = no directives"},
      {"stream_write_blocks", "logical blocks", 1, 0xFFFF, "streams: write size SWS"},
      {"stream_granularity", "SWS", 1, 0xFFFF, "streams: granularity size SGS"},
      {"persistent_events", "events", 16, 2000, "kept by the persistent event log"},
  };
  return kParams;
}

std::span<const base::ParamInfo> FirmwareConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"update", "", 0, 1, "OACS bit 2: Firmware Image Download and Commit"},
      {"slots", "slots", 1, 7, "firmware slots"},
      {"slot1_read_only", "", 0, 1, "FRMW bit 0"},
      {"without_reset", "", 0, 1, "FRMW bit 4: activation without a reset"},
      {"activation_ms", "ms", 0, 1'000'000, "time of an activation; no command is processed"},
      {"mtfa_100ms", "100 ms", 0, 0xFFFF, "Identify MTFA: what the host has to wait"},
      {"granularity_pages", "4 KiB", 1, 254, "Identify FWUG: unit of a download's offset and size"},
      {"max_image_bytes", "bytes", 4096, 67'108'864, "largest image"},
  };
  return kParams;
}

std::span<const base::ParamInfo> SelfTestConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"offered", "", 0, 1, "OACS bit 4: Device Self-test"},
      {"short_ms", "ms", 1, 120'000, "time of a short self-test"},
      {"extended_ms", "ms", 1, 3'932'100'000, "time of an extended one; EDSTT in minutes"},
      {"single", "", 0, 1, "DSTO bit 0: one self-test at a time in the subsystem"},
  };
  return kParams;
}

std::span<const base::ParamInfo> SanitizeConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"sanicap", "", 0, 7, "Sanitize: 1 = crypto erase, 2 = block erase, 4 = overwrite"},
      {"crypto_ms", "ms", 1, 100'000'000, "time of a crypto erase"},
      {"block_ms", "ms", 1, 100'000'000, "time of a block erase"},
      {"overwrite_ms", "ms", 1, 100'000'000, "time of one overwrite pass"},
  };
  return kParams;
}

std::span<const base::ParamInfo> PowerStateConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"max_power_centiwatts", "cW", 0, 0xFFFF, "maximum power MP"},
      {"non_operational", "", 0, 1, "NOPS: no I/O in this state"},
      {"entry_latency_us", "us", 0, 100'000'000, "ENLAT: I/O waits so long behind an entry"},
      {"exit_latency_us", "us", 0, 100'000'000, "EXLAT: the first I/O waits so long"},
      {"max_mb_per_s", "MB/s", 0, 1'000'000, "limit of data in an operational state; 0 = none"},
  };
  return kParams;
}

std::span<const base::ParamInfo> PowerConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"apst", "", 0, 1, "APSTA: autonomous power state transitions"},
  };
  return kParams;
}

std::span<const base::ParamInfo> ThermalConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"model", "", 0, 1, "temperature follows power; else it is temperature_kelvin"},
      {"ambient_kelvin", "K", 200, 400, "temperature around the drive"},
      {"resistance_mk_per_w", "mK/W", 0, 100'000, "thermal resistance to the ambient"},
      {"time_constant_ms", "ms", 1, 10'000'000, "time constant of the drive's heat"},
      {"idle_centiwatts", "cW", 0, 0xFFFF, "power in PS0 without I/O"},
      {"active_centiwatts", "cW", 0, 0xFFFF, "power with I/O all the time"},
      {"sample_ms", "ms", 1, 10'000, "distance of two looks at the temperature"},
      {"host_controlled", "", 0, 1, "HCTMA: host controlled thermal management"},
      {"mntmt_kelvin", "K", 0, 1000, "Identify MNTMT"},
      {"mxtmt_kelvin", "K", 0, 1000, "Identify MXTMT"},
      {"light_mb_per_s", "MB/s", 1, 1'000'000, "limit of data at or above TMT1"},
      {"heavy_mb_per_s", "MB/s", 1, 1'000'000, "limit of data at or above TMT2, or at CCTEMP"},
  };
  return kParams;
}

std::span<const base::ParamInfo> WearConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"spare_percent", "%", 0, 100, "SMART available spare"},
      {"spare_threshold_percent", "%", 0, 100, "below it the drive warns (critical warning bit 0)"},
      {"used_percent", "%", 0, 255, "SMART percentage used"},
      {"read_only", "", 0, 1, "the drive warns that its media is read only (bit 3)"},
  };
  return kParams;
}

void check_admin_config(const ControllerConfig& config) {
  const auto fail = [](std::string_view text) {
    throw base::UserError("controller." + std::string(text));
  };
  if (config.registers.mpsmin > config.mpsmax) fail("registers.mpsmin: at most mpsmax");
  const bool newer = config.registers.revision == Revision::v2_0;
  if (!newer && (config.registers.crms != 0 || config.registers.cps != 0)) {
    fail("registers.crms, cps: need revision v2_0");
  }
  if ((config.lpa & 0x20) != 0 && !newer) fail("lpa: 20h needs registers.revision v2_0");
  if (config.management.namespaces && config.namespaces.size() > config.management.max_namespaces) {
    fail("management.max_namespaces: fewer than the namespaces configured");
  }
  if ((config.management.oaes & ~0x4F00u) != 0) {
    fail("management.oaes: only 100h, 200h, 400h, 800h and 4000h");
  }
  if (config.power.states.size() > 31) fail("power.states: at most 31 beside PS0");
  std::uint32_t before = config.max_power_centiwatts;
  bool non_operational = false;
  for (const PowerStateConfig& state : config.power.states) {
    if (state.max_power_centiwatts > before) fail("power.states: each at most the one before");
    if (non_operational && !state.non_operational) {
      fail("power.states: non-operational ones come last");
    }
    before = state.max_power_centiwatts;
    non_operational = state.non_operational;
  }
  if (config.power.apst && !non_operational) fail("power.apst: needs a non-operational state");
  if (config.thermal.active_centiwatts < config.thermal.idle_centiwatts) {
    fail("thermal.active_centiwatts: at least idle_centiwatts");
  }
  if (config.thermal.host_controlled && !config.thermal.model) {
    fail("thermal.host_controlled: needs thermal.model");
  }
  if (config.firmware.without_reset && !config.firmware.update) {
    fail("firmware.without_reset: needs firmware.update");
  }
  if (config.firmware.update && config.firmware.slots == 1 && config.firmware.slot1_read_only) {
    fail("firmware.slots: the only slot is read only");
  }
}

}  // namespace nvmesim::device
