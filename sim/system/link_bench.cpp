#include "sim/system/link_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <utility>
#include <vector>

#include "host/kernel/memory.hpp"
#include "pcie/endpoint.hpp"
#include "pcie/enumerator.hpp"
#include "pcie/link.hpp"
#include "pcie/root_complex.hpp"
#include "sim/base/random.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/sockets.hpp"
#include "sim/check/checked_sockets.hpp"
#include "sim/system/link_formula.hpp"

namespace nvmesim::system_ {
namespace {

using base::Time;
using Direction = base::Splice::Direction;

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kLineBytes = 64;
constexpr std::uint32_t kMostDmaBytes = 1 << 20;
constexpr std::uint32_t kMostMmioBytes = 64;

bool is_mmio(LinkOperation operation) {
  return operation == LinkOperation::mmio_read || operation == LinkOperation::mmio_write;
}

void require(bool condition, std::string_view name, std::string_view rule) {
  if (!condition) throw base::UserError(fmt::format("{} must be {}", name, rule));
}

// The processors' side: configuration accesses of the bench's thread, and MMIO.
class BenchHost : public sc_core::sc_module, public pcie::HostPort, public pcie::ConfigAccess {
  void response(base::GenericPayload& payload) {
    auto& tlp = static_cast<pcie::TlpPayload&>(payload);
    if (tlp.on_response) {
      tlp.on_response();
    } else if (!pcie::is_posted(payload)) {
      scheduler_.wake(answered_);
      return;  // released by the thread that waits
    }
    tlp.release();
  }

 public:
  base::InitiatorSocket<BenchHost, &BenchHost::response> bus;

  BenchHost(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name), bus("bus", this, scheduler), scheduler_(scheduler) {
    NVMESIM_HAS_PROCESS(BenchHost);
    SC_THREAD(run);
  }

  void set_body(std::function<void()> body) { body_ = std::move(body); }
  std::exception_ptr error() const { return error_; }

  std::uint32_t read32(pcie::RequesterId function, unsigned offset) override {
    return configuration(tlm::TLM_READ_COMMAND, function, offset, 0);
  }
  void write32(pcie::RequesterId function, unsigned offset, std::uint32_t value) override {
    configuration(tlm::TLM_WRITE_COMMAND, function, offset, value);
  }
  void message_interrupt(std::uint64_t, std::uint32_t) override {}

  // One access of `bytes` at `address`, inline; `done` when a read was answered.
  void mmio(tlm::tlm_command command, std::uint64_t address, std::uint32_t bytes,
            base::Callback done) {
    pcie::TlpPayload* payload = pool_.take();
    const std::array<unsigned char, kMostMmioBytes> zeroes{};
    payload->set_inline(zeroes.data(), bytes);
    payload->set_command(command);
    payload->set_address(address);
    payload->on_response = done;
    bus.request(*payload);
  }

 private:
  void run() {
    try {
      body_();
    } catch (const std::exception&) {
      error_ = std::current_exception();
    }
    scheduler_.stop();
  }
  std::uint32_t configuration(tlm::tlm_command command, pcie::RequesterId function, unsigned offset,
                              std::uint32_t value) {
    pcie::TlpPayload* payload = pool_.take();
    payload->set_inline(&value, sizeof value);
    payload->set_command(command);
    payload->set_address(offset);
    payload->extension.kind = pcie::TlpKind::kConfig0;
    payload->extension.completer = function;
    bus.request(*payload);
    sc_core::wait(answered_);
    std::memcpy(&value, payload->get_data_ptr(), sizeof value);
    payload->release();
    return value;
  }

