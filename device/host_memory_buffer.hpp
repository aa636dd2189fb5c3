// The host memory buffer (section 8.9, feature 0Dh): takes the host's descriptor list, lends the
// memory to the part of the media that has a use for it, and asks for it back before the host gets
// it back. Every access is a DMA request to the host.
#pragma once

#include <cstdint>
#include <vector>

#include "device/command.hpp"
#include "models/borrowed_memory.hpp"

namespace nvmesim::device {

class HostMemoryBuffer : public models::BorrowedMemory {
 public:
  explicit HostMemoryBuffer(Core& core) : core_(core) {}

  bool offered() const;
  bool enabled() const { return state_ == State::kLent; }
  // Set Features 0Dh, whole.
  void set(Command& command);
  // Attributes of the host memory buffer, 4096 bytes, as Get Features gives them.
  std::vector<std::byte> attributes() const;
  // A controller reset: the memory is the host's again.
  void reset();

  std::uint64_t bytes() const override;
  void read(std::uint64_t offset, std::span<std::byte> into, base::BufferRef keep,
            base::Callback done) override;
  void write(std::uint64_t offset, std::span<const std::byte> from, base::BufferRef keep,
             base::Callback done) override;
  bool failed() const override;

  const std::uint64_t& reads_counter() const { return reads_; }
  const std::uint64_t& writes_counter() const { return writes_; }

 private:
  enum class State : std::uint8_t { kNone, kReadingList, kLent, kWithdrawing };
  struct Segment {
    std::uint64_t end = 0;  // offset behind it
    std::uint64_t address = 0;
  };
  void enable(Command& command);
  void disable(Command& command);
  void read_list();
  void list_arrived();
  void list_complete();
  void refuse(spec::Status status, const char* rule);
  bool take(const std::byte* descriptor);
  void withdrawn();
  std::uint64_t address_of(std::uint64_t offset) const;

  Core& core_;
  State state_ = State::kNone;
  Command* waiting_ = nullptr;  // the Set Features under way
  std::vector<Segment> segments_;
  std::uint64_t listed_bytes_ = 0;  // of all descriptors, those too small for use included
  std::uint32_t size_pages_ = 0;    // HSIZE
  std::uint64_t list_ = 0;          // HMDLAU and HMDLLA
  std::uint32_t entries_ = 0;       // HMDLEC
  std::uint32_t entries_read_ = 0;
  std::uint64_t last_bytes_ = 0;  // lent before, for MR
  base::BufferRef buffer_;
  std::uint32_t page_entries_ = 0;  // of the list, under way
  std::uint64_t reads_ = 0;
  std::uint64_t writes_ = 0;
};

}  // namespace nvmesim::device
