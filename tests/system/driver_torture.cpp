// Torture of the driver: rounds of load, 64 requests deep on each of 4 queues, that something
// breaks into at a random moment. After each round: every request ended exactly once; those that
// succeeded left what they wrote; nothing is held any more.
//
//   driver_torture KIND [ROUNDS [SEED [SETTING...]]]
//
// KIND: load, reset, suspend, flr, remove; or path: the drive has two controllers, and one of them
// is reset, or loses its namespace for a while, or is taken away and given back.
// Settings (path.to.key=value) give the drive more to go wrong: shadow doorbells, a controller
// memory buffer, a shared namespace.
// The same arguments give the same run. Exit status 1 if anything is wrong, with one line for each
// and the end of the kernel's log.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "host/nvme/dev.hpp"
#include "sim/base/random.hpp"
#include "sim/system/further_controllers.hpp"
#include "sim/system/system.hpp"

namespace {

using namespace nvmesim;
using host::BioOp;
using host::BlockStatus;

constexpr unsigned kCpus = 4;
constexpr unsigned kDepth = 64;
constexpr std::uint32_t kSectors = 8;

class Torture {
 public:
  Torture(std::string kind, unsigned rounds, std::uint64_t seed,
          const std::vector<std::string>& settings)
      : kind_(std::move(kind)), rounds_(rounds), random_(seed, "torture") {
    system_::ConfigRequest request;
    request.drive = "p4800x";
    request.seed = seed;
    request.settings = {fmt::format("host.cpus={}", kCpus), "device.controller.max_io_queues=4",
                        "device.media.capacity_bytes=1073741824", "simulation.check_protocol=true"};
    if (kind_ == "path") {
      request.settings.insert(
          request.settings.end(),
          {"device.controllers=2", "device.controller.namespaces=[{\"shared\":true}]",
           "device.controller.management.ana=true", "device.controller.management.oaes=2048"});
    }
    request.settings.insert(request.settings.end(), settings.begin(), settings.end());
    system_::SystemHooks hooks;
    hooks.kernel_log = [this](const host::PrintLine& line) {
      if (log_.size() == kLogLines) log_.pop_front();
      log_.push_back(line.to_string());
    };
    system_ = std::make_unique<system_::System>(system_::load_config(request), std::move(hooks));
    for (unsigned i = 0; i < kCpus * kDepth; ++i) {
      Slot& slot = slots_.emplace_back();
      slot.torture = this;
      slot.number = i;
      slot.bio.sector = std::uint64_t{i} * kSectors;
      slot.bio.sectors = kSectors;
      slot.bio.cpu = host::CpuId(static_cast<std::uint16_t>(i % kCpus));
      slot.bio.done = base::Callback::of<&Slot::ended>(&slot);
    }
  }

  int run() {
    const bool ended = system_->run([this] { scenario(); });
    if (!ended) wrong("nothing is pending, but the scenario has not ended");
    for (const std::string& violation : system_->protocol_violations()) wrong(violation);
    if (wrong_ != 0) print_log();
    fmt::print("{}: {} rounds, {} requests, {} failed, {} verified reads, {} wrong\n", kind_,
               rounds_, ended_, failed_, verified_, wrong_);
    return wrong_ == 0 ? 0 : 1;
  }

 private:
  struct Slot {
    Torture* torture = nullptr;
    unsigned number = 0;
    bool open = false;
    host::Bio bio;
    std::uint64_t acknowledged = 0;  // version of the last write that succeeded
    std::uint64_t attempted = 0;     // of the last one that began
    void ended() { torture->take(*this); }
  };

  // Nothing new is begun then: a disk that is gone fails whatever comes, at once.
  void wrong(const std::string& what) {
    stopping_ = true;
    if (++wrong_ <= 20) fmt::print(stderr, "{}: round {}: {}\n", kind_, round_, what);
  }
  void print_log() const {
    for (const std::string& line : log_) fmt::print(stderr, "{}\n", line);
  }
  host::NvmeDev& dev() { return *system_->driver().devices().back(); }
  // The one that serves this function now.
  host::NvmeDev& dev_of(unsigned function) {
    host::NvmeDev* found = nullptr;
    for (const auto& each : system_->driver().devices())
      if (each->function().id == system_->functions()[function].id) found = each.get();
    return *found;
  }
  host::Machine& machine() { return system_->machine(); }

