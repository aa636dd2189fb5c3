#include "models/nand_media.hpp"

#include "models/state/ftl_state.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

NandMedia::NandMedia(const MediaConfig& config, base::Scheduler& scheduler, std::uint64_t seed,
                     base::StatisticsRegistry& statistics, const std::string& name,
                     ConstructionOrder order)
    : scheduler_(scheduler),
      deallocate_(std::int64_t{config.ftl.deallocate_ns} * 1000),
      deallocate_pace_(std::uint64_t{config.ftl.deallocate_ns_per_mib} * 1000, base::kMiB),
      geometry_(Geometry::make(
          config.nand, config.capacity_bytes / kUnitBytes, config.ftl.over_provisioning_percent,
          Ftl::spare_superblocks(config.ftl), config.ftl.parity, config.ftl.allocation_order)),
      dram_(config.dram, scheduler, statistics, name),
      store_(geometry_.logical_units, config.keep_data, config.keep_metadata, points_),
      nand_(config.nand, geometry_, scheduler, statistics, name, order),
      reliability_(config.reliability, geometry_, seed, statistics, name),
      ftl_(config.ftl, config.nand.cell_bits, geometry_, scheduler, nand_, reliability_, dram_,
           points_, !config.write_buffer.power_loss_protection, seed, statistics, name),
      reads_(geometry_, scheduler, nand_, ftl_, reliability_, store_, delivery_, dram_,
             config.read_cache, statistics, name),
      buffer_(config.write_buffer, geometry_, scheduler, ftl_, store_, reads_, delivery_, dram_,
              statistics, name) {}

void NandMedia::start(MediaCommand& command) {
  command.status = MediaStatus::kOk;
  command.media_data = 0;
  command.stages.open(scheduler_.now());
  for (const MediaPart& part : command.parts) {
    NVMESIM_ASSERT(part.unit.value() < geometry_.logical_units, "a part beyond the capacity");
    NVMESIM_ASSERT(part.bytes > 0 && part.offset + part.bytes <= kUnitBytes,
                   "a part beyond its unit");
  }
  switch (command.op) {
    case MediaOp::kRead:
      NVMESIM_ASSERT(!command.parts.empty(), "a read without parts");
      reads_.start(command, buffer_);
      break;
    case MediaOp::kWrite:
      buffer_.start_write(command);
      break;
    case MediaOp::kFlush:
      buffer_.start_flush(command);
      break;
    case MediaOp::kDeallocate:
      unmap_whole_units(command);
      buffer_.start_deallocate(command, scheduler_.now() + deallocate_time(command.bytes));
      break;
    case MediaOp::kWriteZeroes:
      unmap_whole_units(command);
      buffer_.start_zeroes(command, scheduler_.now() + deallocate_time(command.bytes));
      break;
  }
}

void NandMedia::cancel(MediaCommand& command) {
  delivery_.cancelled(command);
  if (command.op == MediaOp::kRead) {
    reads_.cancel(command);
  } else {
    buffer_.cancel(command);
  }
}

void NandMedia::power_cut() {
  reads_.power_cut();
  ftl_.power_cut();
  buffer_.power_cut();
}

void NandMedia::power_on() {
  ftl_.power_on();
  buffer_.power_on();
}

std::string NandMedia::save() const {
  StateWriter out;
  out.text("nand");
  FtlState::save(ftl_, out);
  buffer_.save(out);
  store_.save(out);
  return out.finish();
}

void NandMedia::load(std::string_view file, std::string_view source) {
  StateReader in(file, std::string(source));
  if (in.text("a kind of medium") != "nand") in.fail("made by a drive of another kind of medium");
  FtlState::load(ftl_, in);
  buffer_.load(geometry_.logical_units, in);
  store_.load(geometry_.logical_units, in);
  in.end();
}

// Takes effect at once; the time that it takes is charged to the command.
void NandMedia::unmap_whole_units(const MediaCommand& command) {
  NVMESIM_ASSERT(command.first_byte + command.bytes <= geometry_.logical_units * kUnitBytes,
                 "a range beyond the capacity");
  const std::uint64_t first = base::ceil_div(command.first_byte, kUnitBytes);
  const std::uint64_t end = (command.first_byte + command.bytes) / kUnitBytes;
  if (end <= first) return;
  buffer_.discard(first, end - first);
  reads_.forget(first, end - first);
  ftl_.deallocate(first, end - first);
  store_.clear(first, end - first);
}

base::Time NandMedia::deallocate_time(std::uint64_t bytes) const {
  return deallocate_ + deallocate_pace_(bytes);
}

}  // namespace nvmesim::models
