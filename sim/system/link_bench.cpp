#include "sim/system/link_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "host/kernel/memory.hpp"
#include "pcie/root_complex.hpp"
#include "pcie/switch.hpp"
#include "sim/check/checked_sockets.hpp"
#include "sim/system/bench_parts.hpp"
#include "sim/system/link_formula.hpp"

namespace nvmesim::system_ {
namespace {

using base::Time;

constexpr auto kUp = base::Splice::Direction::kUpstream;
constexpr std::uint32_t kMostDmaBytes = 1 << 20;

bool is_mmio(LinkOperation operation) {
  return operation == LinkOperation::mmio_read || operation == LinkOperation::mmio_write;
}

void require(bool condition, std::string_view name, std::string_view rule) {
  if (!condition) throw base::UserError(fmt::format("{} must be {}", name, rule));
}

}  // namespace

class LinkBench::Bench final : public BenchBoard {
 public:
  Bench(const SystemConfig& config, pcie::TlpLog tlp_log)
      : config_(config),
        scheduler_("scheduler",
                   Time(static_cast<std::int64_t>(config.simulation.quantum_ns * 1000))),
        host_("host", scheduler_),
        root_complex_("root_complex", config.root_complex, scheduler_, host_),
        memory_("memory", config.host, scheduler_),
        arrivals_("arrivals"),
        sockets_(config.simulation.check_protocol, scheduler_) {
    sockets_.bind("cpu", host_.bus, root_complex_.cpu);
    sockets_.bind("memory", root_complex_.memory, arrivals_.upstream.in, kUp);
    arrivals_.upstream.out.bind(memory_.port);
    arrivals_.on_write = [this](const tlm::tlm_generic_payload& payload) { arrived(payload); };
    const std::uint32_t ports = config.pcie_switch.ports;
    for (std::uint32_t i = 0; i < std::max(ports, 1U); ++i) {
      devices_.push_back(std::make_unique<BenchDevice>(config_, i, *this, host_, scheduler_));
      BenchDevice& device = *devices_.back();
      const std::string suffix = i == 0 ? "" : std::to_string(i);
      sockets_.bind("device_down" + suffix, device.link.to_endpoint, device.endpoint.from_link);
      sockets_.bind("device_up" + suffix, device.endpoint.to_link, device.link.from_endpoint, kUp);
    }
    ports == 0 ? bind_directly() : bind_switch();
    if (tlp_log) (uplink_ ? *uplink_ : devices_[0]->link).set_tlp_log(std::move(tlp_log));
  }

  std::vector<LinkResult> run(const std::vector<LinkMeasurement>& measurements) {
    for (const LinkMeasurement& each : measurements) validate(each);
    std::vector<LinkResult> results;
    host_.set_body([&] {
      bring_up();
      for (const LinkMeasurement& each : measurements) results.push_back(measure(each));
    });
    scheduler_.simulate();
    if (host_.error()) std::rethrow_exception(host_.error());
    return results;
  }
  std::vector<std::string> violations() { return sockets_.violations(true); }

 private:
  void bind_directly() {
    pcie::RootPort& root_port = root_complex_.ports[0];
    pcie::Link& link = devices_[0]->link;
    sockets_.bind("root_down", root_port.to_link, link.from_root);
    sockets_.bind("root_up", link.to_root, root_port.from_link, kUp);
    root_port.set_link(link);
  }

  void bind_switch() {
    pcie::RootPort& root_port = root_complex_.ports[0];
    uplink_ = std::make_unique<pcie::Link>("uplink", config_.uplink, scheduler_, config_.seed);
    switch_ = std::make_unique<pcie::Switch>("pcie_switch", config_.pcie_switch, scheduler_);
    sockets_.bind("root_down", root_port.to_link, uplink_->from_root);
    sockets_.bind("root_up", uplink_->to_root, root_port.from_link, kUp);
    sockets_.bind("switch_down", uplink_->to_endpoint, switch_->from_up);
    sockets_.bind("switch_up", switch_->to_up, uplink_->from_endpoint, kUp);
    root_port.set_link(*uplink_);
    switch_->set_uplink(*uplink_);
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      pcie::SwitchPort& port = switch_->ports[i];
      pcie::Link& link = devices_[i]->link;
      sockets_.bind(fmt::format("port_down{}", i), port.to_link, link.from_root);
      sockets_.bind(fmt::format("port_up{}", i), link.to_root, port.from_link, kUp);
      port.set_link(link);
      devices_[i]->endpoint.set_switch(*switch_);
    }
  }

  // As far up as there is memory: what is above 4 GiB has the longer headers of a real server.
  std::uint64_t memory_start() const {
    return memory_.map().high_bytes() != 0 ? 4 * base::kGiB : 0;
  }

