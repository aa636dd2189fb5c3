// The host memory that an SGL describes (section 4.4). Pure arithmetic, as PrpMap is: who fetches
// segments is SglWalker's business. It takes whatever a host may write: a wrong list gives a
// status, and one that never ends is cut off by the limit of descriptors.
//
//   status = map.begin(sgl1, bytes, rules);
//   while (status == kSuccess && !map.complete()) {
//     fetch = map.next_fetch();  ...read fetch.bytes at fetch.address...
//     status = map.take(descriptors);
//   }
//   extent = map.at(offset);
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/prp.hpp"
#include "device/spec/sgl.hpp"
#include "device/spec/status.hpp"

namespace nvmesim::device {

class SglMap {
 public:
  struct Rules {
    bool to_host = false;        // bit buckets swallow data; towards the controller they are empty
    bool metadata = false;       // a wrong total length has a status of its own
    bool dwords = false;         // SGLS 10b: addresses and lengths in dwords
    std::uint32_t limit = 4096;  // of descriptors
  };

  // bytes: what the command transfers.
  spec::Status begin(const spec::SglDescriptor& first, std::uint64_t bytes, const Rules& rules);
  bool complete() const { return segment_left_ == 0; }
  PrpMap::Fetch next_fetch() const;
  // The descriptors that next_fetch() asked for.
  spec::Status take(std::span<const spec::SglDescriptor> descriptors);

  PrpMap::Extent at(std::uint64_t offset) const;

 private:
  struct Piece {
    std::uint64_t end = 0;  // offset in the transfer behind it
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    bool bucket = false;
  };
  spec::Status take_one(const spec::SglDescriptor& descriptor, bool last_of_segment);
  spec::Status enter(const spec::SglDescriptor& segment);
  spec::Status ended() const;

  Rules rules_;
  std::uint64_t wanted_ = 0;
  std::uint64_t covered_ = 0;
  std::uint64_t cursor_ = 0;        // address of the next descriptor
  std::uint64_t segment_left_ = 0;  // bytes of the segment still to be read
  bool last_segment_ = false;
  std::uint32_t seen_ = 0;
  std::vector<Piece> pieces_;
};

}  // namespace nvmesim::device
