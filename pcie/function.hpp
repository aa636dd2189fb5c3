// The seam between a PCIe endpoint and the device behind it. The endpoint owns configuration space,
// BAR decoding, the MSI-X table and the sockets; the device owns behaviour and knows no TLM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "pcie/tlp.hpp"
#include "sim/base/buffer.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie {

// Implemented by the device (device::Controller). Called at the instant of arrival.
class FunctionDevice {
 public:
  virtual ~FunctionDevice() = default;
  // An access to memory space of `bar` at `offset`; the MSI-X table never gets here.
  virtual void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) = 0;
  // Fills `data`; the endpoint answers after its configured register latency.
  virtual void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) = 0;
  // Function level reset or conventional reset: everything back to its initial state; no DMA that
  // was started before may call back afterwards.
  virtual void function_reset() = 0;
};

// What came back for a DMA request.
enum class DmaStatus : std::uint8_t {
  kOk,
  kUnsupportedRequest,
  kCompleterAbort,
  kDropped,   // bus master was off
  kTimeout,   // no completion in the time of Device Control 2
  kPoisoned,  // the data is known to be bad
};

// Offered by the endpoint (pcie::Endpoint) to its device. Requests are sent in the order of the
// calls, but reads that wait for a tag are passed by writes. Call-backs come from an entry, never
// inside the call; after drop_requests() none comes for what was started before.
class FunctionPort {
 public:
  virtual ~FunctionPort() = default;

  // Reads `bytes` (at most 4 KiB, not crossing a 4 KiB boundary) from host memory into `into`.
  // `done(status as argument is read by dma_status())` when the last byte has arrived. `keep`
  // holds the destination alive until then and may be empty.
  virtual void dma_read(std::uint64_t address, std::span<std::byte> into, base::BufferRef keep,
                        base::Callback done) = 0;

  // A posted write of data (relaxed ordering set if Device Control allows it), at most 4 KiB within
  // a page too. `sent` when its last TLP has been handed to the link, after which nothing sent
  // later can pass it; the bytes must not change before they have arrived, which `keep` provides
  // for (or they are copied, up to 64 bytes, if keep is empty). deferrable, dataless: see Tlp.
  struct WriteOptions {
    bool relaxed_ordering = true;
    bool deferrable = false;
    bool dataless = false;
  };
  virtual void dma_write(std::uint64_t address, std::span<const std::byte> from,
                         base::BufferRef keep, WriteOptions options, base::Callback sent) = 0;

  // Status of the request whose call-back is running.
  virtual DmaStatus dma_status() const = 0;

  // Raises the interrupt of `vector` by the mechanism that software has enabled: an MSI-X or MSI
  // message (a posted write with RO clear behind everything sent before; a masked one becomes
  // pending; none while bus master is off), else the pin of the function, as messages too.
  virtual void interrupt(VectorId vector) = 0;
  // The reason for interrupt() has gone: a pin is released when that holds for every vector.
  // Messages need no such call.
  virtual void interrupt_served(VectorId) {}
  // True while the pin carries the interrupts, so that interrupt_served() matters.
  virtual bool interrupt_by_pin() const { return false; }
  // True while MSI-X carries them, so that its table is what masks vectors.
  virtual bool interrupt_by_table() const { return !interrupt_by_pin(); }
  // True if an interrupt sent now would leave (enabled, not masked).
  virtual bool interrupt_enabled(VectorId vector) const = 0;

  // Called by the device on its own reset: forgets call-backs of everything in flight.
  virtual void drop_requests() = 0;
  virtual bool bus_master() const = 0;
  // With true, deferrable writes towards the device are delivered at their arrival: the device is
  // waiting for one (a full completion queue).
  virtual void deliver_promptly(bool promptly) = 0;
  virtual RequesterId id() const = 0;
};

}  // namespace nvmesim::pcie
