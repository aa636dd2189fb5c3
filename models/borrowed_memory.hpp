// Memory of somebody else that a medium may use and must give back: how the host memory buffer
// (NVMe 1.4 section 8.9) reaches the FTL. The controller implements BorrowedMemory over DMA, so
// every access costs a trip over the link; the medium implements BorrowedMemoryUser.
//
// Contract. lent() says that the memory can be used from now on; its contents are undefined unless
// `intact` (the same memory as before, unchanged). withdraw() asks for it back: the user starts no
// further access and calls `done` from an entry (never inside the call) when its last one has
// ended. dropped() takes it away at once (a controller reset): accesses under way never call back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sim/base/buffer.hpp"
#include "sim/base/callback.hpp"

namespace nvmesim::models {

class BorrowedMemory {
 public:
  virtual ~BorrowedMemory() = default;

  // Size of what is lent, in whole 4 KiB pages; 0 when nothing is.
  virtual std::uint64_t bytes() const = 0;
  // Accesses of at most 4 KiB that do not cross a 4 KiB page. `done` comes from an entry when the
  // last byte has moved; failed() then tells how it went. `keep` owns the bytes until then.
  virtual void read(std::uint64_t offset, std::span<std::byte> into, base::BufferRef keep,
                    base::Callback done) = 0;
  virtual void write(std::uint64_t offset, std::span<const std::byte> from, base::BufferRef keep,
                     base::Callback done) = 0;
  // Of the access whose call-back is running: the host did not answer.
  virtual bool failed() const = 0;
};

class BorrowedMemoryUser {
 public:
  virtual ~BorrowedMemoryUser() = default;
  virtual void lent(BorrowedMemory& memory, bool intact) = 0;
  virtual void withdraw(base::Callback done) = 0;
  virtual void dropped() = 0;
};

}  // namespace nvmesim::models
