#include "sim/system/bench_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "sim/base/assert.hpp"

namespace nvmesim::system_ {
namespace {

constexpr std::uint64_t kLineBytes = 64;

std::string numbered(const char* name, std::size_t index) {
  return index == 0 ? name : fmt::format("{}{}", name, index);
}

}  // namespace

BenchDevice::BenchDevice(const SystemConfig& config, std::size_t index, BenchBoard& board,
                         BenchHost& host, base::Scheduler& scheduler)
    : link(numbered("link", index).c_str(), config.link, scheduler, config.seed),
      endpoint(numbered("endpoint", index).c_str(), config.device.endpoint, scheduler),
      config_(config),
      index_(index),
      board_(board),
      host_(host),
      scheduler_(scheduler),
      stream_(numbered("link", index)) {
  endpoint.attach(*this);
  endpoint.set_link(link);
}

std::uint64_t BenchDevice::unit_bytes(std::uint32_t bytes) {
  const std::uint64_t multiple = bytes > kBenchPageBytes ? kBenchPageBytes : kLineBytes;
  const std::uint64_t lines = base::ceil_div(bytes, multiple) * multiple;
  return bytes > kBenchPageBytes ? lines : std::bit_ceil(lines);  // never across a page
}

void BenchDevice::begin(const LinkMeasurement& wanted, std::uint64_t memory_start, bool arrivals,
                        base::Time start) {
  wanted_ = wanted;
  memory_start_ = memory_start;
  arrivals_ = arrivals;
  ++measurement_;
  random_ = base::Random(config_.seed, stream_);
  slots_.assign(wanted.outstanding, Slot{});
  data_.resize(std::max<std::size_t>(data_.size(), std::size_t{wanted.bytes} * wanted.outstanding));
  scheduler_.at<&BenchDevice::start_all>(start, this);
}

void BenchDevice::start_all() {
  for (std::uint64_t slot = 0; slot < slots_.size(); ++slot) start(slot);
}

void BenchDevice::start(std::uint64_t index) {
  if (!board_.take_operation()) return;
  Slot& slot = slots_[index];
  slot.started = scheduler_.now();
  if (wanted_.operation <= LinkOperation::dma_write_read) {
    const std::uint64_t unit = unit_bytes(wanted_.bytes);
    slot.address = memory_start_ + random_.below(window_bytes(wanted_) / unit) * unit;
    if (wanted_.operation != LinkOperation::dma_read) dma(index, true);
    if (wanted_.operation != LinkOperation::dma_write) dma(index, false);
  } else if (wanted_.operation == LinkOperation::mmio_read) {
    host_.mmio(tlm::TLM_READ_COMMAND, registers_, wanted_.bytes,
               base::Callback::of<&BenchDevice::slot_ended>(this, index));
  } else {
    sent_.push_back(slot.started);
    host_.mmio(tlm::TLM_WRITE_COMMAND, registers_, wanted_.bytes, {});
    scheduler_.after<&BenchDevice::next_write>(std::chrono::nanoseconds(config_.host.mmio_write_ns),
                                               this, measurement_ << 32 | index);
  }
}

// A processor is ready for its next write; perhaps the measurement has ended meanwhile.
void BenchDevice::next_write(std::uint64_t which) {
  if (which >> 32 == measurement_) start(which & 0xFFFF'FFFF);
}

// The requests of one operation, page by page.
void BenchDevice::dma(std::uint64_t index, bool write) {
  const bool counts = !write || wanted_.operation == LinkOperation::dma_write;
  const bool at_link = counts && !(write && ends_on_arrival());
  Slot& slot = slots_[index];
  if (counts) {
    slot.open = static_cast<std::uint32_t>(base::ceil_div(wanted_.bytes, kBenchPageBytes));
  }
  const auto done =
      at_link ? base::Callback::of<&BenchDevice::part_ended>(this, index) : base::Callback();
  const std::span<std::byte> data = std::span(data_).subspan(index * wanted_.bytes, wanted_.bytes);
  for (std::uint64_t at = 0; at < wanted_.bytes; at += kBenchPageBytes) {
    const auto part =
        data.subspan(at, std::min<std::uint64_t>(wanted_.bytes - at, kBenchPageBytes));
    if (write) {
      if (ends_on_arrival() && part.size() <= pcie::TlpPool::kInlineBytes) short_.push_back(index);
      // What is read back must not be passed by its own write's rest.
      endpoint.dma_write(slot.address + at, part, {}, {counts, false, true}, done);
    } else {
      endpoint.dma_read(slot.address + at, part, {}, done);
    }
  }
}

// A short write was copied, but keeps its order; a longer one still points to its slot's data.
void BenchDevice::arrived(const tlm::tlm_generic_payload& payload) {
  if (!ends_on_arrival()) return;
  if (payload.get_data_length() <= pcie::TlpPool::kInlineBytes) {
    const std::uint64_t index = short_.front();
    short_.pop_front();
    part_arrived(index);
    return;
  }
  const auto* data = reinterpret_cast<const std::byte*>(payload.get_data_ptr());
  part_arrived(static_cast<std::uint64_t>(data - data_.data()) / wanted_.bytes);
}

void BenchDevice::part_ended(std::uint64_t index) {
  NVMESIM_ASSERT(endpoint.dma_status() == pcie::DmaStatus::kOk, "a DMA of the bench failed");
  part_arrived(index);
}
void BenchDevice::part_arrived(std::uint64_t index) {
  if (--slots_[index].open == 0) slot_ended(index);
}
void BenchDevice::slot_ended(std::uint64_t index) {
  board_.ended(index_, slots_[index].started);
  start(index);
}

void BenchDevice::bar_write(unsigned, std::uint64_t, std::span<const std::byte>) {
  // Posted writes of processors arrive in order.
  const base::Time sent = sent_.front();
  sent_.pop_front();
  board_.ended(index_, sent);
}
void BenchDevice::bar_read(unsigned, std::uint64_t, std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0});
}

}  // namespace nvmesim::system_
