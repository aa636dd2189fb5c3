#include "host/kernel/physical_memory.hpp"

#include <algorithm>
#include <array>

namespace nvmesim::host {

void PhysicalMemory::zero(std::uint64_t address, std::size_t bytes) {
  if (data_ != nullptr && map_.contains(address, bytes)) {
    std::memset(data_ + map_.offset(address), 0, bytes);
    return;
  }
  static constexpr std::array<unsigned char, 4096> kZeroes{};
  while (bytes != 0) {
    const std::size_t part = std::min(bytes, kZeroes.size());
    copy_in(address, kZeroes.data(), part);
    address += part;
    bytes -= part;
  }
}

void PhysicalMemory::debug_access(tlm::tlm_command command, std::uint64_t address, void* data,
                                  std::size_t bytes) const {
  NVMESIM_ASSERT(map_.contains(address, bytes), "a processor accessed memory that does not exist");
  NVMESIM_ASSERT(debug_ != nullptr, "a host without memory");
  tlm::tlm_generic_payload payload;
  payload.set_command(command);
  payload.set_address(address);
  payload.set_data_ptr(static_cast<unsigned char*>(data));
  payload.set_data_length(static_cast<unsigned>(bytes));
  payload.set_streaming_width(static_cast<unsigned>(bytes));
  payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  const unsigned done = debug_->transport_dbg(payload);
  NVMESIM_ASSERT(done == bytes, "the memory module refused a debug access");
}

}  // namespace nvmesim::host
