// Shadow doorbells (Doorbell Buffer Config, section 5.7 and 7.13): the host writes its doorbells
// into a buffer in its memory and rings the register only when the value passes the event index
// that the controller left in a second buffer. Once configured, a ring is only a hint: the value is
// read from the buffer. Before the controller rests on a queue it writes the event index and then
// looks at the shadow again, so that no entry is missed. The admin queues are not concerned.
#pragma once

#include <cstdint>
#include <vector>

#include "device/queues.hpp"
#include "sim/base/buffer.hpp"

namespace nvmesim::device {

class ShadowDoorbells {
 public:
  explicit ShadowDoorbells(Core& core);

  bool active() const { return active_; }
  void configure(std::uint64_t shadow, std::uint64_t event_index);
  // The register of a queue was written, or all known entries of it are fetched.
  void look(SubmissionQueue& queue);
  // The same of a completion queue: entries wait for room in it.
  void look(CompletionQueue& queue);
  void reset();

  const std::uint64_t& reads_counter() const { return reads_; }

 private:
  struct Look {
    base::BufferRef buffer;
    bool open = false;
    bool again = false;  // the register was written meanwhile
  };
  // Doorbell `index` (2 y for a tail, 2 y + 1 for a head), resting at `value`.
  void start(std::uint32_t index, std::uint32_t value);
  void tail_read(std::uint64_t index);
  void head_read(std::uint64_t index);
  std::uint32_t value_of(std::uint32_t index) const;

  Core& core_;
  const unsigned shift_;
  bool active_ = false;
  std::uint64_t shadow_ = 0;
  std::uint64_t event_index_ = 0;
  std::vector<Look> looks_;  // by doorbell
  std::uint64_t reads_ = 0;
};

}  // namespace nvmesim::device
