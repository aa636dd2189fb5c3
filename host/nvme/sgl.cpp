#include "host/nvme/sgl.hpp"

#include "sim/base/assert.hpp"

namespace nvmesim::host {

SglMapper::SglMapper(PageAllocator& pages, PhysicalMemory& memory)
    : memory_(memory),
      page_pool_("sgl list page", pages, 4096, 4096),
      small_pool_("sgl list 256", pages, 256, 256) {}

bool SglMapper::map(std::span<const DataSegment> segments, SglMapping& mapping) {
  NVMESIM_ASSERT(!segments.empty() && segments.size() <= kPageEntries && mapping.list == 0,
                 "an SGL of nothing, of too much, or made twice");
  const auto descriptor = [](const DataSegment& segment) {
    return SglDescriptor{
        segment.address, static_cast<std::uint32_t>(segment.bytes), {}, kSglDataBlock};
  };
  if (segments.size() == 1) {
    mapping.in_command = descriptor(segments.front());
    return true;
  }
  mapping.small = segments.size() <= kSmallEntries;
  mapping.list = (mapping.small ? small_pool_ : page_pool_).alloc();
  if (mapping.list == 0) return false;
  for (std::size_t i = 0; i < segments.size(); ++i)
    memory_.store(mapping.list + i * sizeof(SglDescriptor), descriptor(segments[i]));
  mapping.in_command = {mapping.list,
                        static_cast<std::uint32_t>(segments.size() * sizeof(SglDescriptor)),
                        {},
                        kSglLastSegment};
  return true;
}

void SglMapper::unmap(SglMapping& mapping) {
  if (mapping.list == 0) return;
  (mapping.small ? small_pool_ : page_pool_).free(mapping.list);
  mapping.list = 0;
}

}  // namespace nvmesim::host
