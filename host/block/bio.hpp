// Block I/O as a workload sees it: a bio is submitted to a block device and calls back when it has
// ended. The names are the kernel's. All of it runs in entries of the Scheduler; nothing waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "host/kernel/cpu_id.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/stage.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::host {

inline constexpr unsigned kSectorShift = 9;
inline constexpr std::uint32_t kSectorBytes = 1u << kSectorShift;

enum class BioOp : std::uint8_t { kRead, kWrite, kFlush, kDiscard, kWriteZeroes };

// BLK_STS_* of the kernel; to_errno() gives the name a user program would see.
enum class BlockStatus : std::uint8_t {
  kOk,
  kNotSupported,
  kTimeout,
  kNoSpace,
  kTransport,
  kTarget,
  kNexus,
  kMedium,
  kProtection,
  kResource,
  kIoError,
  kAgain,
};
std::string_view to_errno(BlockStatus status);

class RequestQueue;
struct Request;

// Physically contiguous host memory for the data of one bio.
struct IoBuffer {
  std::uint64_t address = 0;  // physical, page-aligned
  std::uint32_t bytes = 0;
};

struct Bio {
  BioOp op = BioOp::kRead;
  std::uint64_t sector = 0;     // in 512-byte sectors
  std::uint32_t sectors = 0;    // 0 for a flush
  bool fua = false;             // REQ_FUA
  bool preflush = false;        // REQ_PREFLUSH
  bool sync = false;            // REQ_SYNC
  std::uint8_t write_hint = 0;  // expected lifetime: 0 not set, 1 none, 2 short to 5 extreme
  bool polled = false;          // REQ_POLLED: to a polling queue where there is one
  // More follow from the same task at once: it is gathered with them (the kernel's plug), merged
  // where they touch, and issued when one without it comes to the processor, or on unplug().
  bool plugged = false;
  bool failover = false;  // who submits it sends it again when its path to the data fails
  IoBuffer buffer;        // reads and writes; at least sectors * 512 bytes
  // Or the data lies in these pieces, in order; they outlive the bio. `buffer` is not used then.
  std::span<const IoBuffer> pieces;
  CpuId cpu;  // where it is submitted
  // CPU time of what lies above the block layer (system call, mode crossings, file system); the
  // block layer and the driver add their own. Part of Stage::kSubmit.
  base::Time engine_cost{0};

  base::Callback done;  // after it the block device does not touch the bio again
  std::uint64_t user_data = 0;

  // Results. `stages` opens at submit() and ends at done(): its total is the latency.
  BlockStatus status = BlockStatus::kOk;
  base::StageRecord stages;
  bool path_error = false;            // it ended because of its path; only with `failover`
  bool ended_in_block_layer = false;  // a flush to a drive without volatile cache
  base::Time submit_cost{0};  // its own part of Stage::kSubmit; the rest waited for the processor

  // The block layer's own.
  RequestQueue* queue = nullptr;
  std::uint32_t requests_open = 0;  // and one more while there are requests still to be made
  std::uint64_t block_data = 0;     // sectors of it that are requests already
  Bio* next = nullptr;              // in a list of waiting bios
  Bio* next_open = nullptr;         // among the open bios of the device, oldest first
  Bio* previous_open = nullptr;
  Bio* merged = nullptr;             // the next bio of the same request
  const Request* request = nullptr;  // the one made last
  std::string_view waiting_for;      // for the hang report; empty while requests are out
};

struct BlockLimits {
  std::uint32_t logical_block_bytes = 512;
  std::uint32_t physical_block_bytes = 512;
  std::uint32_t max_sectors = 2560;            // per request; longer bios are split
  std::uint32_t chunk_sectors = 0;             // requests do not cross multiples of it; 0: they may
  std::uint32_t max_segments = 127;            // pieces of memory of one request
  std::uint32_t max_discard_segments = 1;      // ranges of one discard
  std::uint64_t boundary_mask = 4095;          // between two pieces both addresses have it clear
  std::uint64_t max_discard_sectors = 0;       // 0: no discard
  std::uint64_t max_write_zeroes_sectors = 0;  // 0: no write zeroes
  bool write_cache = false;                    // volatile: flushes and FUA reach the drive
  bool mergeable = true;                       // a request may be made of several bios
  std::uint32_t queue_depth = 0;               // tags of one hardware queue
  std::uint32_t hardware_queues = 0;
};

// One state of an open bio, for the hang report: "waiting for a tag", "in flight: queue 3 cid 17".
struct OpenBio {
  const Bio* bio = nullptr;
  base::Time submitted{0};
  std::string_view stage;
  std::uint16_t queue = 0;
  std::uint16_t command = 0;
};

class BlockDevice {
 public:
  virtual ~BlockDevice() = default;

  virtual std::string_view name() const = 0;  // "nvme0n1"
  virtual std::uint64_t capacity_sectors() const = 0;
  virtual const BlockLimits& limits() const = 0;
  virtual std::uint32_t cpus() const = 0;

  // Takes a bio whose range lies within the device (else it ends with kIoError). done() comes
  // from an entry, never inside the call.
  virtual void submit(Bio& bio) = 0;
  // Nothing more follows from this processor: bios that are gathered there are issued.
  virtual void unplug(CpuId /*cpu*/) {}

  // Memory for data. Buffers are for reuse: freeing returns them to the kernel's page allocator.
  virtual IoBuffer allocate_buffer(std::uint32_t bytes) = 0;
  virtual void free_buffer(const IoBuffer& buffer) = 0;
  virtual void write_buffer(const IoBuffer& buffer, std::uint32_t offset,
                            std::span<const std::byte> bytes) = 0;
  virtual void read_buffer(const IoBuffer& buffer, std::uint32_t offset,
                           std::span<std::byte> bytes) const = 0;

  // Requests now waiting for a tag.
  virtual std::uint64_t waiting_for_tag() const = 0;
  // Calls `visit` for each open bio, oldest first.
  virtual void for_each_open(void (*visit)(void* context, const OpenBio& open),
                             void* context) const = 0;
};

}  // namespace nvmesim::host
