// The driver's parameters. Those that Linux has as module parameters of nvme and nvme_core keep
// their Linux names, units and defaults; `generation` chooses between the behaviours of two kernel
// generations, which only GenerationFacts spells out: nothing else compares versions.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>
#include <string>

#include "sim/base/config.hpp"

namespace nvmesim::host {

// v5_15 is Linux 5.15, v6_1 is Linux 6.1 (an enumerator's name cannot hold a dot).
enum class Generation : std::uint8_t { v5_15, v6_1 };
BOOST_DESCRIBE_ENUM(Generation, v5_15, v6_1)

// How a head chooses among equal paths: the nearest one always, or one after the other.
enum class IoPolicy : std::uint8_t { numa, round_robin };
BOOST_DESCRIBE_ENUM(IoPolicy, numa, round_robin)

// What differs between the generations, each by name.
struct GenerationFacts {
  // CC is written without EN first and read back, and CAP is read again, before EN is set.
  bool enable_in_two_writes = false;
  // Identify CNS 06h is sent by the scan, after the controller is live (else while it initialises).
  bool csi_limits_in_scan = false;
  // DMRSL counts logical blocks (else sectors of 512 bytes).
  bool dmrsl_in_blocks = false;
  // LIVE is reached from CONNECTING only.
  bool live_only_from_connecting = false;
  // The generation in the command id advances at completion (else when a command is set up).
  bool generation_at_completion = false;
  // Host behaviour support also asks for extended LBA formats.
  bool lbafee = false;
  // A host error while setting up temperature monitoring is ignored unless it is an interruption.
  bool hwmon_failure_ignored = false;
  // The tag set has a map per kind of queue that exists (else always default and read).
  bool maps_as_needed = false;
  // The number of queues asked for is limited by the parameters as they are now.
  bool queue_count_limited_by_parameters = false;
  // Host path error 370h while asking for queues fails the reset, like an error of the host (else
  // it means "no I/O queues", like a device's own error).
  bool path_error_fails_queue_count = false;
  // Identify CNS 00h is sent a second time when the block device is updated.
  bool second_identify_namespace = false;
  // Where CAP.CRIMS is set, a namespace is asked for by Identify CNS 08h first (else CNS 00h).
  bool independent_identify = false;
  // A persistent internal error resets the controller, and after a firmware activation notice the
  // next event request waits for its end.
  bool events_reset_and_wait = false;
  // Asynchronous event requests are sent only while LIVE.
  bool events_only_live = false;
  // The scan runs once more if a namespace changed while it ran.
  bool rescan_on_late_change = false;
  // Requests that find the controller not ready fail at once when it is being deleted.
  bool nonready_fails_in_deleting = false;
  // Polling is refused on queues that interrupt.
  bool poll_only_polled_queues = false;
  // Write Zeroes with protection information carries the reference tag.
  bool write_zeroes_reference_tag = false;
  // The quirk table knows of drives whose identifiers mean nothing.
  bool knows_bogus_ids = false;
  // The number of hardware queues is changed under the lock of disabling, and a controller that was
  // disabled meanwhile fails its reset (else the reset goes on).
  bool queue_update_may_fail = false;
  // Streams (a directive) are set up where the parameter asks for them.
  bool streams = true;
  // Shadow doorbells start from zero after a reset (else with what they held).
  bool shadow_doorbells_zeroed = false;
  // When shadow doorbells are refused, every queue forgets them (else the one behind the last too).
  bool shadow_loop_bound_right = false;
  // A subsystem reset goes through RESETTING, CONNECTING and LIVE (else a plain register write).
  bool subsystem_reset_states = false;
  // The block layer gathers up to 32 requests of a batch and compares a bio with the newest only
  // (else 16, and with all of them).
  bool plug_newest_only = false;
  // Private namespaces of several controllers may have the same NSID, and have no heads then.
  bool private_nsids_repeat = false;
  // A controller memory buffer is switched off again when it cannot be registered.
  bool cmb_switched_off = false;
  // ... and one that is no whole number of blocks of memory is passed over.
  bool cmb_in_whole_blocks = false;
  // A namespace of a command set that this kernel cannot serve is there without a disk (else it is
  // passed over).
  bool other_sets_without_disk = false;
  // The limit of one I/O queue for drives that share tags between queues works.
  bool shared_tags_one_queue = false;
};

GenerationFacts facts_of(Generation generation);

struct DriverConfig {
  Generation generation = Generation::v5_15;
  // nvme
  std::uint32_t io_queue_depth = 1024;
  std::uint32_t write_queues = 0;
  std::uint32_t poll_queues = 0;
  bool use_threaded_interrupts = false;
  bool use_cmb_sqes = true;
  std::uint32_t max_host_mem_size_mb = 128;
  std::uint32_t sgl_threshold = 32'768;
  bool noacpi = false;
  // nvme_core
  std::uint32_t admin_timeout = 60;
  std::uint32_t io_timeout = 30;
  std::uint32_t shutdown_timeout = 5;
  std::uint32_t max_retries = 5;
  std::uint64_t default_ps_max_latency_us = 100'000;
  bool force_apst = false;
  std::uint64_t apst_primary_timeout_ms = 100;
  std::uint64_t apst_secondary_timeout_ms = 2000;
  std::uint64_t apst_primary_latency_tol_us = 15'000;
  std::uint64_t apst_secondary_latency_tol_us = 100'000;
  bool streams = false;
  bool multipath = true;
  IoPolicy iopolicy = IoPolicy::numa;
  // "interval,probability,space,times" of injected failures; empty: none.
  std::string fail_request;
  // Kernel configuration, not module parameters: CONFIG_NVME_HWMON, CONFIG_BLK_SED_OPAL,
  // CONFIG_BLK_DEV_INTEGRITY, CONFIG_PCI_P2PDMA, CONFIG_BLK_DEV_ZONED.
  bool hwmon = false;
  bool opal = false;
  bool integrity = false;
  bool p2pdma = true;
  bool zoned = true;
  // Milliseconds since 1970 at simulated time 0, for the Timestamp feature.
  std::uint64_t boot_time_ms = 1'700'000'000'000;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(DriverConfig, (),
                      (generation, io_queue_depth, write_queues, poll_queues, admin_timeout,
                       io_timeout, shutdown_timeout, max_retries, default_ps_max_latency_us,
                       force_apst, apst_primary_timeout_ms, apst_secondary_timeout_ms,
                       apst_primary_latency_tol_us, apst_secondary_latency_tol_us,
                       use_threaded_interrupts, use_cmb_sqes, max_host_mem_size_mb, sgl_threshold,
                       noacpi, streams, multipath, iopolicy, fail_request, hwmon, opal, integrity,
                       p2pdma, zoned, boot_time_ms))

}  // namespace nvmesim::host
