// The host pages of one command, from PRP1, PRP2 and the list that PRP2 may point to (section 4.3).
// Pure arithmetic: who fetches list pages is PrpWalker's business.
//
//   status = map.begin(prp1, prp2, bytes, page_bytes);
//   while (status == kSuccess && !map.complete()) {
//     fetch = map.next_fetch();  ...read fetch.bytes at fetch.address...
//     status = map.take(entries);
//   }
//   extent = map.at(offset);     // address of that byte, and how many lie behind it
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/spec/status.hpp"

namespace nvmesim::device {

class PrpMap {
 public:
  // A read of list entries: at most 4 KiB, within one 4 KiB page.
  struct Fetch {
    std::uint64_t address = 0;
    std::uint32_t bytes = 0;
  };
  // Host memory that is contiguous and does not cross a 4 KiB boundary.
  struct Extent {
    std::uint64_t address = 0;
    std::uint64_t bytes = 0;
    bool discard = false;  // an SGL bit bucket: what belongs here goes nowhere
  };

  // bytes must not be 0. page_bytes is a power of two, at least 4096.
  spec::Status begin(std::uint64_t prp1, std::uint64_t prp2, std::uint64_t bytes,
                     std::uint64_t page_bytes);
  bool complete() const { return wanted_ == 0; }
  Fetch next_fetch() const;
  // The entries that next_fetch() asked for.
  spec::Status take(std::span<const std::uint64_t> entries);

  Extent at(std::uint64_t offset) const;

 private:
  static constexpr std::uint64_t kFetchPage = 4096;

  bool ends_in_pointer() const;

  std::uint64_t prp1_ = 0;
  std::uint64_t prp2_ = 0;
  std::uint64_t page_mask_ = 0;
  unsigned page_shift_ = 12;
  bool listed_ = false;
  std::uint64_t wanted_ = 0;  // data entries still to come from the list
  std::uint64_t cursor_ = 0;  // address of the next list entry
  std::vector<std::uint64_t> pages_;
};

}  // namespace nvmesim::device
