// A request: what the block layer hands to a driver. Each tag of a hardware queue has one, made
// with the tag set and used again and again. A bio becomes one request, or several if it is longer
// than the limits allow; bios that were gathered and touch become one together (linked by
// Bio::merged, in the order of their sectors; discards in that of their coming). A driver's own
// commands are requests without a bio.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "host/block/bio.hpp"

namespace nvmesim::host {

enum class RequestOp : std::uint8_t {
  kRead,
  kWrite,
  kFlush,
  kDiscard,
  kWriteZeroes,
  kDriverIn,
  kDriverOut,  // passthrough: the driver's own command, data from or to the device
};

enum class RequestState : std::uint8_t {
  kIdle,      // free, or waiting to be issued
  kInFlight,  // start_request() was called
  kComplete,  // complete_request() was called
};

// Where a request is in the flush machinery.
enum class FlushStep : std::uint8_t {
  kNone,
  kWaiting,  // for a flush command that covers it
  kCarrier,  // it is that flush command for the moment
  kData,     // its data is out, after the flush
};

struct Request {
  // Set when it is allocated.
  RequestQueue* queue = nullptr;
  RequestOp op = RequestOp::kRead;
  std::uint16_t hw_queue = 0;
  std::uint16_t tag = 0;
  Bio* bio = nullptr;
  std::uint64_t sector = 0;
  std::uint64_t sectors = 0;
  // Data in host memory. Nothing for flush, discard and write zeroes. A bio in pieces, or several
  // bios: no address; they are the bytes from data_offset on of the bios' data.
  std::uint64_t data_address = 0;
  std::uint64_t data_offset = 0;
  std::uint32_t data_bytes = 0;
  bool fua = false;
  std::uint8_t write_hint = 0;
  bool preflush = false;         // the flush machinery has seen to it before queue_rq
  bool failfast_driver = false;  // never retried: passthrough
  bool user_command = false;     // a passthrough command of user space
  bool polled = false;           // somebody looks for its completion all the time

  // Passthrough: the command as it goes into the submission queue, and who is told of its end.
  std::array<std::byte, 64> command{};
  base::Callback end_io;

  // The driver's own. `driver_data` is set once, in QueueOps::init_request.
  void* driver_data = nullptr;
  bool dont_prep = false;     // RQF_DONTPREP: prepared by an earlier attempt; cleared on allocation
  std::uint16_t retries = 0;  // these four are cleared on allocation
  std::uint16_t status = 0;
  std::uint16_t queue_id = 0;  // names for the hang report
  std::uint16_t command_id = 0;
  std::uint64_t result = 0;
  base::Time timeout{0};  // the tag set's unless set before it is issued

  // Where its time goes: the bio's record, or its own if it is one of several, has several bios or
  // none.
  base::StageRecord& stages() { return own_record ? record : bio->stages; }

  // The block layer's own from here.
  RequestState state = RequestState::kIdle;
  BlockStatus block_status = BlockStatus::kOk;
  bool own_record = true;
  bool allocated = false;
  bool held = false;  // a timeout handler is looking at it: not to be reused yet
  bool free_when_let_go = false;
  FlushStep flush_step = FlushStep::kNone;
  RequestOp data_op = RequestOp::kRead;  // of a request that carries a flush for the moment
  base::Time deadline{0};
  Request* next = nullptr;        // in a list of requests to issue
  Request* next_flush = nullptr;  // in a list of the flush machinery
  base::StageRecord record;
};

inline bool is_passthrough(const Request& request) {
  return request.op >= RequestOp::kDriverIn;
}

}  // namespace nvmesim::host
