#include "sim/system/link_formula.hpp"

#include <algorithm>
#include <bit>
#include <initializer_list>

#include "host/kernel/memory.hpp"
#include "pcie/formula.hpp"
#include "sim/system/bench_parts.hpp"

namespace nvmesim::system_ {
namespace {

namespace formula = pcie::formula;
using base::Time;

unsigned log2_of(std::uint32_t power) {
  return static_cast<unsigned>(std::countr_zero(power));
}

std::uint64_t rate(std::uint64_t bytes, Time each) {
  __extension__ using Wide = unsigned __int128;
  if (each.count() <= 0) return 0;
  return static_cast<std::uint64_t>(Wide{bytes} * 1'000'000'000'000 /
                                    static_cast<std::uint64_t>(each.count()));
}

// The wire times of a row of TLPs.
struct Wires {
  Time all{0};
  Time first{0};  // its first TLP
  Time last{0};
};

// What requests and completions take on one link, and how far it is.
class Hop {
 public:
  explicit Hop(const pcie::LinkConfig& config)
      : config_(config),
        headers_(formula::headers(config.generation)),
        pace_(formula::tlp_pace(config.generation, config.lanes, config.max_payload_bytes)) {}

  Time delay() const {
    const Time flit = config_.generation < 6
                          ? Time(0)
                          : formula::raw_pace(6, config_.lanes)(formula::kFlitBytes / 2);
    return std::chrono::nanoseconds(config_.propagation_ns) +
           std::chrono::nanoseconds(config_.stack_latency_ns) + flit;
  }
  Wires write(std::uint64_t address, std::uint32_t bytes) const {
    const unsigned shift = log2_of(config_.max_payload_bytes);
    const std::uint32_t header = headers_.memory(address);
    return by_pages(bytes, [=](std::uint32_t piece) {
      return formula::data_segments(formula::whole_words(address, piece), shift, header);
    });
  }
  Wires request(std::uint64_t address, std::uint32_t bytes) const {
    const unsigned shift = log2_of(config_.max_read_request_bytes);
    const std::uint32_t header = headers_.memory(address);
    return by_pages(bytes, [=](std::uint32_t piece) {
      return formula::read_request_segments(formula::whole_words(address, piece), shift, header);
    });
  }
  Wires completion(std::uint64_t address, std::uint32_t bytes) const {
    const std::uint32_t boundary = config_.read_completion_boundary_bytes;
    const unsigned shift = log2_of(boundary != 0 ? boundary : config_.max_payload_bytes);
    const unsigned requests = log2_of(config_.max_read_request_bytes);
    return by_pages(bytes, [&](std::uint32_t piece) {
      return formula::completion_segments(address, piece, shift, requests, headers_.completion);
    });
  }

 private:
  // Pages are requests of their own.
  template <class Cut>
  Wires by_pages(std::uint32_t bytes, const Cut& cut) const {
    std::uint64_t sum = 0;
    formula::Segments segments;
    std::uint32_t first = 0;
    for (std::uint64_t left = bytes; left > 0;) {
      const std::uint64_t piece = std::min(left, kBenchPageBytes);
      segments = cut(static_cast<std::uint32_t>(piece));
      if (left == bytes) first = segments.tlps == 1 ? segments.last_bytes : segments.full_bytes;
      sum += segments.wire_bytes();
      left -= piece;
    }
    return {pace_(sum), pace_(first), pace_(segments.last_bytes)};
  }

  const pcie::LinkConfig& config_;
  const formula::Headers headers_;
  const base::Pace pace_;
};

class Forecaster {
 public:
  Forecaster(const SystemConfig& config, const LinkMeasurement& measurement)
      : config_(config),
        wanted_(measurement),
        behind_switch_(config.pcie_switch.ports != 0),
        devices_(std::max(config.pcie_switch.ports, 1U)),
        link_(config.link),
        uplink_(config.uplink) {}

