// The one place where a workload meets the block device: pooled bios with reusable buffers,
// verification of their data, and the results. Every workload submits through it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "host/block/bio.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/workload/result.hpp"
#include "sim/workload/verifier.hpp"

namespace nvmesim::workload {

// A request that has ended.
struct EndedIo {
  std::uint64_t tag = 0;
  host::BioOp op = host::BioOp::kRead;
  bool failed = false;
  bool counted = false;  // neither warm-up nor read-back
  std::uint32_t sectors = 0;
  base::Time due{0};
  base::Time submitted{0};
  base::Time processor_wait{0};  // of its submission software for the processor
  base::Time tag_wait{0};
};

// Who is told that a request has ended. It may submit the next one at once.
class IoClient {
 public:
  virtual void io_ended(const EndedIo& io) = 0;

 protected:
  virtual ~IoClient() = default;
};

struct IoRequest {
  host::BioOp op = host::BioOp::kRead;
  bool fua = false;
  bool preflush = false;
  bool sync = false;
  bool plugged = false;  // another one follows on this processor before anything else happens there
  std::uint8_t write_hint = 0;  // as Bio::write_hint
  bool measured = true;         // false: read-back
  std::uint16_t cpu = 0;
  std::uint16_t group = 0;  // of results: a section of the job file
  std::uint32_t sectors = 0;
  std::uint64_t sector = 0;
  base::Time due{0};  // when it should have been submitted
  base::Time engine_cost{0};
  std::uint64_t tag = 0;  // for the client
};

// One request in flight, for the hang report.
struct OpenRequest {
  std::uint64_t number = 0;
  host::BioOp op = host::BioOp::kRead;
  std::uint64_t sector = 0;
  std::uint32_t sectors = 0;
  std::uint16_t cpu = 0;
  base::Time submitted{0};
  std::string stage;  // as the block device says; "not known to the block device" if it is lost
  std::uint16_t queue = 0;
  std::uint16_t command = 0;
};

class IoEngine {
 public:
  IoEngine(base::Scheduler& scheduler, host::BlockDevice& device, std::uint32_t slowest);
  ~IoEngine();
  IoEngine(const IoEngine&) = delete;
  IoEngine& operator=(const IoEngine&) = delete;

  void set_verifier(Verifier* verifier) { verifier_ = verifier; }
  // Requests submitted earlier than `measure_from` are warm-up. Groups of results: a section of
  // the job file each.
  void start(base::Time start, base::Time measure_from, std::size_t groups);
  void submit(const IoRequest& request, IoClient& client);

  std::uint64_t open() const { return open_; }
  std::uint64_t submitted() const { return submitted_; }  // read-back left out
  std::uint64_t completed() const { return completed_; }
  // Everything but the jobs' names, replay facts, backlog and verification.
  void fill(WorkloadResult& result) const;
  std::size_t groups() const { return groups_.size(); }  // 0 before the start
  const OperationResults& group(std::size_t index) const { return groups_[index]; }
  std::vector<OpenRequest> open_requests() const;

 private:
  struct Io {
    host::Bio bio;
    std::uint64_t number = 0;
    std::uint64_t tag = 0;
    base::Time due{0};
    base::Time submitted{0};
    IoClient* client = nullptr;
    Verifier::Ticket ticket;
    std::uint16_t group = 0;
    bool measured = false;  // not of the read-back
    bool counted = false;   // and not of the warm-up
    bool open = false;
    std::uint8_t size_class = 0;
  };
  static constexpr std::size_t kSizeClasses = 20;  // of buffers: 4 KiB to 2 GiB
  static constexpr std::size_t kPieceBytes = 16 * 1024;

  std::uint32_t take();
  void attach_buffer(Io& io);
  void write_pattern(const Io& io);
  void check_pattern(const Io& io);
  void ended(std::uint64_t index);
  void record(const Io& io, base::Time latency);
  void keep_slow(const Io& io, base::Time latency);

  base::Scheduler& scheduler_;
  host::BlockDevice& device_;
  Verifier* verifier_ = nullptr;
  const std::uint32_t slowest_limit_;
  std::deque<Io> ios_;
  std::vector<std::uint32_t> free_;
  std::array<std::vector<host::IoBuffer>, kSizeClasses> buffers_;

  base::Time start_{0};
  base::Time measure_from_{0};
  std::vector<OperationResults> groups_;
  OperationResult block_layer_flushes_;
  std::vector<SlowRequest> slowest_;  // a heap, the least slow on top
  std::uint64_t open_ = 0;
  std::uint64_t submitted_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t warmup_ = 0;
  base::Time first_submission_{-1};
  base::Time last_completion_{0};
  std::array<std::byte, kPieceBytes> piece_{};  // of data on its way to or from a buffer
};

}  // namespace nvmesim::workload
