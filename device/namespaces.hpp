// The namespaces. NamespaceSet holds those that are allocated in the NVM subsystem: each is a
// consecutive range of the media's units. Namespaces is what one controller sees of them: those
// that are attached to it.
#pragma once

#include <cstdint>
#include <vector>

#include "device/block_format.hpp"
#include "device/controller_config.hpp"

namespace nvmesim::device {

struct Namespace {
  std::uint32_t id = 0;
  std::uint64_t first_byte = 0;  // in the media's space
  std::uint64_t blocks = 0;
  BlockFormat format;
  std::uint64_t units = 0;     // of the media; 0 = not allocated
  std::uint64_t attached = 0;  // a bit per controller of the subsystem
  std::uint64_t identity = 0;  // makes NGUID and EUI64 of an NSID used again differ
  std::uint32_t ana_group = 1;
  bool shared = false;      // NMIC bit 0
  bool formatting = false;  // a Format NVM runs
  bool deleting = false;    // its data is being erased; then its units are free

  bool allocated() const { return units != 0; }
};

class NamespaceSet {
 public:
  NamespaceSet(const ControllerConfig& config, std::uint64_t media_units);
  NamespaceSet(const NamespaceSet&) = delete;
  NamespaceSet& operator=(const NamespaceSet&) = delete;

  // Largest NSID, Identify NN.
  std::uint32_t limit() const { return static_cast<std::uint32_t>(spaces_.size()); }
  // nullptr for an NSID that is not allocated.
  Namespace* find(std::uint32_t nsid) {
    if (nsid - 1 >= spaces_.size()) return nullptr;
    Namespace& space = spaces_[nsid - 1];
    return space.allocated() && !space.deleting ? &space : nullptr;
  }
  const Namespace* find(std::uint32_t nsid) const {
    return const_cast<NamespaceSet*>(this)->find(nsid);
  }
  const Namespace& slot(std::uint32_t nsid) const { return spaces_[nsid - 1]; }
  std::uint32_t allocated() const;

  std::uint64_t media_units() const { return media_units_; }
  std::uint64_t unallocated_units() const;
  // A namespace of `blocks` blocks in the lowest gap that holds it, attached to nobody; nullptr
  // if every NSID is taken or no gap is large enough.
  Namespace* create(std::uint64_t blocks, const BlockFormat& format);
  // The NSIDs are all in use.
  bool full() const { return allocated() == limit(); }
  void remove(std::uint32_t nsid) { spaces_[nsid - 1] = Namespace{.id = nsid}; }
  // As the persistent state says; false if it does not fit this drive (nothing changes then).
  bool restore(const std::vector<Namespace>& wanted);

 private:
  std::uint64_t find_gap(std::uint64_t units) const;  // media_units_ if there is none

  std::uint64_t media_units_;
  std::uint64_t next_identity_ = 0;
  std::vector<Namespace> spaces_;  // by NSID - 1; never moves
};

class Namespaces {
 public:
  Namespaces(const NamespaceSet& set, std::uint32_t controller)
      : first_(&set.slot(1)), limit_(set.limit()), bit_(std::uint64_t{1} << controller) {}

  // nullptr for an NSID that is not active here, 0 and FFFFFFFFh included.
  const Namespace* find(std::uint32_t nsid) const {
    if (nsid - 1 >= limit_) return nullptr;
    const Namespace* space = first_ + (nsid - 1);
    return (space->attached & bit_) != 0 ? space : nullptr;
  }
  // Largest NSID that can be active.
  std::uint32_t count() const { return limit_; }
  // This controller's in Namespace::attached.
  std::uint64_t bit() const { return bit_; }

 private:
  const Namespace* first_;
  std::uint32_t limit_;
  std::uint64_t bit_;
};

}  // namespace nvmesim::device
