// The two boot partitions (section 8.13) and the registers through which a host reads them before
// it enables the controller: BPINFO, BPRSEL, BPMBL (sections 3.1.13 to 3.1.15). Firmware Commit
// writes them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/base/buffer.hpp"

namespace nvmesim::device {

struct Core;

class BootPartitions {
 public:
  explicit BootPartitions(Core& core);

  bool present() const { return bytes_ != 0; }
  std::uint64_t bytes() const { return bytes_; }

  std::uint32_t info() const;
  std::uint32_t selection() const { return selection_; }
  std::uint64_t buffer() const { return buffer_; }
  // A write to BPRSEL: the read begins.
  void select(std::uint32_t value);
  void set_buffer(bool upper, std::uint32_t value);

  // Firmware Commit, actions 6 and 7. The data is not longer than a partition.
  void replace(unsigned partition, const std::vector<std::byte>& data);
  void activate(unsigned partition) { active_ = partition; }
  // A reset ends a read.
  void reset();

 private:
  void send_page();

  Core& core_;
  const std::uint64_t bytes_;
  std::array<std::vector<std::byte>, 2> partitions_;
  unsigned active_ = 0;
  std::uint32_t selection_ = 0;
  std::uint64_t buffer_ = 0;
  unsigned status_ = 0;     // BRS
  std::uint64_t next_ = 0;  // byte of the partition
  std::uint64_t end_ = 0;
  std::uint64_t target_ = 0;  // host address of the next page
};

}  // namespace nvmesim::device
