// A pcie::FunctionPort without a link: host memory is an array, reads come back and writes leave
// after fixed times, interrupts are counted. It keeps what the real endpoint keeps: requests in
// order, call-backs from entries only, none after drop_requests().
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <set>
#include <stdexcept>
#include <vector>

#include "pcie/function.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::test {

class FakePort : public pcie::FunctionPort {
 public:
  static constexpr std::uint64_t kMemoryBytes = 24 * base::kMiB;
  static constexpr base::Time kReadTime = 500ns;
  static constexpr base::Time kWriteTime = 100ns;

  FakePort(base::Scheduler& scheduler, std::uint32_t vectors)
      : scheduler_(scheduler), memory_(kMemoryBytes), interrupts_(vectors) {}

  void dma_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                base::Callback done) override {
    check(address, into.size());
    const bool good = readable(address, into.size());
    if (good) std::memcpy(into.data(), memory_.data() + address, into.size());
    ++reads_;
    later(kReadTime, done, std::move(keep),
          good ? pcie::DmaStatus::kOk : pcie::DmaStatus::kUnsupportedRequest);
  }

  void dma_write(std::uint64_t address, std::span<const std::byte> from, base::BufferRef keep,
                 WriteOptions options, base::Callback sent) override {
    check(address, from.size());
    if (!keep && from.size() > 64) throw std::logic_error("a long write without an owner");
    const bool lands = !guard || guard(address, from.size());
    if (lands && readable(address, from.size()) && !options.dataless) {
      std::memcpy(memory_.data() + address, from.data(), from.size());
    }
    ++writes_;
    last_write_ = options;
    if (sent) later(kWriteTime, sent, std::move(keep), pcie::DmaStatus::kOk);
  }

  pcie::DmaStatus dma_status() const override { return status_; }
  void interrupt(pcie::VectorId vector) override { ++interrupts_.at(vector.value()); }
  void interrupt_served(pcie::VectorId) override { ++served_; }
  bool interrupt_by_pin() const override { return by_pin; }
  bool interrupt_by_table() const override { return !by_pin && !by_message; }
  bool interrupt_enabled(pcie::VectorId) const override { return true; }
  void drop_requests() override { ++generation_; }
  bool bus_master() const override { return true; }
  void deliver_promptly(bool promptly) override { promptly_ = promptly; }
  pcie::RequesterId id() const override { return pcie::RequesterId(0x100); }

  template <class T>
  T load(std::uint64_t address) const {
    T value;
    std::memcpy(&value, memory_.data() + address, sizeof value);
    return value;
  }
  template <class T>
  void store(std::uint64_t address, const T& value) {
    std::memcpy(memory_.data() + address, &value, sizeof value);
  }
  std::byte* at(std::uint64_t address) { return memory_.data() + address; }
  // From now on an access to this page fails.
  void poison_page(std::uint64_t address) { bad_pages_.insert(address / 4096); }
  void heal() { bad_pages_.clear(); }

  // As an IOMMU would: a write for which it says false goes nowhere.
  std::function<bool(std::uint64_t address, std::size_t bytes)> guard;
  bool by_pin = false;
  bool by_message = false;  // MSI
  std::uint64_t served() const { return served_; }
  std::uint64_t interrupts(std::uint32_t vector) const { return interrupts_[vector]; }
  bool promptly() const { return promptly_; }
  std::uint64_t reads() const { return reads_; }
  std::uint64_t writes() const { return writes_; }
  std::size_t open() const { return open_; }
  const WriteOptions& last_write() const { return last_write_; }

 private:
  struct Pending {
    base::Callback callback;
    base::BufferRef keep;
    pcie::DmaStatus status{};
    std::uint64_t generation = 0;
    bool busy = false;
  };

  // The port's own contract: at most 4 KiB, not across a 4 KiB boundary.
  static void check(std::uint64_t address, std::size_t bytes) {
    if (bytes == 0 || bytes > 4096 || address / 4096 != (address + bytes - 1) / 4096) {
      throw std::logic_error("a DMA request breaks the port's contract");
    }
  }
  bool readable(std::uint64_t address, std::size_t bytes) const {
    return address < kMemoryBytes && bytes <= kMemoryBytes - address &&
           bad_pages_.count(address / 4096) == 0;
  }
  void later(base::Time delay, base::Callback callback, base::BufferRef keep,
             pcie::DmaStatus status) {
    std::size_t index = 0;
    while (index < pending_.size() && pending_[index].busy) ++index;
    if (index == pending_.size()) pending_.emplace_back();
    pending_[index] = {callback, std::move(keep), status, generation_, true};
    ++open_;
    scheduler_.after<&FakePort::fire>(delay, this, index);
  }
  void fire(std::uint64_t index) {
    Pending pending = std::move(pending_[index]);
    pending_[index].busy = false;
    --open_;
    if (pending.generation != generation_) return;
    status_ = pending.status;
    pending.callback();
    status_ = pcie::DmaStatus::kOk;
  }

  base::Scheduler& scheduler_;
  std::vector<std::byte> memory_;
  std::vector<std::uint64_t> interrupts_;
  std::deque<Pending> pending_;
  std::set<std::uint64_t> bad_pages_;
  WriteOptions last_write_;
  pcie::DmaStatus status_ = pcie::DmaStatus::kOk;
  std::uint64_t generation_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t served_ = 0;
  std::size_t open_ = 0;
  bool promptly_ = false;
};

}  // namespace nvmesim::test
