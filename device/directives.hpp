// Directives (section 9): which types are enabled for a namespace, and the streams type: resources,
// open streams, release. The streams of all namespaces come from one pool of MSL. A stream is a
// hint for the media, which may keep its data apart.
#pragma once

#include <cstdint>
#include <vector>

#include "device/spec/management.hpp"
#include "device/spec/status.hpp"

namespace nvmesim::device {

struct Core;
struct Command;

class Directives {
 public:
  explicit Directives(Core& core);

  // These three take NSID FFFFFFFFh for all namespaces.
  bool streams_enabled(std::uint32_t nsid) const;
  void enable_streams(std::uint32_t nsid, bool enabled);
  spec::StreamsParameters parameters(std::uint32_t nsid) const;
  // Identifiers of open streams, ascending.
  const std::vector<std::uint16_t>& open(std::uint32_t nsid) const {
    return spaces_[nsid - 1].open;
  }
  // Grants up to `wanted` resources for this namespace alone; 0 if there are none.
  std::uint32_t allocate(std::uint32_t nsid, std::uint32_t wanted);
  void release_resources(std::uint32_t nsid);
  // False if it was not open.
  bool release(std::uint32_t nsid, std::uint16_t stream);
  // A Write with a directive type: kSuccess, or what is wrong with it.
  spec::Status write(const Command& command);
  // The stream that a command names, as far as the namespace has streams; 0 none.
  std::uint16_t stream_of(const Command& command) const;
  // A controller reset, or the namespace is gone.
  void forget(std::uint32_t nsid);
  void reset();

 private:
  struct Space {
    bool streams = false;
    std::uint32_t allocated = 0;
    std::vector<std::uint16_t> open;
  };
  std::uint32_t allocated() const;
  std::uint32_t open_shared() const;

  Core& core_;
  std::vector<Space> spaces_;  // by NSID - 1
};

}  // namespace nvmesim::device
