// Load for driver tests.
#pragma once

#include <deque>

#include "tests/system/driver_rig.hpp"

namespace nvmesim::test {

// A disk under load from several processors: writes of its own sectors and reads of them, four
// deep on each, until it is stopped.
class Load {
 public:
  Load(DriverRig& rig, host::Disk& disk) : rig_(rig), disk_(disk) {
    for (unsigned i = 0; i < kOpen; ++i) {
      Slot& slot = slots_.emplace_back();
      slot.load = this;
      slot.bio.sectors = 8;
      slot.bio.sector = 8 * i;
      slot.bio.cpu = host::CpuId(static_cast<std::uint16_t>(i % 4));
      slot.bio.buffer = disk.allocate_buffer(4096);
      slot.bio.done = base::Callback::of<&Slot::ended>(&slot);
      start(slot);
    }
  }
  // Waits for the last one.
  void stop() {
    stopping_ = true;
    for (unsigned i = 0; open_ != 0 && i < 200'000; ++i) rig_.sleep_ms(1);
    CHECK(open_ == 0);
    for (Slot& slot : slots_) disk_.free_buffer(slot.bio.buffer);
  }
  // What ends from now on is not followed by another.
  void quit() { stopping_ = true; }
  unsigned ended = 0;
  unsigned failed = 0;

 private:
  static constexpr unsigned kOpen = 16;
  struct Slot {
    Load* load = nullptr;
    host::Bio bio;
    void ended() { load->take(*this); }
  };
  void start(Slot& slot) {
    ++open_;
    slot.bio.op = ended % 2 == 0 ? BioOp::kWrite : BioOp::kRead;
    disk_.submit(slot.bio);
  }
  void take(Slot& slot) {
    --open_;
    ++ended;
    failed += slot.bio.status != BlockStatus::kOk;
    if (!stopping_) start(slot);
  }
  DriverRig& rig_;
  host::Disk& disk_;
  std::deque<Slot> slots_;
  unsigned open_ = 0;
  bool stopping_ = false;
};

}  // namespace nvmesim::test
