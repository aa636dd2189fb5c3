// What a LinkMeasurement must come to, from the closed forms of pcie/formula.hpp alone: wires and
// delays of the link, of a switch and its uplink, host memory, the other NUMA node, and walks of
// the IOMMU. It knows no limited credits, tags, errors or sleep. Zero where there is no closed
// form: several pages at a time over two links that cut them differently, or by short requests.
#pragma once

#include "sim/system/link_bench.hpp"

namespace nvmesim::system_ {

struct LinkForecast {
  base::Time latency{0};
  std::uint64_t bytes_per_second = 0;
};

// memory_address, register_address: their size decides about the headers.
LinkForecast forecast(const SystemConfig& config, const LinkMeasurement& measurement,
                      std::uint64_t memory_address, std::uint64_t register_address);

}  // namespace nvmesim::system_
