// What fio's I/O engines cost the CPU above the block layer, per I/O, and how they use a depth.
// Figures: README.md of this room.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nvmesim::workload {

struct IoCost {
  std::string_view name;
  std::uint32_t submit_ns;  // system calls of one submission
  std::uint32_t wait_ns;    // of going to sleep for a completion; not paid while there is work
  bool synchronous;         // one I/O at a time, whatever the iodepth
};

std::span<const IoCost> io_costs();
// Null if there is none of that name.
const IoCost* find_io_cost(std::string_view name);

}  // namespace nvmesim::workload
