#include "host/kernel/interrupts.hpp"

namespace nvmesim::host {

std::vector<CpuMask> spread_affinity(unsigned vectors, unsigned cpus) {
  CpuMask all;
  for (unsigned cpu = 0; cpu < cpus; ++cpu) all.set(cpu);
  std::vector<CpuMask> masks(vectors, all);
  const unsigned groups = vectors < cpus ? vectors : cpus;
  unsigned cpu = 0;
  for (unsigned group = 0; group < groups; ++group) {
    const unsigned size = cpus / groups + (group < cpus % groups ? 1 : 0);
    masks[group].reset();
    for (unsigned i = 0; i < size; ++i) masks[group].set(cpu++);
  }
  return masks;
}

}  // namespace nvmesim::host