  static std::uint64_t word(unsigned slot, std::uint64_t version, std::uint32_t sector) {
    std::uint64_t state = version << 20 | std::uint64_t{slot} << 4 | sector;
    return version == 0 ? 0 : base::splitmix64(state);
  }

  void start(Slot& slot) {
    if (slot.open) return wrong(fmt::format("slot {} is open already", slot.number));
    slot.open = true;
    ++open_;
    slot.bio.op = random_.chance(1, 2) ? BioOp::kWrite : BioOp::kRead;
    if (slot.bio.op == BioOp::kWrite) {
      ++slot.attempted;
      std::array<std::byte, kSectors * 512> data{};
      for (std::uint32_t i = 0; i < kSectors; ++i) {
        const std::uint64_t value = word(slot.number, slot.attempted, i);
        for (std::uint32_t at = 0; at < 512; at += 8)
          std::memcpy(data.data() + i * 512 + at, &value, 8);
      }
      disk_->write_buffer(slot.bio.buffer, 0, data);
    }
    disk_->submit(slot.bio);
  }

  void take(Slot& slot) {
    if (!slot.open) wrong(fmt::format("slot {} ended twice", slot.number));
    slot.open = false;
    --open_;
    ++ended_;
    const bool ok = slot.bio.status == BlockStatus::kOk;
    if (!ok) {
      ++failed_;
      // Only removal may fail a request; Linux ends it as an I/O or a transport error.
      const bool allowed = kind_ == "remove" && (slot.bio.status == BlockStatus::kIoError ||
                                                 slot.bio.status == BlockStatus::kTransport);
      if (!allowed) wrong(fmt::format("slot {}: {}", slot.number, to_errno(slot.bio.status)));
    } else if (slot.bio.op == BioOp::kWrite) {
      slot.acknowledged = slot.attempted;
    } else {
      verify(slot);
    }
    if (!stopping_) start(slot);
  }

  // Each sector is of the last write that succeeded or of one that began after it and failed.
  void verify(Slot& slot) {
    std::array<std::byte, kSectors * 512> data{};
    disk_->read_buffer(slot.bio.buffer, 0, data);
    ++verified_;
    for (std::uint32_t i = 0; i < kSectors; ++i) {
      std::uint64_t found = 0;
      std::memcpy(&found, data.data() + i * 512, 8);
      bool whole = true;
      for (std::uint32_t at = 0; at < 512; at += 8)
        whole &= std::memcmp(data.data() + i * 512 + at, &found, 8) == 0;
      bool known = false;
      for (std::uint64_t version = slot.acknowledged; version <= slot.attempted; ++version)
        known |= found == word(slot.number, version, i);
      if (!whole || !known) wrong(fmt::format("slot {} sector {}: wrong data", slot.number, i));
    }
  }

