#include "device/controller.hpp"

#include <fmt/format.h>

#include <cstring>
#include <string>

#include "device/core.hpp"

namespace nvmesim::device {

namespace {

constexpr unsigned kRegisterBar = 0;

bool width_ok(std::uint64_t offset, std::size_t bytes) {
  return (bytes == 4 || bytes == 8) && (offset & (bytes - 1)) == 0;
}

}  // namespace

Controller::Controller(const ControllerConfig& config, base::Scheduler& scheduler,
                       pcie::FunctionPort& port, models::Media& media, base::StageJoin& stages,
                       const base::Log& log, bool keep_data, std::shared_ptr<Subsystem> subsystem)
    : core_(std::make_unique<Core>(config, scheduler, port, media, stages, log, keep_data,
                                   std::move(subsystem))) {}

Controller::~Controller() = default;

void Controller::bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) {
  if (bar != kRegisterBar) {
    if (core_->memory.bar_write(bar, offset, data)) return;
    core_->report("write to a BAR without registers", "3.1");
    return;
  }
  if (!width_ok(offset, data.size()) || (offset >= spec::kDoorbellBase && data.size() != 4)) {
    core_->report("register write of a wrong width or misaligned", "3.1");
    return;
  }
  RegisterAccess access{true, static_cast<std::uint32_t>(offset),
                        static_cast<unsigned>(data.size()), 0};
  if (data.size() == 4) [[likely]] {
    std::memcpy(&access.value, data.data(), 4);
  } else {
    std::memcpy(&access.value, data.data(), 8);
  }
  if (core_->points.register_access.armed()) core_->points.register_access(access);
  if (access.drop) return;
  const auto value = static_cast<std::uint32_t>(access.value);
  if (access.offset >= spec::kDoorbellBase) {
    core_->doorbells.write(access.offset, value);
    return;
  }
  core_->registers.write(access.offset, value);
  if (access.bytes == 8) {
    core_->registers.write(access.offset + 4, static_cast<std::uint32_t>(access.value >> 32));
  }
}

// Doorbells read as 0, and so does what is reserved. Narrow reads give their bytes of the register.
void Controller::bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) {
  std::memset(data.data(), 0, data.size());
  if (bar != kRegisterBar && core_->memory.bar_read(bar, offset, data)) return;
  if (bar != kRegisterBar || data.size() > 8) {
    core_->report("read of a BAR without registers, or of a wrong width", "3.1");
    return;
  }
  if (!width_ok(offset, data.size())) {
    core_->report("register read of a wrong width or misaligned", "3.1");
  }
  RegisterAccess access{false, static_cast<std::uint32_t>(offset),
                        static_cast<unsigned>(data.size()), 0};
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto address = static_cast<std::uint32_t>(offset + i);
    if (address >= spec::kDoorbellBase) break;
    const std::uint32_t word = core_->registers.read(address & ~3u);
    access.value |= std::uint64_t{(word >> (8 * (address & 3))) & 0xFF} << (8 * i);
  }
  if (core_->points.register_access.armed()) core_->points.register_access(access);
  std::memcpy(data.data(), &access.value, data.size());
}

void Controller::function_reset() {
  core_->reset_controller();
  core_->registers.function_reset();
}

PersistentState Controller::save() const {
  return collect_state(*core_);
}

void Controller::restore(const PersistentState& state, std::string_view source) {
  apply_state(*core_, state, source);
}

void Controller::set_ana_state(std::uint32_t group, spec::AnaState state) {
  core_->ana.set_state(group, state);
}

Points& Controller::points() {
  return core_->points;
}

const ControllerConfig& Controller::config() const {
  return core_->config;
}

std::uint64_t Controller::commands_in_flight() const {
  return core_->commands.in_use() - core_->events.outstanding();
}

std::string Controller::describe_in_flight() const {
  std::string text;
  for (const Command& command : core_->commands.all()) {
    if (command.state == CommandState::kFree) continue;
    const auto opcode = command.admin()
                            ? spec::opcode_name(static_cast<spec::AdminOpcode>(command.sqe.opc))
                            : spec::opcode_name(static_cast<spec::NvmOpcode>(command.sqe.opc));
    text += fmt::format("queue {} CID {}: {}: {} since {} ns\n", command.sqid, command.sqe.cid,
                        opcode, name(command.state), base::to_ns(command.record.last()));
  }
  return text;
}

