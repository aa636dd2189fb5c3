// The head of a namespace whose subsystem may have several controllers: the disk that is seen, in
// front of the path's own disk (nvme0c0n1). It sends bios down the path while that may be used,
// keeps those that came back with an error of the path, and sends them again when the controller is
// live or the namespace is accessible again; when no path can come back they fail.
//
// One path: the simulated host has one controller of a subsystem.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "host/block/disk.hpp"

namespace nvmesim::host {

// What a head asks about its path.
class NsPath {
 public:
  virtual ~NsPath() = default;
  virtual Disk& path_disk() = 0;
  // The controller is there and the namespace may be accessed by it.
  virtual bool path_usable() const = 0;
  // It may be usable again later.
  virtual bool path_may_return() const = 0;
};

class NsHead final : public BlockDevice {
 public:
  NsHead(std::string name, NsPath& path, Machine& machine);
  NsHead(const NsHead&) = delete;
  NsHead& operator=(const NsHead&) = delete;

  // The path may have become usable, or is gone: what waits is looked at again.
  void kick();
  std::uint64_t waiting() const { return waiting_; }
  std::uint64_t failovers() const { return failovers_; }

  std::string_view name() const override { return name_; }
  std::uint64_t capacity_sectors() const override { return disk().capacity_sectors(); }
  const BlockLimits& limits() const override { return disk().limits(); }
  std::uint32_t cpus() const override { return disk().cpus(); }
  void submit(Bio& bio) override;
  void unplug(CpuId cpu) override { disk().unplug(cpu); }
  IoBuffer allocate_buffer(std::uint32_t bytes) override { return disk().allocate_buffer(bytes); }
  void free_buffer(const IoBuffer& buffer) override { disk().free_buffer(buffer); }
  void write_buffer(const IoBuffer& buffer, std::uint32_t offset,
                    std::span<const std::byte> bytes) override {
    disk().write_buffer(buffer, offset, bytes);
  }
  void read_buffer(const IoBuffer& buffer, std::uint32_t offset,
                   std::span<std::byte> bytes) const override {
    disk().read_buffer(buffer, offset, bytes);
  }
  std::uint64_t waiting_for_tag() const override { return disk().waiting_for_tag(); }
  void for_each_open(void (*visit)(void* context, const OpenBio& open),
                     void* context) const override;

 private:
  // The bio that goes down the path for one of a user's.
  struct Clone {
    NsHead* head = nullptr;
    Bio bio;
    Bio* of = nullptr;
    Clone* next = nullptr;  // in the list of those that wait, or of free ones
    void ended() { head->ended(*this); }
  };

  Disk& disk() const { return path_.path_disk(); }
  Clone& take();
  void start(Clone& clone);
  void ended(Clone& clone);
  void finish(Clone& clone, BlockStatus status);
  void requeue_work();

  const std::string name_;
  NsPath& path_;
  Machine& machine_;
  std::deque<Clone> clones_;
  Clone* free_ = nullptr;
  Clone* first_waiting_ = nullptr;
  Clone* last_waiting_ = nullptr;
  std::uint64_t waiting_ = 0;
  std::uint64_t failovers_ = 0;
  bool told_ = false;  // that there is no usable path, since there was one
  Timer requeue_;
};

}  // namespace nvmesim::host