  void load() {
    stopping_ = false;
    disk_ = system_->disk();
    for (Slot& slot : slots_) slot.bio.buffer = disk_->allocate_buffer(kSectors * 512);
    for (Slot& slot : slots_) start(slot);
  }
  void stop() {
    stopping_ = true;
    for (unsigned i = 0; open_ != 0 && i < 400'000; ++i) machine().threads.msleep(1);
    if (open_ != 0) wrong(fmt::format("{} requests never ended", open_));
    for (Slot& slot : slots_) disk_->free_buffer(slot.bio.buffer);
  }
  void sleep_us(std::uint64_t microseconds) {
    machine().threads.sleep_for(std::chrono::microseconds(microseconds));
  }
  void check(bool holds, const char* what) {
    if (!holds) wrong(what);
  }
  // But for the event request of each controller.
  void check_idle() {
    for (const auto& each : system_->driver().devices()) {
      check(each->tags_in_use() <= (each->removed() ? 0u : 1u), "tags are in use");
      check(each->pool_blocks_in_use() == 0, "blocks of the pools are in use");
    }
  }
  void check_gone(std::uint64_t pages) {
    check_idle();
    check(machine().requests_open() == 0, "requests of the processors are open");
    check(machine().interrupts.vectors_in_use() == 0, "vectors are in use");
    check(machine().interrupts.handlers_in_use() == 0, "handlers are in use");
    check(machine().pages.coherent_bytes_in_use() == 0, "coherent memory is in use");
    check(machine().pages.pages_in_use() == pages, "pages are in use");
  }

  void set_access(unsigned function, bool accessible) {
    using device::spec::AnaState;
    device::Controller& controller =
        function == 0 ? system_->controller() : system_->further().controller(function - 1);
    controller.set_ana_state(1, accessible ? AnaState::kOptimized : AnaState::kInaccessible);
  }

  void disturb_path() {
    const auto which = static_cast<unsigned>(random_.below(2));
    host::NvmeDev& path = dev_of(which);
    path.ctrl().subsystem()->policy() =
        random_.chance(1, 2) ? host::IoPolicy::numa : host::IoPolicy::round_robin;
    const auto action = random_.below(4);
    if (action == 0) {
      check(path.ctrl().reset_ctrl_sync() == 0, "the reset failed");
    } else if (action == 1) {
      check(path.reset_function() == 0, "the function level reset failed");
    } else if (action == 2) {
      set_access(which, false);
      sleep_us(random_.below(2000));
      set_access(which, true);
    } else {
      path.unbind();
      sleep_us(random_.below(2000));
      check(system_->driver().probe(system_->functions()[which]) == 0, "the probe failed");
      check(system_->driver().wait_ready(), "the path did not come back");
    }
    check(dev_of(which).ctrl().state() == host::CtrlState::kLive, "the controller is not live");
    check(system_->driver().disks().size() == 1, "there is not one disk");
  }

  void disturb() {
    if (kind_ == "path") return disturb_path();
    host::NvmeCtrl& ctrl = dev().ctrl();
    if (kind_ == "reset") {
      check(ctrl.reset_ctrl_sync() == 0, "the reset failed");
    } else if (kind_ == "suspend") {
      const auto kind =
          random_.chance(1, 2) ? host::SuspendKind::kToIdle : host::SuspendKind::kToRam;
      check(dev().suspend(kind) == 0, "the suspend failed");
      sleep_us(random_.below(100'000));
      check(dev().resume() == 0, "the resume failed");
      ctrl.flush_reset();
    } else if (kind_ == "flr") {
      check(dev().reset_function() == 0, "the function level reset failed");
    } else if (kind_ == "remove") {
      stopping_ = true;
      system_->remove();
    }
    if (kind_ != "remove")
      check(ctrl.state() == host::CtrlState::kLive, "the controller is not live");
  }

  void scenario() {
    const std::uint64_t pages = machine().pages.pages_in_use();
    check(system_->boot(), "the drive did not come up");
    for (round_ = 1; round_ <= rounds_ && wrong_ == 0; ++round_) {
      load();
      sleep_us(50 + random_.below(300));
      disturb();
      if (kind_ != "remove") sleep_us(50 + random_.below(200));
      stop();
      if (kind_ == "remove") {
        check_gone(pages);
        check(system_->rescan(), "the drive was not found again");
      } else {
        for (const auto& each : system_->driver().devices())
          if (!each->removed()) each->ctrl().flush_scan();
        check_idle();
      }
    }
    system_->remove();
    check_gone(pages);
  }

  static constexpr std::size_t kLogLines = 40;

  const std::string kind_;
  const unsigned rounds_;
  std::deque<std::string> log_;  // the last lines
  base::Random random_;
  std::unique_ptr<system_::System> system_;
  std::deque<Slot> slots_;
  host::BlockDevice* disk_ = nullptr;
  unsigned round_ = 0;
  unsigned open_ = 0;
  bool stopping_ = false;
  std::uint64_t ended_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t verified_ = 0;
  std::uint64_t wrong_ = 0;
};

}  // namespace

int sc_main(int argc, char** argv) {
  const std::string kind = argc > 1 ? argv[1] : "load";
  const auto number = [&](int index, std::uint64_t otherwise) {
    std::uint64_t value = otherwise;
    if (argc > index) {
      const std::string_view text = argv[index];
      std::from_chars(text.data(), text.data() + text.size(), value);
    }
    return value;
  };
  try {
    const std::vector<std::string> settings(argv + std::min(argc, 4), argv + argc);
    Torture torture(kind, static_cast<unsigned>(number(2, 10)), number(3, 1), settings);
    return torture.run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "driver_torture: {}\n", error.what());
    return 2;
  }
}
