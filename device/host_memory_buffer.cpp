#include "device/host_memory_buffer.hpp"

#include <algorithm>
#include <cstring>

#include "device/core.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

constexpr std::uint32_t kEnableBuffer = 1u << 0;  // dword 11: EHM
constexpr std::uint32_t kReturn = 1u << 1;        // MR
constexpr std::uint32_t kDescriptorBytes = 16;
constexpr std::uint32_t kMostEntries = 65'536;  // where HMMAXD sets no limit

}  // namespace

bool HostMemoryBuffer::offered() const {
  return core_.config.hmb.hmpre_pages != 0;
}

void HostMemoryBuffer::set(Command& command) {
  const bool wanted = (command.sqe.cdw11 & kEnableBuffer) != 0;
  if (state_ == State::kReadingList || state_ == State::kWithdrawing ||
      (wanted && state_ == State::kLent)) {
    core_.reject(command, Status::kCommandSequenceError, "the buffer is enabled already",
                 "5.21.1.13");
  } else if (wanted) {
    enable(command);
  } else {
    disable(command);
  }
}

void HostMemoryBuffer::enable(Command& command) {
  const HmbConfig& config = core_.config.hmb;
  size_pages_ = command.sqe.cdw12;
  list_ = std::uint64_t{command.sqe.cdw14} << 32 | command.sqe.cdw13;
  entries_ = command.sqe.cdw15;
  const std::uint64_t bytes = std::uint64_t{size_pages_} * core_.registers.page_bytes();
  const std::uint32_t most = config.hmmaxd == 0 ? kMostEntries : config.hmmaxd;
  const char* fault = nullptr;
  if ((list_ & 15) != 0) fault = "the descriptor list is not aligned to 16 bytes";
  if (entries_ == 0 || entries_ > most) fault = "HMDLEC is 0 or above HMMAXD";
  if (size_pages_ == 0 || bytes < std::uint64_t{config.hmmin_pages} * models::kUnitBytes) {
    fault = "HSIZE is 0 or below HMMIN";
  }
  if (fault != nullptr) {
    core_.reject(command, Status::kInvalidField, fault, "5.21.1.13");
    return;
  }
  state_ = State::kReadingList;
  waiting_ = &command;
  command.state = CommandState::kParked;
  command.record.stamp(base::Stage::kDecode, core_.scheduler.now());
  segments_.clear();
  listed_bytes_ = entries_read_ = 0;
  read_list();
}

void HostMemoryBuffer::read_list() {
  const std::uint64_t address = list_ + std::uint64_t{entries_read_} * kDescriptorBytes;
  const std::uint64_t in_page = models::kUnitBytes - address % models::kUnitBytes;
  page_entries_ =
      std::min(entries_ - entries_read_, static_cast<std::uint32_t>(in_page / kDescriptorBytes));
  buffer_ = core_.buffers.take();
  core_.port.dma_read(address, {buffer_->data(), std::size_t{page_entries_} * kDescriptorBytes},
                      buffer_, base::Callback::of<&HostMemoryBuffer::list_arrived>(this));
}

// False for an address or size that the specification does not allow. A piece below HMMINDS is
// the host's own business: it is left alone.
bool HostMemoryBuffer::take(const std::byte* descriptor) {
  std::uint64_t address = 0;
  std::uint32_t pages = 0;
  std::memcpy(&address, descriptor, sizeof address);
  std::memcpy(&pages, descriptor + 8, sizeof pages);
  const std::uint64_t page = core_.registers.page_bytes();
  const std::uint64_t bytes = pages * page;
  if (address % page != 0 || address + bytes < address) return false;
  listed_bytes_ += bytes;
  if (pages == 0 || bytes < std::uint64_t{core_.config.hmb.hmminds_pages} * models::kUnitBytes) {
    return true;
  }
  segments_.push_back({this->bytes() + bytes, address});
  return true;
}

