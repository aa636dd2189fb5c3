#include "device/core.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

const ControllerConfig& checked(const ControllerConfig& config, models::Media& media) {
  check_config(config, media.capacity_units() * models::kUnitBytes);
  for (const NamespaceConfig& space : config.namespaces) {
    if (space.metadata_bytes != 0 && !media.keeps_spare()) {
      throw base::UserError("controller.namespaces: metadata needs media.keep_metadata");
    }
  }
  if (config.hmb.hmpre_pages != 0 && media.memory_user() == nullptr) {
    throw base::UserError("controller.hmb.hmpre_pages: the media has no use for host memory");
  }
  return config;
}

std::unique_ptr<LocalMemory> make_local(const ControllerConfig& config, base::Scheduler& scheduler,
                                        pcie::FunctionPort& function) {
  if (config.cmb.pages == 0 && config.pmr.pages == 0) return nullptr;
  return std::make_unique<LocalMemory>(config, scheduler, function);
}

}  // namespace

Core::Core(const ControllerConfig& wanted, base::Scheduler& events_of_time,
           pcie::FunctionPort& function, models::Media& storage, base::StageJoin& records,
           const base::Log& messages, bool keeps_data, std::shared_ptr<Subsystem> shared)
    : config(checked(wanted, storage)),
      scheduler(events_of_time),
      local(make_local(wanted, events_of_time, function)),
      port(local ? *local : function),
      media(storage),
      stages(records),
      log(messages),
      keep_data(keeps_data),
      keep_spare(storage.keeps_spare()),
      shared_subsystem(shared ? std::move(shared)
                              : std::make_shared<Subsystem>(wanted, events_of_time, storage)),
      subsystem(*shared_subsystem),
      index(subsystem.join(*this)),
      namespaces(subsystem.namespaces, index),
      queues(config.max_io_queues),
      // Outstanding event requests never take the slots that other admin commands need.
      commands(config.pipeline.command_slots,
               config.pipeline.admin_command_slots + config.aerl + 1),
      health(config),
      errors(config.elpe + 1),
      memory(*this),
      registers(*this),
      doorbells(*this),
      shadows(*this),
      fetcher(*this),
      dispatcher(*this),
      prps(*this),
      sgls(*this),
      dma_setup(scheduler, "dma_setup", config.pipeline.dma_setup_width,
                config.pipeline.cycles(config.pipeline.dma_setup_interval_cycles),
                config.pipeline.cycles(config.pipeline.dma_setup_cycles)),
      mover(*this),
      blocks(*this),
      bad_blocks(subsystem.bad_blocks),
      locks(*this),
      coalescer(*this, config.vectors),
      poster(*this),
      events(*this, config.aerl + 1),
      admin_data(*this),
      boot(*this),
      self_test(*this),
      power(*this),
      thermal(*this),
      keep_alive(*this),
      directives(*this),
      ana(*this),
      cores(config),
      reservation_log(*this),
      hmb(*this),
      features(*this) {
  features.reset();
  if (subsystem.reservations.any_held()) gates |= kGateReservation;
}

Core::~Core() {
  subsystem.leave(index);
}

void Core::complete(Command& command, Status status, std::uint32_t dw0) {
  command.status = status;
  command.dw0 = dw0;
  Command* second = nullptr;
  if (command.partner != nullptr) [[unlikely]]
    second = dispatcher.separate(command);
  if (command.locked) [[unlikely]]
    locks.release(command);
  if (command.waiter != nullptr) {
    Command& abort = *command.waiter;
    command.waiter = nullptr;
    poster.post(command);
    complete(abort, Status::kSuccess);  // dword 0 bit 0 is 0: the command was aborted
  } else {
    poster.post(command);
  }
  if (second != nullptr) [[unlikely]]
    dispatcher.first_ended(*second, status);
}