  LinkForecast dma(std::uint64_t address) const {
    const bool writes = wanted_.operation != LinkOperation::dma_read;
    const bool reads = wanted_.operation != LinkOperation::dma_write;
    const auto of = [&](const Hop& hop) {
      return HopTimes{writes ? hop.write(address, wanted_.bytes) : Wires{},
                      hop.request(address, wanted_.bytes), hop.request(address, first_page()),
                      hop.completion(address, wanted_.bytes)};
    };
    const HopTimes below = of(link_);
    const HopTimes above = behind_switch_ ? of(uplink_) : HopTimes{};
    if (!reads) {
      const Time arrival =
          through({below.write}, {above.write}) + link_.delay() + switched() + uplink_delay();
      const Time alone = behind_switch_ ? arrival + walk() : below.write.all;
      return loaded(alone, alone, below.write.all, above.write.all, walking());
    }
    // The completions of the first page follow its requests; the others are behind them.
    const Time wires =
        through({below.write, below.first_request}, {above.write, above.first_request}) +
        through({above.completion}, {below.completion}) +
        2 * (link_.delay() + uplink_delay() + switched());
    const Time alone = wires + memory_time(first_page()) + walk();
    const Time far = remote();
    const bool mostly_far = remote_parts(address) > kParts / 2;
    return loaded(alone + (mostly_far ? far : Time(0)),
                  alone + Time(far.count() * static_cast<std::int64_t>(remote_parts(address)) /
                               static_cast<std::int64_t>(kParts)),
                  below.busier(), above.busier(), walking());
  }

  LinkForecast mmio_read(std::uint64_t address) const {
    const auto both = [&](const Hop& hop) {
      return std::pair(hop.request(address, wanted_.bytes), hop.completion(address, wanted_.bytes));
    };
    const auto [request, completion] = both(link_);
    const auto [request_above, completion_above] =
        behind_switch_ ? both(uplink_) : std::pair(Wires{}, Wires{});
    const Time answer = std::chrono::nanoseconds(config_.device.endpoint.register_latency_ns);
    const Time alone = through({request_above}, {request}) +
                       through({completion}, {completion_above}) + answer +
                       2 * (link_.delay() + uplink_delay() + switched());
    return loaded(alone, alone, std::max(request.all, completion.all),
                  std::max(request_above.all, completion_above.all), Time(0));
  }

  LinkForecast mmio_write(std::uint64_t address) const {
    const Time wire = link_.write(address, wanted_.bytes).all;
    const Time above = behind_switch_ ? uplink_.write(address, wanted_.bytes).all : Time(0);
    const Time apart = std::chrono::nanoseconds(config_.host.mmio_write_ns);
    const std::int64_t writers = std::int64_t{devices_} * wanted_.outstanding;
    const Time each =
        std::max({above, Time(wire.count() / devices_), Time(apart.count() / writers)});
    // Processors that are faster than a wire: writes pile up, there is no steady latency.
    const bool steady = wire * wanted_.outstanding <= apart && above * writers <= apart;
    const Time alone = wire + link_.delay() + switched() + above + uplink_delay();
    return {steady ? alone : Time(0), rate(wanted_.bytes, each)};
  }

 private:
  static constexpr std::uint64_t kParts = 1'000'000;
  struct HopTimes {
    Wires write;
    Wires request;        // all of them
    Wires first_request;  // those of the first page
    Wires completion;
    Time busier() const { return std::max(write.all + request.all, completion.all); }
  };

  // When the last TLP of these rows has left the second wire, if each goes there as soon as it has
  // left the first: one of them is there the latest, and those behind it follow without a gap.
  // Without a switch there is one wire; a row without TLPs on one has none on the other.
  static Time through(std::initializer_list<Wires> one, std::initializer_list<Wires> other) {
    Time end{0};
    Time before{0};  // rows in front of this one, on the first wire
    Time behind{0};  // from this row on, on the second
    for (const Wires& row : other) behind += row.all;
    const Wires* second = other.begin();
    for (const Wires& row : one) {
      end = std::max(end, before + row.first + behind);
      before += row.all;
      behind -= second->all;
      end = std::max(end, before + second->last + behind);
      ++second;
    }
    return end;
  }

