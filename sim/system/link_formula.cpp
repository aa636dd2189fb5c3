#include "sim/system/link_formula.hpp"

#include <algorithm>
#include <bit>

#include "pcie/formula.hpp"

namespace nvmesim::system_ {
namespace {

namespace formula = pcie::formula;
using base::Time;

constexpr std::uint64_t kHostPageBytes = 4096;

unsigned log2_of(std::uint32_t power) {
  return static_cast<unsigned>(std::countr_zero(power));
}

class Forecaster {
 public:
  Forecaster(const SystemConfig& config, const LinkMeasurement& measurement)
      : config_(config),
        measurement_(measurement),
        headers_(formula::headers(config.link.generation)),
        pace_(formula::tlp_pace(config.link.generation, config.link.lanes,
                                config.link.max_payload_bytes)),
        delay_(std::chrono::nanoseconds(config.link.propagation_ns) +
               std::chrono::nanoseconds(config.link.stack_latency_ns)) {}

  LinkForecast dma(std::uint64_t address) const {
    const std::uint32_t header = headers_.memory(address);
    const std::uint32_t bytes = measurement_.bytes;
    const auto first = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, kHostPageBytes));
    const bool write = measurement_.operation != LinkOperation::dma_read;
    const bool read = measurement_.operation != LinkOperation::dma_write;
    const Time written = write ? pace_(data_bytes(bytes, payload_shift(), header)) : Time(0);
    const Time requested = pace_(request_bytes(bytes, header));
    const Time completed = pace_(data_bytes(bytes, completion_shift(), headers_.completion));
    if (!read) return loaded(written, written);
    // The completions of the first page follow its requests; the others are behind them.
    const Time unloaded =
        written + pace_(request_bytes(first, header)) + 2 * delay_ + memory_time(first) + completed;
    return loaded(unloaded, std::max(written + requested, completed));
  }

  LinkForecast mmio_read(std::uint64_t address) const {
    const Time request = pace_(headers_.memory(address));
    const Time completion =
        pace_(data_bytes(measurement_.bytes, completion_shift(), headers_.completion));
    const Time answer = std::chrono::nanoseconds(config_.device.endpoint.register_latency_ns);
    return loaded(request + completion + 2 * delay_ + answer, std::max(request, completion));
  }

  LinkForecast mmio_write(std::uint64_t address) const {
    const Time wire =
        pace_(data_bytes(measurement_.bytes, payload_shift(), headers_.memory(address)));
    const Time apart = std::chrono::nanoseconds(config_.host.mmio_write_ns);
    const Time each = std::max(wire, Time(apart.count() / measurement_.outstanding));
    // Processors that are faster than the wire: writes pile up, there is no steady latency.
    const bool steady = wire * measurement_.outstanding <= apart;
    return {steady ? wire + delay_ : Time(0), rate(measurement_.bytes, each)};
  }

 private:
  unsigned payload_shift() const { return log2_of(config_.link.max_payload_bytes); }
  unsigned completion_shift() const {
    const std::uint32_t boundary = config_.link.read_completion_boundary_bytes;
    return boundary != 0 ? log2_of(boundary) : payload_shift();
  }
  // Pages are requests of their own.
  template <class Cut>
  static std::uint64_t by_pages(std::uint32_t bytes, const Cut& cut) {
    std::uint64_t sum = 0;
    for (std::uint64_t left = bytes; left > 0;) {
      const std::uint64_t piece = std::min(left, kHostPageBytes);
      sum += cut(static_cast<std::uint32_t>(piece)).wire_bytes();
      left -= piece;
    }
    return sum;
  }
  static std::uint64_t data_bytes(std::uint32_t bytes, unsigned shift, std::uint32_t header) {
    return by_pages(
        bytes, [=](std::uint32_t piece) { return formula::data_segments(piece, shift, header); });
  }
  std::uint64_t request_bytes(std::uint32_t bytes, std::uint32_t header) const {
    const unsigned shift = log2_of(config_.link.max_read_request_bytes);
    return by_pages(bytes, [=](std::uint32_t piece) {
      return formula::read_request_segments(piece, shift, header);
    });
  }
  Time memory_time(std::uint64_t bytes) const {
    const base::Pace pace(std::uint64_t{config_.host.memory_read_ns_per_kib} * 1000, base::kKiB);
    return Time(std::chrono::nanoseconds(config_.host.memory_read_latency_ns)) + pace(bytes);
  }
  static std::uint64_t rate(std::uint64_t bytes, Time each) {
    if (each.count() <= 0) return 0;
    return bytes * 1'000'000'000'000 / static_cast<std::uint64_t>(each.count());
  }
  // A closed loop of `outstanding` operations that need `wire` each of the busier direction.
  LinkForecast loaded(Time unloaded, Time wire) const {
    const Time latency = std::max(unloaded, wire * measurement_.outstanding);
    return {latency, rate(std::uint64_t{measurement_.bytes} * measurement_.outstanding, latency)};
  }

  const SystemConfig& config_;
  const LinkMeasurement& measurement_;
  const formula::Headers headers_;
  const base::Pace pace_;
  const Time delay_;
};

}  // namespace

LinkForecast forecast(const SystemConfig& config, const LinkMeasurement& measurement,
                      std::uint64_t memory_address, std::uint64_t register_address) {
  const Forecaster forecaster(config, measurement);
  switch (measurement.operation) {
    case LinkOperation::mmio_read:
      return forecaster.mmio_read(register_address);
    case LinkOperation::mmio_write:
      return forecaster.mmio_write(register_address);
    default:
      return forecaster.dma(memory_address);
  }
}

}  // namespace nvmesim::system_
