// The parts of a controller and what they share. Each part has the job of its file and reaches the
// others through this struct; commands flow
//   doorbells -> fetcher -> dispatcher -> handlers (admin/, nvm/) -> prps -> mover -> poster
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/admin_data.hpp"
#include "device/ana.hpp"
#include "device/async_events.hpp"
#include "device/bad_blocks.hpp"
#include "device/block_transfer.hpp"
#include "device/boot_partitions.hpp"
#include "device/changed_namespaces.hpp"
#include "device/coalescer.hpp"
#include "device/command.hpp"
#include "device/completion_poster.hpp"
#include "device/controller_config.hpp"
#include "device/data_mover.hpp"
#include "device/directives.hpp"
#include "device/dispatcher.hpp"
#include "device/doorbell_file.hpp"
#include "device/error_log.hpp"
#include "device/features.hpp"
#include "device/fetcher.hpp"
#include "device/firmware_cores.hpp"
#include "device/health.hpp"
#include "device/host_memory_buffer.hpp"
#include "device/keep_alive.hpp"
#include "device/local_memory.hpp"
#include "device/memory_registers.hpp"
#include "device/namespaces.hpp"
#include "device/points.hpp"
#include "device/power.hpp"
#include "device/prp_walker.hpp"
#include "device/queues.hpp"
#include "device/range_locks.hpp"
#include "device/register_file.hpp"
#include "device/reservation_log.hpp"
#include "device/self_test.hpp"
#include "device/sgl_walker.hpp"
#include "device/shadow_doorbells.hpp"
#include "device/spec/command_key.hpp"
#include "device/subsystem.hpp"
#include "device/thermal.hpp"
#include "device/timed_stage.hpp"
#include "models/media.hpp"
#include "pcie/function.hpp"
#include "sim/base/log.hpp"
#include "sim/base/stage.hpp"

namespace nvmesim::device {

// What became of an attempt to end a command in flight.
enum class Termination : std::uint8_t {
  kEnded,    // its completion is on its way
  kEnding,   // it ends when the data that is moving has moved
  kTooLate,  // it was completing already, or cannot be ended
};

// A Format NVM under way; free while `nsids` is empty.
struct FormatJob {
  std::vector<std::uint32_t> nsids;
  BlockFormat format;
  std::uint32_t command = 0;  // in the pool, if epoch is still the core's
  std::uint64_t epoch = 0;
  std::uint32_t erasing = 0;
  bool failed = false;
};

struct Core {
  // Why an I/O command has to be looked at more closely than its handler does: bits of `gates`.
  static constexpr unsigned kGateSanitize = 1u << 0;
  static constexpr unsigned kGateFormat = 1u << 1;
  static constexpr unsigned kGateAna = 1u << 2;
  static constexpr unsigned kGateMedia = 1u << 3;  // not ready yet
  static constexpr unsigned kGateSanitizeFailed = 1u << 4;
  static constexpr unsigned kGateReservation = 1u << 5;

  // shared: the subsystem that it joins; one of its own if empty.
  Core(const ControllerConfig& wanted, base::Scheduler& events_of_time,
       pcie::FunctionPort& function, models::Media& storage, base::StageJoin& records,
       const base::Log& messages, bool keeps_data, std::shared_ptr<Subsystem> shared = nullptr);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // Ends a command: its completion entry follows.
  void complete(Command& command, spec::Status status, std::uint32_t dw0 = 0);
  // The same for a command that broke a rule, with one log line.
  void reject(Command& command, spec::Status status, const char* rule, const char* section);
  // The last piece of a command that has ended came back: it was aborted, or its data could not be
  // read from host memory.
  void complete_ended(Command& command);
  // One log line for an access or event that broke a rule.
  void report(const char* rule, const char* section) const;
  // The completion entry is out, or the command was completed implicitly: its slot becomes free.
  void release(Command& command);

  // Ends a command in flight from outside.
  Termination terminate(Command& command, spec::Status status);
  // Ends every I/O command in flight, or those of one namespace (nsid not 0).
  void terminate_io(spec::Status status, std::uint32_t nsid);
  // Takes a command away from the media; its pieces under way still come back.
  void end_media(Command& command, spec::Status status);
  // A submission queue that is being deleted may have lost its last command or fetch.
  void finish_deletion(SubmissionQueue& queue);
  // Controller reset: no command, queue or call-back is left; features have their defaults.
  void reset_controller();

  const ControllerConfig config;
  base::Scheduler& scheduler;
  const std::unique_ptr<LocalMemory> local;  // none without CMB and PMR
  pcie::FunctionPort& port;                  // in front of it, if there is one
  models::Media& media;
  base::StageJoin& stages;
  const base::Log& log;
  const bool keep_data;
  const bool keep_spare;  // buffers of the media have a spare area

  Points points;
  base::BufferPool buffers{models::kUnitBytes};
  const std::shared_ptr<Subsystem> shared_subsystem;
  Subsystem& subsystem;
  const std::uint32_t index;  // in the subsystem
  Namespaces namespaces;
  QueueSet queues;
  CommandPool commands;
  Health health;
  ErrorLog errors;
  MemoryRegisters memory;
  RegisterFile registers;
  DoorbellFile doorbells;
  ShadowDoorbells shadows;
  Fetcher fetcher;
  Dispatcher dispatcher;
  PrpWalker prps;
  SglWalker sgls;
  TimedStage dma_setup;
  DataMover mover;
  BlockTransfer blocks;
  BadBlocks& bad_blocks;  // of the subsystem
  RangeLocks locks;
  Coalescer coalescer;
  CompletionPoster poster;
  AsyncEvents events;
  AdminData admin_data;
  BootPartitions boot;
  ChangedNamespaces changed;
  SelfTest self_test;
  Power power;
  Thermal thermal;
  KeepAlive keep_alive;
  Directives directives;
  Ana ana;
  FirmwareCores cores;
  ReservationLog reservation_log;
  HostMemoryBuffer hmb;
  Features features;
  std::vector<FormatJob> format_jobs;
  std::vector<std::byte> event_log_context;  // log page 0Dh as it was when the host asked
  std::vector<std::byte> host_telemetry;     // log page 07h as the host had it made
  unsigned gates = 0;
  std::uint64_t epoch = 0;  // counts controller resets
  std::uint32_t aborts_open = 0;
  std::uint64_t aborted = 0;
};

}  // namespace nvmesim::device
