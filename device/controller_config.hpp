// Everything about a controller that a drive's data sheet or firmware fixes: identity, limits,
// optional commands, times. Cycles are those of `clock_mhz`. A controller built from it checks it
// once (check_config) and never changes it.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "device/admin_config.hpp"
#include "device/data_config.hpp"
#include "device/spec/identify.hpp"
#include "sim/base/config.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::device {

struct IdentityConfig {
  // Who builds the system sets these two from the endpoint's configuration space.
  std::uint32_t vendor_id = 0x1B36;
  std::uint32_t subsystem_vendor_id = 0x1AF4;
  std::string model_number = "nvmesim NVMe drive";
  std::string serial_number = "NVMESIM000000001";
  std::string firmware_revision = "1.0";
  std::uint32_t ieee_oui = 0x525400;
  std::string subnqn = "nqn.2026-01.org.nvmesim:drive0";
  std::uint32_t controller_id = 1;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(IdentityConfig, (),
                      (model_number, serial_number, firmware_revision, ieee_oui, subnqn,
                       controller_id))

// The stages of the command path. A stage accepts a new command every `*_interval_cycles` and takes
// `*_cycles` for one; the fixed latencies of a command kind come on top of decoding and hold up
// nobody else.
struct PipelineConfig {
  std::uint32_t clock_mhz = 800;
  std::uint32_t doorbell_cycles = 40;
  std::uint32_t fetch_cycles = 40;
  std::uint32_t fetch_interval_cycles = 40;
  std::uint32_t fetch_burst_entries = 4;
  std::uint32_t fetch_slots = 8;
  std::uint32_t decode_cycles = 160;
  std::uint32_t decode_interval_cycles = 160;
  std::uint32_t completion_cycles = 120;
  std::uint32_t completion_interval_cycles = 80;
  std::uint32_t fetch_width = 1;
  std::uint32_t decode_width = 1;
  std::uint32_t completion_width = 1;
  std::uint32_t doorbell_interval_cycles = 0;
  std::uint32_t doorbell_width = 1;
  std::uint32_t lookup_cycles = 0;
  std::uint32_t lookup_interval_cycles = 0;
  std::uint32_t lookup_width = 1;
  std::uint32_t dma_setup_cycles = 0;
  std::uint32_t dma_setup_interval_cycles = 0;
  std::uint32_t dma_setup_width = 1;
  std::uint32_t interrupt_cycles = 0;
  std::uint32_t interrupt_interval_cycles = 0;
  std::uint32_t interrupt_width = 1;
  std::uint32_t read_core_cycles = 1'600;
  std::uint32_t write_core_cycles = 2'400;
  std::uint32_t other_core_cycles = 2'400;
  std::uint32_t admin_core_cycles = 8'000;
  std::uint32_t read_latency_ns = 0;
  std::uint32_t large_read_latency_ns = 0;
  std::uint32_t write_latency_ns = 0;
  std::uint32_t admin_latency_ns = 5000;
  std::uint32_t command_slots = 1024;
  std::uint32_t admin_command_slots = 16;

  base::Time cycles(std::uint64_t count) const {
    return base::Pace::frequency_mhz(clock_mhz)(count);
  }
  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(PipelineConfig, (),
                      (clock_mhz, doorbell_cycles, fetch_cycles, fetch_interval_cycles,
                       fetch_burst_entries, fetch_slots, decode_cycles, decode_interval_cycles,
                       completion_cycles, completion_interval_cycles, fetch_width, decode_width,
                       completion_width, doorbell_interval_cycles, doorbell_width, lookup_cycles,
                       lookup_interval_cycles, lookup_width, dma_setup_cycles,
                       dma_setup_interval_cycles, dma_setup_width, interrupt_cycles,
                       interrupt_interval_cycles, interrupt_width, read_core_cycles,
                       write_core_cycles, other_core_cycles, admin_core_cycles, read_latency_ns,
                       large_read_latency_ns, write_latency_ns, admin_latency_ns, command_slots,
                       admin_command_slots))

struct NamespaceConfig {
  std::uint64_t blocks = 0;          // logical blocks; 0 = all that is left of the media
  std::uint32_t metadata_bytes = 0;  // needs a media with keep_metadata
  bool extended_metadata = false;
  std::uint32_t protection_type = 0;
  bool protection_first = false;
  bool shared = false;
  std::uint32_t ana_group = 1;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(NamespaceConfig, (),
                      (blocks, metadata_bytes, extended_metadata, protection_type, protection_first,
                       shared, ana_group))

struct ControllerConfig {
  IdentityConfig identity;
  PipelineConfig pipeline;