  base::Scheduler& scheduler_;
  pcie::TlpPool pool_;
  sc_core::sc_event answered_;
  std::function<void()> body_;
  std::exception_ptr error_;
};

}  // namespace

// The device: keeps `outstanding` operations open, each in a slot of its own.
class LinkBench::Bench : public pcie::FunctionDevice {
 public:
  Bench(const SystemConfig& config, pcie::TlpLog tlp_log)
      : config_(config),
        scheduler_("scheduler",
                   Time(static_cast<std::int64_t>(config.simulation.quantum_ns * 1000))),
        host_("host", scheduler_),
        root_complex_("root_complex", config.root_complex, scheduler_, host_),
        link_("link", config.link, scheduler_, config.seed),
        endpoint_("endpoint", config.device.endpoint, scheduler_),
        memory_("memory", config.host, scheduler_),
        sockets_(config.simulation.check_protocol, scheduler_) {
    sockets_.bind("cpu", host_.bus, root_complex_.cpu);
    sockets_.bind("memory", root_complex_.memory, memory_.port, Direction::kUpstream);
    sockets_.bind("root_down", root_complex_.ports[0].to_link, link_.from_root);
    sockets_.bind("root_up", link_.to_root, root_complex_.ports[0].from_link, Direction::kUpstream);
    sockets_.bind("device_down", link_.to_endpoint, endpoint_.from_link);
    sockets_.bind("device_up", endpoint_.to_link, link_.from_endpoint, Direction::kUpstream);
    if (tlp_log) link_.set_tlp_log(std::move(tlp_log));
    endpoint_.attach(*this);
    endpoint_.set_link(link_);
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

  void bar_write(unsigned, std::uint64_t, std::span<const std::byte>) override {
    // Posted writes of processors arrive in order.
    const Time sent = sent_.front();
    sent_.pop_front();
    ended(sent);
  }
  void bar_read(unsigned, std::uint64_t, std::span<std::byte> data) override {
    std::fill(data.begin(), data.end(), std::byte{0});
  }
  void function_reset() override {}

 private:
  struct Slot {
    Time started{0};
    std::uint64_t address = 0;
    std::uint32_t open = 0;  // DMA requests
  };

  static std::uint64_t unit_bytes(std::uint32_t bytes) {
    const std::uint64_t multiple = bytes > kPageBytes ? kPageBytes : kLineBytes;
    const std::uint64_t lines = base::ceil_div(bytes, multiple) * multiple;
    return bytes > kPageBytes ? lines : std::bit_ceil(lines);  // never across a page
  }
  // As far up as there is memory: what is above 4 GiB has the longer headers of a real server.
  std::uint64_t memory_start() const {
    return memory_.map().high_bytes() != 0 ? 4 * base::kGiB : 0;
  }
  std::uint64_t window(const LinkMeasurement& wanted) const {
    return std::max(wanted.window_bytes, unit_bytes(wanted.bytes));
  }

  void validate(const LinkMeasurement& wanted) const {
    const bool mmio = is_mmio(wanted.operation);
    require(wanted.bytes >= 1 && wanted.bytes <= (mmio ? kMostMmioBytes : kMostDmaBytes), "size",
            mmio ? "1 to 64 bytes for MMIO" : "1 to 1048576 bytes");
    require(wanted.outstanding >= 1 && wanted.outstanding <= 4096, "outstanding", "1 to 4096");
    require(wanted.count > wanted.outstanding, "count", "larger than outstanding");
    const std::uint64_t room =
        memory_start() != 0 ? memory_.map().high_bytes() : memory_.map().low_bytes();
    if (window(wanted) > room) {
      throw base::UserError(fmt::format(
          "window: {} bytes do not fit into the {} bytes of host memory (host.memory_bytes)",
          window(wanted), room));
    }
  }

  void bring_up() {
    functions_ =
        pcie::enumerate(host_, config_.root_complex.window(), config_.link.max_read_request_bytes);
    NVMESIM_ASSERT(functions_.size() == 1, "the bench's endpoint was not found");
    host_.write32(functions_[0].id, 4, pcie::kCommandMemorySpace | pcie::kCommandBusMaster);
  }

  LinkResult measure(const LinkMeasurement& wanted) {
    result_ = LinkResult{};
    result_.measurement = wanted;
    started_ = ended_ = 0;
    ++measurement_;
    random_ = base::Random(config_.seed, "link");
    slots_.assign(wanted.outstanding, Slot{});
    data_.resize(
        std::max<std::size_t>(data_.size(), std::size_t{wanted.bytes} * wanted.outstanding));
    scheduler_.at<&Bench::begin>(scheduler_.now(), this);
    sc_core::wait(finished_);
    const LinkForecast expected =
        forecast(config_, wanted, memory_start(), functions_[0].bars[0].address);
    result_.formula_latency = expected.latency;
    result_.formula_bytes_per_second = expected.bytes_per_second;
    return std::move(result_);
  }

  void begin() {
    for (std::uint64_t slot = 0; slot < slots_.size(); ++slot) start(slot);
  }

  void start(std::uint64_t index) {
    const LinkMeasurement& wanted = result_.measurement;
    if (started_ == wanted.count) return;
    ++started_;
    Slot& slot = slots_[index];
    slot.started = scheduler_.now();
    switch (wanted.operation) {
      case LinkOperation::dma_read:
        choose_address(slot);
        dma(index, false);
        break;
      case LinkOperation::dma_write:
        choose_address(slot);
        dma(index, true);
        break;
      case LinkOperation::dma_write_read:
        choose_address(slot);
        dma(index, true);
        dma(index, false);
        break;
      case LinkOperation::mmio_read:
        host_.mmio(tlm::TLM_READ_COMMAND, functions_[0].bars[0].address, wanted.bytes,
                   base::Callback::of<&Bench::slot_ended>(this, index));
        break;
      case LinkOperation::mmio_write:
        sent_.push_back(slot.started);
        host_.mmio(tlm::TLM_WRITE_COMMAND, functions_[0].bars[0].address, wanted.bytes, {});
        scheduler_.after<&Bench::next_write>(std::chrono::nanoseconds(config_.host.mmio_write_ns),
                                             this, measurement_ << 32 | index);
        break;
    }
  }

  // A processor is ready for its next write; perhaps the measurement has ended meanwhile.
  void next_write(std::uint64_t which) {
    if (which >> 32 == measurement_) start(which & 0xFFFF'FFFF);
  }

  void choose_address(Slot& slot) {
    const LinkMeasurement& wanted = result_.measurement;
    const std::uint64_t unit = unit_bytes(wanted.bytes);
    slot.address = memory_start() + random_.below(window(wanted) / unit) * unit;
  }

  // The requests of one operation, page by page.
  void dma(std::uint64_t index, bool write) {
    const LinkMeasurement& wanted = result_.measurement;
    const bool counts = !write || wanted.operation == LinkOperation::dma_write;
    Slot& slot = slots_[index];
    if (counts) slot.open = static_cast<std::uint32_t>(base::ceil_div(wanted.bytes, kPageBytes));
    const auto done =
        counts ? base::Callback::of<&Bench::part_ended>(this, index) : base::Callback();
    const std::span<std::byte> data = std::span(data_).subspan(index * wanted.bytes, wanted.bytes);
    for (std::uint64_t at = 0; at < wanted.bytes; at += kPageBytes) {
      const auto part = data.subspan(at, std::min<std::uint64_t>(wanted.bytes - at, kPageBytes));
      if (write) {
        // What is read back must not be passed by its own write's rest.
        endpoint_.dma_write(slot.address + at, part, {}, {counts, false, true}, done);
      } else {
        endpoint_.dma_read(slot.address + at, part, {}, done);
      }
    }
  }
  void part_ended(std::uint64_t index) {
    NVMESIM_ASSERT(endpoint_.dma_status() == pcie::DmaStatus::kOk, "a DMA of the bench failed");
    if (--slots_[index].open == 0) slot_ended(index);
  }
  void slot_ended(std::uint64_t index) {
    ended(slots_[index].started);
    start(index);
  }

  void ended(Time started) {
    const LinkMeasurement& wanted = result_.measurement;
    ++ended_;
    // The first ones find an idle link: they do not count.
    if (ended_ == wanted.outstanding) from_ = scheduler_.now();
    if (ended_ > wanted.outstanding) {
      result_.latency.add(static_cast<std::uint64_t>((scheduler_.now() - started).count()));
      result_.bytes += wanted.bytes;
    }
    if (ended_ < wanted.count) return;
    result_.span = scheduler_.now() - from_;
    scheduler_.wake(finished_);
  }

  const SystemConfig config_;
  base::Scheduler scheduler_;
  BenchHost host_;
  pcie::RootComplex root_complex_;
  pcie::Link link_;
  pcie::Endpoint endpoint_;
  host::Memory memory_;
  check::CheckedSockets sockets_;
  std::vector<pcie::FunctionInfo> functions_;

  LinkResult result_;
  base::Random random_{1, "link"};
  std::vector<Slot> slots_;
  std::vector<std::byte> data_;
  std::deque<Time> sent_;
  std::uint64_t started_ = 0;
  std::uint64_t ended_ = 0;
  std::uint64_t measurement_ = 0;  // the how manieth
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
  if (config.pcie_switch.ports != 0) {
    throw base::UserError("pcie_switch.ports: a link is measured without a switch; set it to 0");
  }
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
