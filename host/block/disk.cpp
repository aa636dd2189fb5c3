#include "host/block/disk.hpp"

#include <utility>

namespace nvmesim::host {
namespace {

bool carries(const Request& request, const Bio& bio) {
  const Bio* part = request.bio;
  while (part != nullptr && part != &bio) part = part->merged;
  return part != nullptr;
}

std::string_view stage_of(const Bio& bio) {
  if (!bio.waiting_for.empty()) return bio.waiting_for;
  const Request* request = bio.request;
  if (request == nullptr || !request->allocated || !carries(*request, bio)) return "other parts";
  if (request->state == RequestState::kInFlight) return "the drive";
  if (request->flush_step == FlushStep::kWaiting) return "a flush before it";
  return "being issued again";
}

}  // namespace

Disk::Disk(std::string name, TagSet& set)
    : MachineDisk(set.machine()), name_(std::move(name)), queue_(set) {}

void Disk::set_limits(const BlockLimits& limits) {
  const BlockLimits before = queue_.limits();
  queue_.limits() = limits;
  queue_.limits().queue_depth = before.queue_depth;
  queue_.limits().hardware_queues = before.hardware_queues;
}

IoBuffer MachineDisk::allocate_buffer(std::uint32_t bytes) {
  const DmaMemory range = machine_.pages.allocate_range(bytes);
  if (!range) {
    throw base::UserError(fmt::format(
        "memory_bytes: the host has no {} bytes of contiguous memory left for data", bytes));
  }
  return {range.address, bytes};
}

void MachineDisk::free_buffer(const IoBuffer& buffer) {
  machine_.pages.free_range({buffer.address, buffer.bytes});
}

void MachineDisk::write_buffer(const IoBuffer& buffer, std::uint32_t offset,
                               std::span<const std::byte> bytes) {
  NVMESIM_ASSERT(offset + bytes.size() <= buffer.bytes, "writing beyond a data buffer");
  machine_.memory.copy_in(buffer.address + offset, bytes.data(), bytes.size());
}

void MachineDisk::read_buffer(const IoBuffer& buffer, std::uint32_t offset,
                              std::span<std::byte> bytes) const {
  NVMESIM_ASSERT(offset + bytes.size() <= buffer.bytes, "reading beyond a data buffer");
  machine_.memory.copy_out(buffer.address + offset, bytes.data(), bytes.size());
}

void Disk::for_each_open(void (*visit)(void* context, const OpenBio& open), void* context) const {
  for (const Bio* bio = queue_.oldest_open(); bio != nullptr; bio = bio->next_open) {
    OpenBio open;
    open.bio = bio;
    open.submitted = bio->stages.start();
    open.stage = stage_of(*bio);
    if (open.stage == "the drive") {
      open.queue = bio->request->queue_id;
      open.command = bio->request->command_id;
    }
    visit(context, open);
  }
}

}  // namespace nvmesim::host
