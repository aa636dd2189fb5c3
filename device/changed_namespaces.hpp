// The changed namespace list (log page 04h, section 5.14.1.4) and the notice that goes with it. It
// is emptied when the host reads it.
#pragma once

#include <cstdint>
#include <vector>

namespace nvmesim::device {

struct Core;

class ChangedNamespaces {
 public:
  static constexpr std::size_t kMost = 1024;

  void add(Core& core, std::uint32_t nsid);
  // 1,024 NSIDs, ascending and then 0; FFFFFFFFh alone if there are more.
  std::vector<std::byte> page() const;
  void clear() { nsids_.clear(); }

 private:
  std::vector<std::uint32_t> nsids_;  // ascending
};

}  // namespace nvmesim::device
