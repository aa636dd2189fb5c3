// What a driver gives the block layer: the operations behind a tag set (blk_mq_ops).
#pragma once

#include "host/block/request.hpp"

namespace nvmesim::host {

class TagSet;

// What queue_rq said.
enum class QueueResult : std::uint8_t {
  kOk,
  kResource,  // no resources now: it is issued again, within 3 ms at the latest
  kIoError,   // it ends with BlockStatus::kIoError
};

enum class TimeoutResult : std::uint8_t { kDone, kResetTimer };

class QueueOps {
 public:
  virtual ~QueueOps() = default;

  // Sends a request to the device; must call RequestQueue::start_request() before it can complete.
  // `last`: no other follows at once; with false the doorbell may wait for the next one or for
  // commit_rqs. Must not wait.
  virtual QueueResult queue_rq(Request& request, bool last) = 0;
  // Nothing follows after all.
  virtual void commit_rqs(RequestQueue& queue, std::uint16_t hw_queue) = 0;
  // Decides about a request that the device has completed: ends it (RequestQueue::end_request) or
  // sends it again (requeue_request). Called from complete_request().
  virtual void complete(Request& request) = 0;
  // Runs in a worker thread and may wait. The request may be completed meanwhile, but its tag is
  // not used again before this returns.
  virtual TimeoutResult timeout(Request& request) = 0;
  // Looks for completions of a polled queue; how many it found.
  virtual int poll(RequestQueue& queue, std::uint16_t hw_queue) = 0;
  // Fills the maps of the tag set (TagSet::map). Called when it is made and when its number of
  // hardware queues changes.
  virtual void map_queues(TagSet& set) = 0;
  // Once for each request of the set, before its first use.
  virtual void init_request(TagSet& set, Request& request, std::uint16_t hw_queue) = 0;
  // Before a request of init_request goes away.
  virtual void exit_request(TagSet& set, Request& request) = 0;
};

}  // namespace nvmesim::host