  // registers
  std::uint32_t mqes = 1023;         // CAP.MQES, 0's based
  std::uint32_t dstrd = 0;           // CAP.DSTRD: stride is 4 << dstrd bytes
  std::uint32_t timeout_500ms = 20;  // CAP.TO
  std::uint32_t mpsmax = 0;          // CAP.MPSMAX; MPSMIN is 0
  bool nssrs = false;                // CAP.NSSRS
  std::uint32_t ready_latency_us = 10'000;
  std::uint32_t disable_latency_us = 100;
  std::uint32_t shutdown_latency_us = 1'000;

  // limits
  std::uint32_t max_io_queues = 64;  // pairs granted
  std::uint32_t vectors = 65;        // set by who builds the system: the endpoint's MSI-X table
  std::uint32_t mdts = 5;            // 0: no limit but that of NLB
  std::uint32_t aerl = 3;            // 0's based
  std::uint32_t acl = 3;             // 0's based
  std::uint32_t elpe = 63;           // 0's based
  std::uint32_t rab = 3;             // recommended (and initial) arbitration burst, 2^rab

  // optional parts
  std::uint32_t oncs = spec::kOncsDsm | spec::kOncsWriteZeroes | spec::kOncsSaveSelect;
  std::uint32_t lpa = 4;  // bit 2: extended data for Get Log Page

  bool ocp_log = false;  // log page C0h of the OCP specification

  // administration
  std::uint32_t firmware_cores = 0;  // 0: hardware alone handles commands
  RegisterConfig registers;
  ManagementConfig management;
  FirmwareConfig firmware;
  SelfTestConfig self_test;
  SanitizeConfig sanitize;
  PowerConfig power;
  ThermalConfig thermal;
  WearConfig wear;

  // data path
  std::uint32_t sgls = 0;  // Identify SGLS bits 1:0; 0 = PRPs only
  std::uint32_t sgl_max_descriptors = 4096;
  std::uint32_t fuses = 0;              // Identify FUSES: 1 = Compare and Write
  bool weighted_arbitration = false;    // CAP.AMS bit 0
  bool doorbell_buffer_config = false;  // OACS bit 8
  bool dulbe = false;                   // NSFEAT bit 2
  bool deallocated_ones = false;        // DLFEAT: deallocated blocks read as FFh instead of 0
  CmbConfig cmb;
  PmrConfig pmr;
  HmbConfig hmb;
  BlockLimitsConfig limits;

  // media
  std::uint32_t logical_block_bytes = 512;
  std::vector<NamespaceConfig> namespaces = {NamespaceConfig{}};

  // environment
  std::uint32_t temperature_kelvin = 310;
  std::uint32_t warning_temperature_kelvin = 343;
  std::uint32_t critical_temperature_kelvin = 353;
  std::uint32_t max_power_centiwatts = 1200;

  // Bytes of BAR0 that registers and doorbells of these queues need.
  std::uint64_t register_bytes() const { return spec::cq_head_doorbell(max_io_queues, dstrd) + 4; }
  std::uint64_t max_transfer_bytes() const {
    return mdts == 0 ? base::kNoLimit : std::uint64_t{4096} << (mdts + registers.mpsmin);
  }

  std::uint32_t version() const {
    return registers.revision == Revision::v1_4 ? spec::kVersion14 : spec::kVersion20;
  }

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(ControllerConfig, (),
                      (identity, pipeline, mqes, dstrd, timeout_500ms, mpsmax, nssrs,
                       ready_latency_us, disable_latency_us, shutdown_latency_us, max_io_queues,
                       mdts, aerl, acl, elpe, rab, oncs, lpa, ocp_log, firmware_cores, registers,
                       management, firmware, self_test, sanitize, power, thermal, wear, sgls,
                       sgl_max_descriptors, fuses, weighted_arbitration, doorbell_buffer_config,
                       dulbe, deallocated_ones, cmb, pmr, hmb, limits, logical_block_bytes,
                       namespaces, temperature_kelvin, warning_temperature_kelvin,
                       critical_temperature_kelvin, max_power_centiwatts))

// What no range of a single parameter can say. Throws UserError. `media_bytes`: capacity.
void check_config(const ControllerConfig& config, std::uint64_t media_bytes);

}  // namespace nvmesim::device