void Core::reject(Command& command, Status status, const char* rule, const char* section) {
  if (log.enabled(base::LogLevel::kDebug)) {
    const auto name = command.admin()
                          ? spec::opcode_name(static_cast<spec::AdminOpcode>(command.sqe.opc))
                          : spec::opcode_name(static_cast<spec::NvmOpcode>(command.sqe.opc));
    log.write(base::LogLevel::kDebug, scheduler.now(), "controller",
              "{} (opcode {:02x}h, queue {}, CID {}): {}: {} (NVMe 1.4 section {})", name,
              command.sqe.opc, command.sqid, command.sqe.cid, spec::status_name(status), rule,
              section);
  }
  complete(command, status);
}

void Core::complete_ended(Command& command) {
  if (command.status == Status::kDataTransferError) {
    reject(command, command.status, "host memory could not be read", "4.3");
  } else {
    complete(command, command.status, command.dw0);
  }
}

void Core::report(const char* rule, const char* section) const {
  log.write(base::LogLevel::kDebug, scheduler.now(), "controller", "{} (NVMe 1.4 section {})", rule,
            section);
}

void Core::release(Command& command) {
  if (!command.admin()) {
    health.io_ends(scheduler.now());
    if (power.concerns_io() && health.io_open() == 0) [[unlikely]]
      power.idle();
  } else if (command.sqe.opc == static_cast<std::uint8_t>(spec::AdminOpcode::kAbort) &&
             command.position != 0) {
    --aborts_open;
  }
  if (command.work != nullptr) [[unlikely]]
    blocks.close(command);
  SubmissionQueue& queue = *queues.sq(command.sqid);
  commands.release(command);
  --queue.commands_open;
  if (queue.deleting) finish_deletion(queue);
  fetcher.slots_freed();
}

void Core::end_media(Command& command, Status status) {
  if (command.media_open) media.cancel(command.media);
  command.media_open = false;
  command.ended = true;
  command.status = status;
}

Termination Core::terminate(Command& command, Status status) {
  switch (command.state) {
    case CommandState::kDecoding:
      scheduler.cancel(command.timer);
      break;
    case CommandState::kPrpList:
    case CommandState::kStaged:
    case CommandState::kMedia:
      if (command.ended) return Termination::kTooLate;
      end_media(command, status);
      if (command.pieces_open != 0) {
        ++aborted;
        return Termination::kEnding;
      }
      break;
    case CommandState::kFused:
      dispatcher.withdraw(command);
      break;
    case CommandState::kLocked:
      break;
    case CommandState::kParked:
      if (command.sqe.opc != static_cast<std::uint8_t>(spec::AdminOpcode::kAsyncEventRequest)) {
        return Termination::kTooLate;
      }
      events.withdraw(command);
      break;
    case CommandState::kFree:
    case CommandState::kCompleting:
      return Termination::kTooLate;
  }
  ++aborted;
  complete(command, status);
  return Termination::kEnded;
}

void Core::terminate_io(Status status, std::uint32_t nsid) {
  for (Command& command : commands.all()) {
    if (command.state == CommandState::kFree || command.admin()) continue;
    if (nsid == 0 || command.sqe.nsid == nsid) terminate(command, status);
  }
}

void Core::finish_deletion(SubmissionQueue& queue) {
  if (queue.commands_open != 0 || queue.fetches_open != 0) return;
  Command* deletion = queue.deletion;
  queues.delete_sq(queue);
  queue.deleting = false;
  queue.deletion = nullptr;
  complete(*deletion, Status::kSuccess);
}

void Core::reset_controller() {
  ++epoch;
  port.drop_requests();
  for (Command& command : commands.all()) {
    if (command.state == CommandState::kFree) continue;
    scheduler.cancel(command.timer);
    if (command.media_open) media.cancel(command.media);
  }
  health.io_dropped(scheduler.now());
  fetcher.reset();
  dma_setup.clear();
  poster.reset();
  coalescer.reset();
  shadows.reset();
  hmb.reset();
  reservation_log.reset();
  locks.reset();
  events.reset();
  commands.reset();
  blocks.reset();
  queues.reset();
  keep_alive.reset();
  self_test.controller_reset();
  directives.reset();
  power.reset();
  thermal.reset();
  changed.clear();
  boot.reset();
  event_log_context.clear();
  features.reset();
  aborts_open = 0;
}

}  // namespace nvmesim::device
