// The namespaces of the controller: consecutive ranges of the media's units, each starting at a
// unit. NSIDs are 1..count.
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
};

class Namespaces {
 public:
  Namespaces(const ControllerConfig& config, std::uint64_t media_units);

  // nullptr for an NSID that is not one of ours, 0 and FFFFFFFFh included.
  const Namespace* find(std::uint32_t nsid) const {
    return nsid - 1 < spaces_.size() ? &spaces_[nsid - 1] : nullptr;
  }
  std::uint32_t count() const { return static_cast<std::uint32_t>(spaces_.size()); }

 private:
  std::vector<Namespace> spaces_;
};

}  // namespace nvmesim::device
