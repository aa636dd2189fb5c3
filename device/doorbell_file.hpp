// The doorbells (sections 3.1.24 and 3.1.25): stride from CAP.DSTRD. A write to a doorbell of no
// queue, or of a value that the queue cannot have, changes nothing and raises an asynchronous
// event.
#pragma once

#include <cstdint>

#include "device/pipeline_stage.hpp"
#include "device/queues.hpp"

namespace nvmesim::device {

class DoorbellFile {
 public:
  explicit DoorbellFile(Core& core);

  // `offset` is in BAR0, at or above 1000h.
  void write(std::uint32_t offset, std::uint32_t value);

  // A value from the register, or from the shadow doorbell.
  void tail(SubmissionQueue& queue, std::uint32_t value);
  void head(CompletionQueue& queue, std::uint32_t value);

  const std::uint64_t& tail_counter() const { return tails_; }
  const std::uint64_t& head_counter() const { return heads_; }
  const std::uint64_t& invalid_counter() const { return invalid_; }

 private:
  void release_pin(std::uint16_t vector);
  void bad_register(const char* why);
  void bad_value(std::uint16_t qid, const char* why);

  Core& core_;
  PipelineStage unit_;  // decoders of tail doorbells
  const bool counted_;  // else there is always a free one
  std::uint64_t tails_ = 0;
  std::uint64_t heads_ = 0;
  std::uint64_t invalid_ = 0;
};

}  // namespace nvmesim::device
