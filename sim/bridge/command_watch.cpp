#include "sim/bridge/command_watch.hpp"

#include <algorithm>
#include <cstring>

#include "device/spec/command_key.hpp"
#include "device/spec/registers.hpp"

namespace nvmesim::bridge {
namespace {

namespace spec = device::spec;
using spec::NvmOpcode;
using spec::SubmissionEntry;

constexpr std::uint16_t kAdmin = 0;
constexpr std::uint64_t kHostPage = 4096;
constexpr std::uint32_t kVectorBytes = 16;  // of the MSI-X table (PCI 3.0, 6.8.2)
constexpr std::uint32_t kVectorData = 8;

template <class Value>
Value value_at(std::span<const std::byte> data) {
  Value value{};
  std::memcpy(&value, data.data(), std::min(sizeof value, data.size()));
  return value;
}

// Calls visit(index, entry) for each entry of a queue that lies wholly in [address, + data).
template <class Entry, class Visit>
void for_entries(std::uint64_t base, std::uint32_t entries, std::uint64_t address,
                 std::span<const std::byte> data, Visit visit) {
  const std::uint64_t end = base + std::uint64_t{entries} * sizeof(Entry);
  if (address >= end || address + data.size() <= base) return;
  const std::uint64_t from = std::max(address, base);
  const std::uint64_t behind = (from - base) % sizeof(Entry);
  for (std::uint64_t at = from + (behind == 0 ? 0 : sizeof(Entry) - behind);
       at + sizeof(Entry) <= std::min(end, address + data.size()); at += sizeof(Entry)) {
    visit(static_cast<std::uint32_t>((at - base) / sizeof(Entry)),
          value_at<Entry>(data.subspan(at - address, sizeof(Entry))));
  }
}

}  // namespace

CommandWatch::CommandWatch(const base::Scheduler& scheduler, base::StageJoin& stages, Drive drive,
                           Sink sink)
    : scheduler_(scheduler),
      stages_(stages),
      drive_(std::move(drive)),
      sink_(std::move(sink)),
      vector_data_(drive_.msix_vectors) {}

void CommandWatch::connect(const GuestMemory& memory, std::uint16_t function) {
  memory_ = &memory;
  function_ = function;
}

void CommandWatch::register_written(std::uint64_t offset, std::span<const std::byte> data) {
  for (std::size_t i = 0; i < data.size() && offset + i < registers_.size(); ++i) {
    registers_[offset + i] = data[i];
  }
  const std::uint64_t in_table = offset - drive_.msix_table;
  if (offset >= drive_.msix_table && in_table / kVectorBytes < vector_data_.size()) {
    if (in_table % kVectorBytes == kVectorData) {
      vector_data_[in_table / kVectorBytes] = value_at<std::uint32_t>(data);
    }
    return;
  }
  if (offset == spec::kRegCc) {
    const bool enabled = (register_value(spec::kRegCc, 4) & 1) != 0;
    if (!enabled) {
      forget_everything();
    } else if (submissions_.empty()) {
      set_up_admin_queues();
    }
  }
  if (offset == spec::kRegNssr) forget_everything();
  if (offset >= spec::kDoorbellBase) doorbell_written(offset, value_at<std::uint32_t>(data));
}

void CommandWatch::set_up_admin_queues() {
  const spec::Aqa aqa{static_cast<std::uint32_t>(register_value(spec::kRegAqa, 4))};
  Submission& submission = submissions_[kAdmin];
  submission.base = register_value(spec::kRegAsq, 8) & ~(kHostPage - 1);
  submission.entries = std::uint32_t{aqa.asqs()} + 1;
  Completion& completion = completions_[kAdmin];
  completion.base = register_value(spec::kRegAcq, 8) & ~(kHostPage - 1);
  completion.entries = std::uint32_t{aqa.acqs()} + 1;
  completion.interrupts = true;
}

std::uint64_t CommandWatch::register_value(std::uint64_t offset, std::size_t bytes) const {
  return value_at<std::uint64_t>(std::span(registers_).subspan(offset, bytes));
}

bool CommandWatch::shadowed(std::uint16_t queue) const {
  return shadow_doorbells_ && queue != kAdmin;
}

void CommandWatch::doorbell_written(std::uint64_t offset, std::uint32_t value) {
  const std::uint64_t index = (offset - spec::kDoorbellBase) / (4u << drive_.dstrd);
  const auto queue = static_cast<std::uint16_t>(index / 2);
  const base::Time now = scheduler_.now();
  if (index % 2 == 0) {
    const auto found = submissions_.find(queue);
    if (found != submissions_.end() && !shadowed(queue) && value < found->second.entries) {
      auto& doorbells = found->second.doorbells;
      doorbells.push_back({value, now, busy_since_});
      // More than that are none of a driver that works.
      if (doorbells.size() > found->second.entries) doorbells.pop_front();
    }
    busy_since_ = now;
    return;
  }
  busy_since_ = now;
  const auto found = completions_.find(queue);
  if (found == completions_.end() || value >= found->second.entries) return;
  Completion& completion = found->second;
  while (completion.head != value) {
    completion.head = (completion.head + 1) % completion.entries;
    if (completion.waiting.empty()) continue;
    if (auto& oldest = completion.waiting.front()) dealt_with(*oldest);
    completion.waiting.pop_front();
  }
}

void CommandWatch::memory_read(std::uint64_t address, std::span<const std::byte> data) {
  // By id and not by reference: a command may change the queues.
  for (auto at = submissions_.begin(); at != submissions_.end();) {
    const std::uint16_t queue = at->first;
    const Submission& now = at->second;
    for_entries<SubmissionEntry>(now.base, now.entries, address, data,
                                 [&](std::uint32_t index, const SubmissionEntry& entry) {
                                   const auto found = submissions_.find(queue);
                                   if (found == submissions_.end() || found->second.next != index)
                                     return;
                                   fetched(queue, found->second, entry);
                                 });
    at = submissions_.upper_bound(queue);
  }
}

void CommandWatch::fetched(std::uint16_t queue, Submission& from, const SubmissionEntry& entry) {
  Open open;
  // A doorbell stands for the entries before its tail.
  while (!from.doorbells.empty() && from.doorbells.front().tail == from.next) {
    from.doorbells.pop_front();
  }
  if (!from.doorbells.empty()) open.doorbell = from.doorbells.front();
  from.next = (from.next + 1) % from.entries;
  open.key = spec::command_key(function_, queue, entry.cid);
  if (queue == kAdmin) {
    ++counts_.admin;
  } else {
    open.command.number = counts_.fetched++;
    describe(open.command, entry);
    count_open(1);
  }
  // A CID that is in use already is the driver's fault: the older command is given up.
  if (const auto older = open_.find(open.key.packed()); older != open_.end()) cancel(older->second);
  open_.insert_or_assign(open.key.packed(), std::move(open));
  if (queue == kAdmin) admin_command(entry);
}

void CommandWatch::describe(Command& command, const SubmissionEntry& entry) const {
  command.opcode = entry.opc;
  const std::uint64_t block = drive_.block_bytes(entry.nsid);
  switch (static_cast<NvmOpcode>(entry.opc)) {
    case NvmOpcode::kRead:
    case NvmOpcode::kWrite:
    case NvmOpcode::kWriteZeroes:
      command.first_byte = (entry.cdw10 | std::uint64_t{entry.cdw11} << 32) * block;
      command.bytes = (std::uint64_t{spec::RwControl{entry.cdw12}.nlb()} + 1) * block;
      break;
    case NvmOpcode::kDatasetManagement:
      command.deallocates = (entry.cdw11 & spec::kDsmAttributeAd) != 0;
      command.bytes = range_bytes(entry, block);
      break;
    default:
      break;
  }
}

// The ranges lie in the guest's memory: behind the first pointer, and from the second page on
// behind the second.
std::uint64_t CommandWatch::range_bytes(const SubmissionEntry& entry,
                                        std::uint64_t block_bytes) const {
  std::uint64_t blocks = 0;
  const std::uint64_t first = entry.psdt() != 0 ? kHostPage : kHostPage - entry.prp1 % kHostPage;
  for (std::uint64_t i = 0; i <= (entry.cdw10 & 0xFF); ++i) {
    const std::uint64_t offset = i * sizeof(spec::DsmRange);
    const std::uint64_t address =
        offset < first ? entry.prp1 + offset : entry.prp2 + offset - first;
    const auto bytes = memory_->at_guest(address, sizeof(spec::DsmRange));
    if (bytes.empty()) break;
    blocks += value_at<spec::DsmRange>(bytes).length;
  }
  return blocks * block_bytes;
}

void CommandWatch::admin_command(const SubmissionEntry& entry) {
  const spec::CreateQueueFields fields{entry.cdw10, entry.cdw11};
  const std::uint16_t id = fields.qid();
  if (entry.opc == static_cast<std::uint8_t>(spec::AdminOpcode::kDoorbellBufferConfig)) {
    shadow_doorbells_ = true;
    return;
  }
  if (id == kAdmin) return;
  switch (static_cast<spec::AdminOpcode>(entry.opc)) {
    case spec::AdminOpcode::kCreateIoCq: {
      Completion& queue = completions_[id] = {};
      queue.base = entry.prp1;
      queue.entries = std::uint32_t{fields.qsize()} + 1;
      queue.interrupts = fields.ien();
      queue.vector = fields.iv();
      break;
    }
    case spec::AdminOpcode::kCreateIoSq: {
      Submission& queue = submissions_[id] = {};
      queue.base = entry.prp1;
      queue.entries = std::uint32_t{fields.qsize()} + 1;
      queue.completion = fields.cqid();
      break;
    }
    case spec::AdminOpcode::kDeleteIoSq:
      submissions_.erase(id);
      cancel_if([id](const Open& open) { return open.key.queue == id; });
      break;
    case spec::AdminOpcode::kDeleteIoCq:
      if (const auto found = completions_.find(id); found != completions_.end()) {
        forget_waiting(found->second);
        completions_.erase(found);
      }
      break;
    default:
      break;
  }
}

void CommandWatch::memory_written(std::uint64_t address, std::span<const std::byte> data) {
  for (auto& [id, queue] : completions_) {
    for_entries<spec::CompletionEntry>(
        queue.base, queue.entries, address, data,
        [&queue = queue, this](std::uint32_t, const spec::CompletionEntry& entry) {
          completed(queue, entry);
        });
  }
}

void CommandWatch::completed(Completion& queue, const spec::CompletionEntry& entry) {
  const auto found = open_.find(spec::command_key(function_, entry).packed());
  if (found == open_.end()) {
    queue.waiting.emplace_back();
    return;
  }
  Open open = std::move(found->second);
  open_.erase(found);
  open.command.failed = entry.status >> 1 != 0;
  if (open.key.queue != kAdmin) {
    ++counts_.completed;
    if (open.command.failed) ++counts_.failed;
  }
  if (shadowed(open.key.queue) && !queue.interrupts) {
    dealt_with(open);
  } else {
    queue.waiting.emplace_back(std::move(open));
  }
}

void CommandWatch::interrupt(std::uint32_t data) {
  for (auto& [id, queue] : completions_) {
    if (!queue.interrupts || queue.vector >= vector_data_.size() ||
        vector_data_[queue.vector] != data) {
      continue;
    }
    for (auto& open : queue.waiting) {
      if (open && !open->seen) open->seen = scheduler_.now();
    }
    if (!shadowed(id)) continue;
    for (auto& open : queue.waiting) {
      if (open) dealt_with(*open);
    }
    queue.waiting.clear();
  }
}

// The driver knows of the completion since it was `seen`, and is through with it now.
void CommandWatch::dealt_with(Open& open) {
  const bool io = open.key.queue != kAdmin;
  if (io) count_open(-1);
  // Missing only if the driver used the CID of a command that was open.
  const base::StageRecord* device = stages_.find(open.key);
  if (device == nullptr) return;
  const base::Time now = scheduler_.now();
  const base::Time noticed = device->start();
  // A coalesced interrupt for it may come behind that of another one.
  const base::Time seen = std::max(open.seen.value_or(now), device->last());
  base::StageRecord record;
  record.open(open.doorbell ? std::min(open.doorbell->busy_since, noticed) : noticed);
  if (open.doorbell) record.stamp(base::Stage::kSubmit, std::min(open.doorbell->at, noticed));
  stages_.join(open.key, record, seen);
  record.stamp(base::Stage::kComplete, now);
  if (!io) return;
  open.command.stages = record;
  sink_(open.command);
}

template <class Condition>
void CommandWatch::cancel_if(Condition condition) {
  for (auto at = open_.begin(); at != open_.end();) {
    if (!condition(at->second)) {
      ++at;
      continue;
    }
    cancel(at->second);
    at = open_.erase(at);
  }
}

void CommandWatch::cancel(const Open& open) {
  if (open.key.queue == kAdmin) return;
  ++counts_.cancelled;
  count_open(-1);
}

// What had a completion entry is counted as completed, though the driver never looked at it.
void CommandWatch::forget_waiting(const Completion& queue) {
  for (const auto& open : queue.waiting) {
    if (open && open->key.queue != kAdmin) count_open(-1);
  }
}

void CommandWatch::forget_everything() {
  cancel_if([](const Open&) { return true; });
  for (const auto& [id, queue] : completions_) forget_waiting(queue);
  submissions_.clear();
  completions_.clear();
  shadow_doorbells_ = false;
}

void CommandWatch::count_open(int more) {
  if (io_open_ == 0) io_open_since_ = scheduler_.now();
  io_open_ += static_cast<std::uint64_t>(more);
  if (io_open_ == 0) io_open_time_ += scheduler_.now() - io_open_since_;
}

base::Time CommandWatch::open_time() const {
  return io_open_ == 0 ? io_open_time_ : io_open_time_ + (scheduler_.now() - io_open_since_);
}

}  // namespace nvmesim::bridge