void Controller::register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) {
  const auto add = [&](std::string_view name, std::string_view unit, std::string_view help,
                       const std::uint64_t& counter) {
    registry.add(fmt::format("{}.{}", prefix, name), std::string(unit), std::string(help), counter);
  };
  Core& core = *core_;
  add("read_commands", "1", "Read commands that succeeded", core.health.reads_counter());
  add("write_commands", "1", "Write commands that succeeded", core.health.writes_counter());
  add("read_bytes", "bytes", "data sent to the host for Read", core.mover.read_bytes_counter());
  add("written_bytes", "bytes", "data fetched from the host for Write",
      core.mover.written_bytes_counter());
  add("media_errors", "1", "commands that failed in the media", core.health.media_errors_counter());
  add("tail_doorbells", "1", "submission queue tail doorbells", core.doorbells.tail_counter());
  add("head_doorbells", "1", "completion queue head doorbells", core.doorbells.head_counter());
  add("invalid_doorbells", "1", "doorbell writes that were refused",
      core.doorbells.invalid_counter());
  add("fetches", "1", "DMA reads of submission entries", core.fetcher.fetches_counter());
  add("fetched_entries", "1", "submission entries read", core.fetcher.entries_counter());
  add("slot_waits", "1", "times that a queue waited for a command slot",
      core.fetcher.starved_counter());
  add("prp_list_reads", "1", "DMA reads of PRP lists", core.prps.list_reads_counter());
  add("completions", "1", "completion entries posted", core.poster.posted_counter());
  add("failed_completions", "1", "completion entries with an error", core.poster.errors_counter());
  add("queue_full_waits", "1", "completions that found their queue full",
      core.poster.full_counter());
  add("interrupts", "1", "interrupts raised", core.coalescer.sent_counter());
  add("coalesced", "1", "completions whose interrupt was held back", core.coalescer.held_counter());
  add("async_events", "1", "asynchronous events reported", core.events.sent_counter());
  add("errors_logged", "1", "entries made in the error log", core.errors.count());
  add("aborted", "1", "commands ended by Abort or queue deletion", core.aborted);
  add("resets", "1", "controller resets", core.registers.resets_counter());
  add("power_transitions", "1", "changes of the power state", core.power.changes_counter());
  add("autonomous_transitions", "1", "those of them that APST made",
      core.power.autonomous_counter());
  add("sgl_segment_reads", "1", "DMA reads of SGL segments", core.sgls.segment_reads_counter());
  add("range_waits", "1", "commands that waited for an atomic write", core.locks.waits_counter());
  add("shadow_doorbell_reads", "1", "looks at shadow doorbells", core.shadows.reads_counter());
  add("host_memory_reads", "1", "accesses to the host memory buffer", core.hmb.reads_counter());
  add("host_memory_writes", "1", "the same, writing", core.hmb.writes_counter());
  if (core.local) {
    add("local_memory_accesses", "1", "accesses of the controller to its CMB or PMR",
        core.local->accesses_counter());
  }
  registry.add_utilisation(fmt::format("{}.decode", prefix), "controller",
                           [&core] { return core.dispatcher.unit().busy(); });
  if (core.cores.present()) {
    registry.add_utilisation(fmt::format("{}.firmware_cores", prefix), "controller",
                             [&core] { return core.cores.busy(); });
  }
  const auto add_stage = [&](std::string_view name, const TimedStage& stage) {
    if (!stage.present()) return;
    registry.add_utilisation(fmt::format("{}.{}", prefix, name), "controller",
                             [&stage] { return stage.busy(); });
  };
  add_stage("dma_setup", core.dma_setup);
  add_stage("interrupt", core.coalescer.unit());
  registry.add_utilisation(fmt::format("{}.completion", prefix), "controller",
                           [&core] { return core.poster.unit().busy(); });
}

}  // namespace nvmesim::device
