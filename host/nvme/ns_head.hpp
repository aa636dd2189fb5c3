// The head of a namespace whose subsystem may have several controllers: the disk that is seen, in
// front of the paths' own disks (nvme0c0n1, nvme0c1n1). It chooses a path for each bio, keeps those
// that came back with an error of their path, and sends them again by another path, or when one is
// usable again; when none can come back they fail.
//
// A path that goes away is removed from here before its disk stops: what then finds that disk dying
// comes back too. Not so what waits at the frozen queue of a controller that is given up: it fails,
// as in Linux, where a bus error freezes the queues of a controller that still counts as live.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "host/block/disk.hpp"
#include "host/nvme/driver_config.hpp"

namespace nvmesim::host {

// What the drive says of the access to a namespace by one controller (the states of ANA).
enum class PathAccess : std::uint8_t { kOptimized, kNonOptimized, kNone };

// What a head asks about a path.
class NsPath {
 public:
  virtual ~NsPath() = default;
  virtual Disk& path_disk() = 0;
  // Its controller is not there now, or the drive refused it and its state is being read again.
  virtual bool path_disabled() const = 0;
  virtual PathAccess path_access() const = 0;
  // Its controller is in order, and not about to go.
  virtual bool path_live() const = 0;
  // It may be usable again later.
  virtual bool path_may_return() const = 0;
};

class NsHead final : public MachineDisk {
 public:
  // `policy` outlives the head and may change.
  NsHead(std::string name, const IoPolicy& policy, Machine& machine);
  NsHead(const NsHead&) = delete;
  NsHead& operator=(const NsHead&) = delete;

  // --- paths
  void add_path(NsPath& path);
  // Nothing more goes down this path.
  void remove_path(NsPath& path);
  // Its error, or its controller's removal: the next bio chooses anew.
  void forget_current(const NsPath& path);
  std::size_t paths() const { return paths_.size(); }
  // A path became usable for the first time: users see the disk. False if they did before.
  bool set_live() { return !std::exchange(live_, true); }
  bool live() const { return live_; }
  // What a path's disk can do. With several a head can do what all of them can.
  void set_limits(const BlockLimits& limits, std::uint64_t capacity_sectors, bool several);

  // A path may have become usable, or is gone: what waits is looked at again.
  void kick();
  std::uint64_t waiting() const { return waiting_; }

  std::string_view name() const override { return name_; }
  std::uint64_t capacity_sectors() const override { return capacity_sectors_; }
  const BlockLimits& limits() const override { return limits_; }
  void submit(Bio& bio) override;
  void unplug(CpuId cpu) override;
  std::uint64_t waiting_for_tag() const override;
  void for_each_open(void (*visit)(void* context, const OpenBio& open),
                     void* context) const override;

 private:
  // The bio that goes down a path for one of a user's.
  struct Clone {
    NsHead* head = nullptr;
    NsPath* path = nullptr;
    Bio bio;
    Bio* of = nullptr;
    Clone* next = nullptr;  // in the list of those that wait, or of free ones
    void ended() { head->ended(*this); }
  };

  NsPath* select();
  NsPath* next_path(NsPath& old);
  NsPath* find_path();
  bool any_may_return() const;
  bool has(const NsPath* path) const;
  Clone& take();
  void start(Clone& clone);
  void wait(Clone& clone);
  void ended(Clone& clone);
  void finish(Clone& clone, BlockStatus status);
  void requeue_work();

  const std::string name_;
  const IoPolicy& policy_;
  std::vector<NsPath*> paths_;
  NsPath* current_ = nullptr;
  bool live_ = false;
  BlockLimits limits_;
  bool has_limits_ = false;
  std::uint64_t capacity_sectors_ = 0;
  std::deque<Clone> clones_;
  Clone* free_ = nullptr;
  Clone* first_waiting_ = nullptr;
  Clone* last_waiting_ = nullptr;
  std::uint64_t waiting_ = 0;
  bool told_ = false;  // that there is no usable path, since there was one
  Timer requeue_;
};

}  // namespace nvmesim::host
