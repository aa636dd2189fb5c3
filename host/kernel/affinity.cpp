#include <algorithm>

#include "host/kernel/interrupts.hpp"

namespace nvmesim::host {

unsigned node_size(unsigned node, unsigned cpus, unsigned nodes) {
  return cpus / nodes + (node >= nodes - cpus % nodes ? 1 : 0);
}

std::vector<CpuMask> spread_affinity(unsigned vectors, unsigned cpus, unsigned nodes) {
  CpuMask all;
  for (unsigned cpu = 0; cpu < cpus; ++cpu) all.set(cpu);
  std::vector<CpuMask> masks(vectors, all);
  const unsigned groups = std::min(vectors, cpus);
  if (groups == 0) return masks;
  std::fill_n(masks.begin(), groups, CpuMask{});

  unsigned cpu = 0;
  unsigned group = 0;
  for (unsigned node = 0; node < nodes; ++node) {
    const unsigned size = node_size(node, cpus, nodes);
    if (groups <= nodes) {
      for (unsigned i = 0; i < size; ++i) masks[node % groups].set(cpu++);
      continue;
    }
    const unsigned here = std::max(1u, (groups - group) * size / (cpus - cpu));
    for (unsigned i = 0; i < here; ++i) {
      const unsigned share = size / here + (i < size % here ? 1 : 0);
      for (unsigned k = 0; k < share; ++k) masks[group].set(cpu++);
      ++group;
    }
  }
  return masks;
}

}  // namespace nvmesim::host
