#include "device/subsystem.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "device/core.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::device {

namespace {
constexpr std::uint64_t kPieceBytes = 256 * base::kMiB;
}  // namespace

void Eraser::erase(std::uint64_t first_byte, std::uint64_t bytes, base::Callback done) {
  NVMESIM_ASSERT(bytes != 0, "nothing to erase");
  jobs_.push_back({first_byte, bytes, done, true});
  if (jobs_.size() == 1) next_piece();
}

void Eraser::next_piece() {
  const Job& job = jobs_.front();
  command_.op = models::MediaOp::kDeallocate;
  command_.first_byte = job.first_byte;
  command_.bytes = std::min(job.bytes, kPieceBytes);
  command_.client = this;
  if (!bad_blocks_.empty()) bad_blocks_.clear(command_.first_byte, command_.bytes);
  media_.start(command_);
}

void Eraser::media_done(models::MediaCommand& command, models::MediaStatus status) {
  Job& job = jobs_.front();
  job.first_byte += command.bytes;
  job.bytes -= command.bytes;
  job.ok = job.ok && status == models::MediaStatus::kOk;
  if (job.bytes == 0) {
    const base::Callback done = job.done;
    ok_ = job.ok;
    jobs_.pop_front();
    if (!jobs_.empty()) next_piece();
    done();
  } else {
    next_piece();
  }
}

Subsystem::Subsystem(const ControllerConfig& wanted, base::Scheduler& events_of_time,
                     models::Media& storage)
    : config(wanted),
      scheduler(events_of_time),
      media(storage),
      namespaces(config, storage.capacity_units()),
      eraser(storage, bad_blocks),
      firmware(config),
      sanitize(*this),
      events(config.management.persistent_events) {
  check_config(config, storage.capacity_units() * models::kUnitBytes);
}

std::uint32_t Subsystem::join(Core& core) {
  if (controllers.size() == kMaxControllers) {
    throw base::UserError("an NVM subsystem has at most 64 controllers");
  }
  if (controller(core.config.identity.controller_id) != nullptr) {
    throw base::UserError(fmt::format("controller.identity.controller_id: {} is taken",
                                      core.config.identity.controller_id));
  }
  controllers.push_back(&core);
  return static_cast<std::uint32_t>(controllers.size() - 1);
}

Core* Subsystem::controller(std::uint32_t cntlid) const {
  for (Core* core : controllers) {
    if (core != nullptr && core->config.identity.controller_id == cntlid) return core;
  }
  return nullptr;
}

std::uint32_t Subsystem::size() const {
  return static_cast<std::uint32_t>(
      std::count_if(controllers.begin(), controllers.end(), [](Core* c) { return c != nullptr; }));
}

void Subsystem::namespace_changed(std::uint32_t nsid, std::uint64_t which) {
  for (Core* core : controllers) {
    if (core != nullptr && (which & core->namespaces.bit()) != 0) core->changed.add(*core, nsid);
  }
}

void Subsystem::erase(std::uint64_t first_byte, std::uint64_t bytes, base::Callback done) {
  for (Core* core : controllers) {
    if (core != nullptr) core->bad_blocks.clear(first_byte, bytes);
  }
  eraser.erase(first_byte, bytes, done);
}

bool Subsystem::any_formatting() const {
  for (std::uint32_t id = 1; id <= namespaces.limit(); ++id) {
    if (namespaces.slot(id).formatting) return true;
  }
  return false;
}

void Subsystem::reset() {
  for (Core* core : controllers) {
    if (core != nullptr) core->registers.subsystem_reset_arrived();
  }
}

}  // namespace nvmesim::device
