// After a verified run: reads every sector that was written, through the driver, in large
// sequential requests over adjacent sectors, and hands the data to the verifier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/base/callback.hpp"
#include "sim/workload/io_engine.hpp"
#include "sim/workload/verifier.hpp"

namespace nvmesim::workload {

class ReadBack final : private IoClient {
 public:
  ReadBack(IoEngine& engine, host::BlockDevice& device, Verifier& verifier, base::Callback ended);

  // From an entry. If nothing was written `ended` is called within.
  void start();
  void stop() { stopped_ = true; }
  std::uint64_t sectors_total() const { return total_; }
  std::uint64_t sectors_done() const { return done_; }

 private:
  static constexpr std::uint32_t kDepth = 16;
  static constexpr std::uint32_t kSectors = 512;  // of one request

  void io_ended(const EndedIo& io) override;
  void submit();
  bool exhausted() const { return stopped_ || next_ == ranges_.size(); }

  IoEngine& engine_;
  host::BlockDevice& device_;
  Verifier& verifier_;
  base::Callback ended_;
  std::vector<Verifier::Range> ranges_;
  std::size_t next_ = 0;
  std::uint64_t offset_ = 0;  // within the range
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
  std::uint32_t open_ = 0;
  std::uint64_t submitted_ = 0;
  bool stopped_ = false;
};

}  // namespace nvmesim::workload
