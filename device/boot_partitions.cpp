#include "device/boot_partitions.hpp"

#include <algorithm>
#include <cstring>

#include "device/core.hpp"

namespace nvmesim::device {

namespace {
constexpr std::uint64_t kUnit = 128 * base::kKiB;  // of BPINFO.BPSZ
constexpr std::uint64_t kPage = 4096;              // of BPRSEL
constexpr unsigned kNoRead = 0;                    // BRS
constexpr unsigned kReading = 1;
constexpr unsigned kDone = 2;
constexpr unsigned kError = 3;
}  // namespace

BootPartitions::BootPartitions(Core& core)
    : core_(core), bytes_(core.config.registers.boot_partition_units * kUnit) {
  for (auto& partition : partitions_) partition.resize(bytes_);
}

std::uint32_t BootPartitions::info() const {
  return static_cast<std::uint32_t>(bytes_ / kUnit) | (status_ << 24) | (active_ << 31);
}

void BootPartitions::set_buffer(bool upper, std::uint32_t value) {
  if (upper) {
    buffer_ = (buffer_ & 0xFFFF'FFFF) | (std::uint64_t{value} << 32);
  } else {
    buffer_ = (buffer_ & ~std::uint64_t{0xFFFF'FFFF}) | (value & ~std::uint32_t{0xFFF});
  }
}

void BootPartitions::select(std::uint32_t value) {
  if (status_ == kReading) {
    core_.report("BPRSEL written while a boot partition is being read", "3.1.14");
    return;
  }
  selection_ = value & 0xBFFF'FFFF;
  next_ = spec::bits(value, 29, 10) * kPage;
  end_ = next_ + spec::bits(value, 9, 0) * kPage;
  target_ = buffer_;
  if (end_ > bytes_ || next_ == end_) {
    core_.report("BPRSEL reaches beyond the boot partition, or asks for nothing", "3.1.14");
    status_ = kError;
    return;
  }
  status_ = kReading;
  send_page();
}

void BootPartitions::send_page() {
  if (next_ == end_) {
    status_ = kDone;
    return;
  }
  const auto& partition = partitions_[selection_ >> 31];
  const base::BufferRef page = core_.buffers.take();
  std::memcpy(page->data(), partition.data() + next_, kPage);
  next_ += kPage;
  core_.port.dma_write(target_, {page->data(), kPage}, page, {},
                       base::Callback::of<&BootPartitions::send_page>(this));
  target_ += kPage;
}

void BootPartitions::replace(unsigned partition, const std::vector<std::byte>& data) {
  auto& into = partitions_[partition];
  std::fill(into.begin(), into.end(), std::byte{0});
  std::copy(data.begin(), data.end(), into.begin());
}

void BootPartitions::reset() {
  if (status_ == kReading) status_ = kError;
  static_assert(kNoRead == 0);
}

}  // namespace nvmesim::device