  std::uint32_t first_page() const {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted_.bytes, kBenchPageBytes));
  }
  std::uint64_t pages() const { return base::ceil_div(wanted_.bytes, kBenchPageBytes); }
  Time uplink_delay() const { return behind_switch_ ? uplink_.delay() : Time(0); }
  Time switched() const {
    return behind_switch_ ? Time(std::chrono::nanoseconds(config_.pcie_switch.latency_ns))
                          : Time(0);
  }
  Time memory_time(std::uint64_t bytes) const {
    const base::Pace pace(std::uint64_t{config_.host.memory_read_ns_per_kib} * 1000, base::kKiB);
    return Time(std::chrono::nanoseconds(config_.host.memory_read_latency_ns)) + pace(bytes);
  }
  Time remote() const { return std::chrono::nanoseconds(config_.root_complex.remote_latency_ns); }

  // How much of the window of addresses belongs to another node.
  std::uint64_t remote_parts(std::uint64_t address) const {
    const host::MemoryMap map(config_.host.memory_bytes);
    const std::uint64_t window = BenchDevice::window_bytes(wanted_);
    const std::uint64_t end = map.offset(address) + window;
    const std::uint64_t local =
        map.bytes() - std::min(map.bytes(), config_.root_complex.remote_memory_bytes);
    return std::min(window, end - std::min(end, local)) * kParts / window;
  }

  // How many of the translations of random pages miss, when the cache holds as many as it can.
  std::uint64_t miss_parts() const {
    const pcie::IommuConfig& iommu = config_.root_complex.iommu;
    const bool passes = config_.host.iommu.mode == host::IommuMode::passthrough;
    if (!iommu.enabled || passes) return 0;
    const std::uint64_t all =
        base::ceil_div(BenchDevice::window_bytes(wanted_), kBenchPageBytes) * devices_;
    return all <= iommu.cache_entries ? 0 : kParts - iommu.cache_entries * kParts / all;
  }
  Time one_walk() const {
    const pcie::IommuConfig& iommu = config_.root_complex.iommu;
    return std::chrono::nanoseconds(std::uint64_t{iommu.walk_accesses} * iommu.walk_access_ns);
  }
  // Of most operations.
  Time walk() const { return miss_parts() > kParts / 2 ? one_walk() : Time(0); }
  // Of the walkers, for one operation.
  Time walking() const {
    const std::uint64_t parts = miss_parts() * pages() / config_.root_complex.iommu.walkers;
    return Time(one_walk().count() * static_cast<std::int64_t>(parts) /
                static_cast<std::int64_t>(kParts));
  }

  // Pages of one operation take turns on a wire. What the next wire does then has a closed form
  // only if both cut them alike, and if the requests for all of them are little beside the
  // completions.
  bool pages_add_up() const {
    constexpr std::uint32_t kLongRequests = 512;
    if (!behind_switch_ || wanted_.bytes <= kBenchPageBytes) return true;
    const pcie::LinkConfig& below = config_.link;
    const pcie::LinkConfig& above = config_.uplink;
    return below.max_payload_bytes == above.max_payload_bytes &&
           below.max_read_request_bytes == above.max_read_request_bytes &&
           below.read_completion_boundary_bytes == above.read_completion_boundary_bytes &&
           below.max_read_request_bytes >= kLongRequests;
  }

  // A closed loop of `outstanding` operations in each device that need so much of the busier
  // direction of each link. `alone`: the usual one; `mean`: as the rate has it. Nothing if it is
  // not known how long one takes alone, and the load does not hide it.
  LinkForecast loaded(Time alone, Time mean, Time link, Time uplink, Time walkers) const {
    const std::int64_t all = std::int64_t{devices_} * wanted_.outstanding;
    const Time most = std::max({link * wanted_.outstanding, uplink * all, walkers * all});
    const std::uint64_t bytes = std::uint64_t{wanted_.bytes} * static_cast<std::uint64_t>(all);
    if (!pages_add_up() && most < 2 * std::max(alone, mean)) return {};
    return {std::max(alone, most), rate(bytes, std::max(mean, most))};
  }

  const SystemConfig& config_;
  const LinkMeasurement& wanted_;
  const bool behind_switch_;
  const std::uint32_t devices_;
  const Hop link_;
  const Hop uplink_;
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
