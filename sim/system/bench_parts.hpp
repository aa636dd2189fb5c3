// The parts of LinkBench: a host that only does accesses, devices that only move bytes, and one who
// watches writes arrive in memory. Not for others.
#pragma once

#include <array>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "pcie/endpoint.hpp"
#include "pcie/enumerator.hpp"
#include "pcie/link.hpp"
#include "sim/base/random.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/sockets.hpp"
#include "sim/base/splice.hpp"
#include "sim/system/link_bench.hpp"

namespace nvmesim::system_ {

inline constexpr std::uint64_t kBenchPageBytes = 4096;
inline constexpr std::uint32_t kMostMmioBytes = 64;

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

// Posted writes of devices, at the instant of their arrival in memory.
class ArrivalWatch : public base::Splice {
 public:
  using Splice::Splice;
  std::function<void(const tlm::tlm_generic_payload&)> on_write;

 private:
  tlm::tlm_sync_enum forward(Lane& lane, tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                             sc_core::sc_time& delay) override {
    if (on_write && phase == tlm::BEGIN_REQ && payload.is_write()) on_write(payload);
    return lane.pass_forward(payload, phase, delay);
  }
};

// What all devices of a measurement share.
class BenchBoard {
 public:
  // One more operation may begin. False: all have.
  virtual bool take_operation() = 0;
  // One has ended that began then.
  virtual void ended(std::size_t device, base::Time started) = 0;

 protected:
  ~BenchBoard() = default;
};

// A device with its link: keeps `outstanding` operations open, each in a slot of its own.
class BenchDevice : public pcie::FunctionDevice {
 public:
  BenchDevice(const SystemConfig& config, std::size_t index, BenchBoard& board, BenchHost& host,
              base::Scheduler& scheduler);

  pcie::Link link;
  pcie::Endpoint endpoint;

  // memory_start: of the window of addresses. arrivals: DMA writes end in memory, not at the link.
  // start: when the first operations begin.
  void begin(const LinkMeasurement& wanted, std::uint64_t memory_start, bool arrivals,
             base::Time start);
  void set_registers(std::uint64_t address) { registers_ = address; }
  // A write of this device has come to memory.
  void arrived(const tlm::tlm_generic_payload& payload);

  void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) override;
  void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) override;
  void function_reset() override {}

  // Memory that an operation takes up: its addresses are multiples of it.
  static std::uint64_t unit_bytes(std::uint32_t bytes);
  static std::uint64_t window_bytes(const LinkMeasurement& wanted) {
    return std::max(wanted.window_bytes, unit_bytes(wanted.bytes));
  }

 private:
  struct Slot {
    base::Time started{0};
    std::uint64_t address = 0;
    std::uint32_t open = 0;  // DMA requests
  };

  void start_all();
  void start(std::uint64_t slot);
  void next_write(std::uint64_t which);
  void dma(std::uint64_t slot, bool write);
  void part_ended(std::uint64_t slot);
  void part_arrived(std::uint64_t slot);
  void slot_ended(std::uint64_t slot);
  bool ends_on_arrival() const {
    return arrivals_ && wanted_.operation == LinkOperation::dma_write;
  }

  const SystemConfig& config_;
  const std::size_t index_;
  BenchBoard& board_;
  BenchHost& host_;
  base::Scheduler& scheduler_;
  const std::string stream_;  // of random addresses
  std::uint64_t registers_ = 0;

  LinkMeasurement wanted_;
  std::uint64_t memory_start_ = 0;
  bool arrivals_ = false;
  base::Random random_{1, "link"};
  std::vector<Slot> slots_;
  std::vector<std::byte> data_;
  std::deque<base::Time> sent_;      // MMIO writes under way
  std::deque<std::uint64_t> short_;  // slots of short DMA writes under way, in order
  std::uint64_t measurement_ = 0;    // the how manieth
};

}  // namespace nvmesim::system_