  void validate(const LinkMeasurement& wanted) const {
    const bool mmio = is_mmio(wanted.operation);
    require(wanted.bytes >= 1 && wanted.bytes <= (mmio ? kMostMmioBytes : kMostDmaBytes), "size",
            mmio ? "1 to 64 bytes for MMIO" : "1 to 1048576 bytes");
    require(wanted.outstanding >= 1 && wanted.outstanding <= 4096, "outstanding", "1 to 4096");
    require(wanted.count > wanted.outstanding, "count", "larger than outstanding");
    const std::uint64_t room =
        memory_start() != 0 ? memory_.map().high_bytes() : memory_.map().low_bytes();
    const std::uint64_t window = BenchDevice::window_bytes(wanted);
    if (window > room) {
      throw base::UserError(fmt::format(
          "window: {} bytes do not fit into the {} bytes of host memory (host.memory_bytes)",
          window, room));
    }
  }

  void bring_up() {
    functions_ =
        pcie::enumerate(host_, config_.root_complex.window(), enumeration_options(config_));
    NVMESIM_ASSERT(functions_.size() == devices_.size(), "an endpoint of the bench was not found");
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      host_.write32(functions_[i].id, 4, pcie::kCommandMemorySpace | pcie::kCommandBusMaster);
      devices_[i]->set_registers(functions_[i].bars[0].address);
      pcie::Iommu* iommu = root_complex_.iommu();
      if (iommu != nullptr && config_.host.iommu.mode == host::IommuMode::passthrough) {
        iommu->pass_through(functions_[i].id);
      }
    }
  }

  LinkResult measure(const LinkMeasurement& wanted) {
    result_ = LinkResult{};
    result_.measurement = wanted;
    result_.device_bytes.assign(devices_.size(), 0);
    started_ = ended_ = 0;
    const LinkForecast expected =
        forecast(config_, wanted, memory_start(), functions_[0].bars[0].address);
    // Devices that began together would stay in step for ever, each always in the others' way: a
    // wire that is shared TLP by TLP keeps them so. Real ones have clocks of their own.
    const Time apart = expected.latency / static_cast<std::int64_t>(devices_.size());
    Time start = scheduler_.now();
    for (auto& device : devices_) {
      device->begin(wanted, memory_start(), switch_ != nullptr, start);
      start += apart;
    }
    sc_core::wait(finished_);
    result_.formula_latency = expected.latency;
    result_.formula_bytes_per_second = expected.bytes_per_second;
    return std::move(result_);
  }

  std::uint64_t total() const { return result_.measurement.count * devices_.size(); }

  bool take_operation() override { return started_ < total() && ++started_ != 0; }

  void ended(std::size_t device, Time started) override {
    const LinkMeasurement& wanted = result_.measurement;
    const std::uint64_t first = std::uint64_t{wanted.outstanding} * devices_.size();
    ++ended_;
    // The first ones find an idle link: they do not count.
    if (ended_ == first) from_ = scheduler_.now();
    if (ended_ > first) {
      result_.latency.add(static_cast<std::uint64_t>((scheduler_.now() - started).count()));
      result_.bytes += wanted.bytes;
      result_.device_bytes[device] += wanted.bytes;
    }
    if (ended_ < total()) return;
    result_.span = scheduler_.now() - from_;
    scheduler_.wake(finished_);
  }

  void arrived(const tlm::tlm_generic_payload& payload) {
    const pcie::RequesterId requester = pcie::tlp_of(payload).requester;
    for (auto& device : devices_) {
      if (device->endpoint.id() == requester) device->arrived(payload);
    }
  }

  const SystemConfig config_;
  base::Scheduler scheduler_;
  BenchHost host_;
  pcie::RootComplex root_complex_;
  std::unique_ptr<pcie::Link> uplink_;  // these two only if there is a switch
  std::unique_ptr<pcie::Switch> switch_;
  std::vector<std::unique_ptr<BenchDevice>> devices_;
  host::Memory memory_;
  ArrivalWatch arrivals_;
  check::CheckedSockets sockets_;
  std::vector<pcie::FunctionInfo> functions_;

  LinkResult result_;
  std::uint64_t started_ = 0;
  std::uint64_t ended_ = 0;
  Time from_{0};
  sc_core::sc_event finished_;
};

std::uint64_t LinkResult::bytes_per_second() const {
  if (span.count() <= 0) return 0;
  const auto ps = static_cast<std::uint64_t>(span.count());
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(Wide{bytes} * 1'000'000'000'000 / ps);
}

LinkBench::LinkBench(const SystemConfig& config, pcie::TlpLog tlp_log) {
  // What may fail for the machine's sake is host memory.
  bench_ =
      base::with_path("host", [&] { return std::make_unique<Bench>(config, std::move(tlp_log)); });
}
LinkBench::~LinkBench() = default;

std::vector<LinkResult> LinkBench::run(const std::vector<LinkMeasurement>& measurements) {
  return bench_->run(measurements);
}
std::vector<std::string> LinkBench::protocol_violations() {
  return bench_->violations();
}

}  // namespace nvmesim::system_