void HostMemoryBuffer::list_arrived() {
  if (core_.port.dma_status() != pcie::DmaStatus::kOk) {
    refuse(Status::kDataTransferError, "the descriptor list could not be read");
    return;
  }
  for (std::uint32_t i = 0; i < page_entries_; ++i) {
    if (!take(buffer_->data() + std::size_t{i} * kDescriptorBytes)) {
      refuse(Status::kInvalidField, "a piece of the buffer does not start at a page");
      return;
    }
  }
  entries_read_ += page_entries_;
  if (entries_read_ < entries_) {
    read_list();
  } else {
    list_complete();
  }
}

void HostMemoryBuffer::refuse(Status status, const char* rule) {
  Command& command = *waiting_;
  waiting_ = nullptr;
  buffer_.reset();
  segments_.clear();
  state_ = State::kNone;
  core_.reject(command, status, rule, "5.21.1.13");
}

void HostMemoryBuffer::list_complete() {
  if (listed_bytes_ != std::uint64_t{size_pages_} * core_.registers.page_bytes()) {
    refuse(Status::kInvalidField, "HSIZE is not the sum of the pieces");
    return;
  }
  Command& command = *waiting_;
  waiting_ = nullptr;
  buffer_.reset();
  state_ = State::kLent;
  const bool intact = (command.sqe.cdw11 & kReturn) != 0 && bytes() == last_bytes_;
  last_bytes_ = bytes();
  core_.media.memory_user()->lent(*this, intact);
  core_.complete(command, Status::kSuccess);
}

// The host has its memory back when the command completes.
void HostMemoryBuffer::disable(Command& command) {
  if (state_ == State::kNone) {
    core_.complete(command, Status::kSuccess);
    return;
  }
  state_ = State::kWithdrawing;
  waiting_ = &command;
  command.state = CommandState::kParked;
  command.record.stamp(base::Stage::kDecode, core_.scheduler.now());
  core_.media.memory_user()->withdraw(base::Callback::of<&HostMemoryBuffer::withdrawn>(this));
}

void HostMemoryBuffer::withdrawn() {
  if (state_ != State::kWithdrawing) return;  // a reset was first
  state_ = State::kNone;
  segments_.clear();
  Command& command = *waiting_;
  waiting_ = nullptr;
  core_.complete(command, Status::kSuccess);
}

void HostMemoryBuffer::reset() {
  if (state_ == State::kLent || state_ == State::kWithdrawing) core_.media.memory_user()->dropped();
  state_ = State::kNone;
  waiting_ = nullptr;
  buffer_.reset();  // a dropped read may still write into it
  segments_.clear();
}

std::vector<std::byte> HostMemoryBuffer::attributes() const {
  std::vector<std::byte> data(4096);
  if (state_ == State::kNone) return data;
  const std::uint32_t words[] = {size_pages_, static_cast<std::uint32_t>(list_),
                                 static_cast<std::uint32_t>(list_ >> 32), entries_};
  std::memcpy(data.data(), words, sizeof words);
  return data;
}

std::uint64_t HostMemoryBuffer::bytes() const {
  return segments_.empty() ? 0 : segments_.back().end;
}

std::uint64_t HostMemoryBuffer::address_of(std::uint64_t offset) const {
  NVMESIM_ASSERT(state_ == State::kLent || state_ == State::kWithdrawing,
                 "host memory was used that is not lent");
  NVMESIM_ASSERT(offset < bytes(), "an access beyond the host memory buffer");
  const auto segment =
      std::upper_bound(segments_.begin(), segments_.end(), offset,
                       [](std::uint64_t value, const Segment& each) { return value < each.end; });
  const std::uint64_t begin = segment == segments_.begin() ? 0 : (segment - 1)->end;
  return segment->address + (offset - begin);
}

void HostMemoryBuffer::read(std::uint64_t offset, std::span<std::byte> into, base::BufferRef keep,
                            base::Callback done) {
  ++reads_;
  core_.port.dma_read(address_of(offset), into, std::move(keep), done);
}

void HostMemoryBuffer::write(std::uint64_t offset, std::span<const std::byte> from,
                             base::BufferRef keep, base::Callback done) {
  ++writes_;
  core_.port.dma_write(address_of(offset), from, std::move(keep), {}, done);
}

bool HostMemoryBuffer::failed() const {
  return core_.port.dma_status() != pcie::DmaStatus::kOk;
}

}  // namespace nvmesim::device
