#include "sim/workload/read_back.hpp"

#include <algorithm>

namespace nvmesim::workload {

ReadBack::ReadBack(IoEngine& engine, host::BlockDevice& device, Verifier& verifier,
                   base::Callback ended)
    : engine_(engine), device_(device), verifier_(verifier), ended_(ended) {}

void ReadBack::start() {
  ranges_ = verifier_.plan_read_back();
  const std::uint64_t block = device_.limits().logical_block_bytes / host::kSectorBytes;
  std::vector<Verifier::Range> whole;
  for (const Verifier::Range& range : ranges_) {
    const std::uint64_t first = range.sector / block * block;
    const std::uint64_t end = std::min(base::ceil_div(range.sector + range.sectors, block) * block,
                                       device_.capacity_sectors());  // neighbours may lie beyond it
    if (first >= end) {                                              // the disk has gone, or shrunk
      verifier_.read_back_failed();
      continue;
    }
    if (!whole.empty() && whole.back().sector + whole.back().sectors >= first) {
      whole.back().sectors = end - whole.back().sector;
    } else {
      whole.push_back({first, end - first});
    }
  }
  ranges_ = std::move(whole);
  for (const Verifier::Range& range : ranges_) total_ += range.sectors;
  while (open_ < kDepth && !exhausted()) submit();
  if (open_ == 0) {
    verifier_.read_back_done();
    ended_();
  }
}

void ReadBack::submit() {
  const Verifier::Range& range = ranges_[next_];
  IoRequest request;
  request.op = host::BioOp::kRead;
  request.measured = false;
  request.sector = range.sector + offset_;
  request.sectors =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(kSectors, range.sectors - offset_));
  request.cpu = static_cast<std::uint16_t>(submitted_++ % device_.cpus());
  offset_ += request.sectors;
  if (offset_ == range.sectors) {
    ++next_;
    offset_ = 0;
  }
  ++open_;
  engine_.submit(request, *this);
}

void ReadBack::io_ended(const EndedIo& io) {
  --open_;
  done_ += io.sectors;
  if (io.failed) verifier_.read_back_failed();
  if (!exhausted()) submit();
  if (open_ > 0) return;
  if (!stopped_) verifier_.read_back_done();
  ended_();
}

}  // namespace nvmesim::workload
