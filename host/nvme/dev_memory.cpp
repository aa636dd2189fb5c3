// Memory shared with the drive: the controller memory buffer, the host memory buffer and shadow
// doorbells.
#include <algorithm>
#include <cerrno>

#include "host/nvme/dev.hpp"

namespace nvmesim::host {

using namespace device::spec;

namespace {

// CMBMSC (NVMe 1.4, 3.1.16), CMBSZ and CMBLOC (3.1.12, 3.1.11).
constexpr std::uint64_t kCre = 1;
constexpr std::uint64_t kCmse = 2;
constexpr std::uint32_t kSqs = 1;
constexpr unsigned kLargestSizeUnits =
    6;  // 64 GiB; others are reserved, or all ones of a lost drive
// Device memory can be given out for DMA in blocks of this size only.
constexpr std::uint64_t kMemoryBlock = 2 << 20;

constexpr std::uint32_t kEnableHostMemory = 1u << 0;
constexpr std::uint32_t kReturnHostMemory = 1u << 1;

}  // namespace

// Finds the controller memory buffer, once.
void NvmeDev::map_cmb() {
  if (cmb_.bytes() != 0) return;
  const bool enabled_by_host = Cap{ctrl_.cap}.cmbs();
  if (enabled_by_host) reg_write32(kRegCmbmsc, kCre);
  cmbsz_ = reg_read32(kRegCmbsz);
  const unsigned size_units = bits(cmbsz_, 11, 8);
  if (cmbsz_ == 0 || size_units > kLargestSizeUnits) return;
  cmbloc_ = reg_read32(kRegCmbloc);
  const std::uint64_t unit = std::uint64_t{1} << (12 + 4 * size_units);
  const std::uint64_t offset = unit * bits(cmbloc_, 31, 12);
  const unsigned bir = bits(cmbloc_, 2, 0);
  if (bir >= function_.bars.size()) return;
  const pcie::BarInfo& bar = function_.bars[bir];
  if (offset > bar.bytes) return;
  const std::uint64_t bytes = std::min(unit * bits(cmbsz_, 31, 12), bar.bytes - offset);
  const bool whole_blocks = ((bytes | bar.address) & (kMemoryBlock - 1)) == 0;
  if (facts_.cmb_in_whole_blocks && config_.p2pdma && !whole_blocks) return;
  if (enabled_by_host)
    machine_.hi_lo_writeq(bar_ + kRegCmbmsc, (bar.address + offset) | kCre | kCmse);
  if (!config_.p2pdma) {
    ctrl_.log_warning("failed to register the CMB");
    if (enabled_by_host && facts_.cmb_switched_off) machine_.hi_lo_writeq(bar_ + kRegCmbmsc, 0);
    return;
  }
  cmb_.set(bar.address + offset, bytes);
  cmb_use_sqes_ = config_.use_cmb_sqes && (cmbsz_ & kSqs) != 0;
}

// The depth that I/O queues can have in the controller memory buffer; false: it is too small.
bool NvmeDev::cmb_qdepth(unsigned io_queues) {
  const std::uint32_t depth = cmb_.queue_depth(io_queues, q_depth_, sizeof(SubmissionEntry));
  if (depth == 0) return false;
  q_depth_ = depth;
  return true;
}

// --- host memory buffer

int NvmeDev::setup_host_mem() {
  const IdentifyController& id = ctrl_.identify_data();
  const std::uint64_t most = std::uint64_t{config_.max_host_mem_size_mb} << 20;
  HostMemoryWish wish;
  wish.preferred = std::min(std::uint64_t{id.hmpre} * kPageBytes, most);
  wish.minimum = std::uint64_t{id.hmmin} * kPageBytes;
  wish.smallest_chunk = std::uint64_t{id.hmminds} * kPageBytes;
  wish.most_chunks = id.hmmaxd;
  if (wish.minimum > most) {
    ctrl_.log_warning(fmt::format("min host memory ({} MiB) above limit ({} MiB).",
                                  wish.minimum >> 20, config_.max_host_mem_size_mb));
    free_host_mem();
    return 0;
  }
  std::uint32_t bits = kEnableHostMemory;
  if (hmb_ && hmb_->bytes() >= wish.minimum) {
    bits |= kReturnHostMemory;
  } else {
    free_host_mem();
    hmb_.emplace(machine_.pages, machine_.memory);
    if (!hmb_->allocate(wish)) {
      hmb_.reset();
      ctrl_.log_warning("failed to allocate host memory buffer.");
      return 0;
    }
    ctrl_.log_info(fmt::format("allocated {} MiB host memory buffer.", hmb_->bytes() >> 20));
  }
  const int status = set_host_mem_feature(bits);
  if (status != 0) free_host_mem();
  return status;
}

int NvmeDev::set_host_mem_feature(std::uint32_t bits) {
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kSetFeatures);
  command.cdw10 = static_cast<std::uint32_t>(FeatureId::kHostMemoryBuffer);
  command.cdw11 = bits;
  command.cdw12 = static_cast<std::uint32_t>(hmb_->bytes() / kPageBytes);
  command.cdw13 = static_cast<std::uint32_t>(hmb_->descriptors());
  command.cdw14 = static_cast<std::uint32_t>(hmb_->descriptors() >> 32);
  command.cdw15 = hmb_->count();
  const int status = ctrl_.submit_sync_cmd(command, {});
  if (status != 0)
    ctrl_.log_warning(fmt::format("failed to set host mem (err {}, flags {:#x}).", status, bits));
  else
    hmb_enabled_ = (bits & kEnableHostMemory) != 0;
  return status;
}

void NvmeDev::free_host_mem() {
  hmb_.reset();
  hmb_enabled_ = false;
}

int NvmeDev::set_host_memory(bool enable) {
  if (enable == hmb_enabled_) return 0;
  if (enable) return setup_host_mem();
  const int status = set_host_mem_feature(0);
  if (status == 0) free_host_mem();
  return status;
}

// --- shadow doorbells

void NvmeDev::dbbuf_dma_alloc() {
  const std::uint64_t bytes = std::uint64_t{nr_allocated_queues_} * 8 * db_stride_;
  if (dbbuf_dbs_) {
    if (facts_.shadow_doorbells_zeroed) {
      machine_.memory.zero(dbbuf_dbs_.address, bytes);
      machine_.memory.zero(dbbuf_eis_.address, bytes);
    }
    return;
  }
  dbbuf_dbs_ = machine_.pages.dma_alloc_coherent(bytes);
  if (dbbuf_dbs_) dbbuf_eis_ = machine_.pages.dma_alloc_coherent(bytes);
  if (dbbuf_eis_) return;
  dbbuf_dma_free();
  ctrl_.log_warning("unable to allocate dma for dbbuf");
}

void NvmeDev::dbbuf_dma_free() {
  for (DmaMemory* memory : {&dbbuf_dbs_, &dbbuf_eis_}) {
    if (*memory) machine_.pages.dma_free_coherent(*memory);
    *memory = {};
  }
}

ShadowDoorbells NvmeDev::shadow_of(unsigned qid) const {
  const std::uint64_t sq = std::uint64_t{qid} * 2 * db_stride_ * 4;
  const std::uint64_t cq = sq + std::uint64_t{db_stride_} * 4;
  return {dbbuf_dbs_.address + sq, dbbuf_dbs_.address + cq, dbbuf_eis_.address + sq,
          dbbuf_eis_.address + cq};
}

// Tells the drive. Until it has agreed the queues ring as ever.
void NvmeDev::dbbuf_set() {
  if (!dbbuf_dbs_) return;
  const unsigned last = std::max(online_queues_, 1u) - 1;  // it may have been disabled meanwhile
  for (unsigned qid = 1; qid <= last; ++qid) queues_[qid]->start_shadow(shadow_of(qid));
  SubmissionEntry command{};
  command.opc = static_cast<std::uint8_t>(AdminOpcode::kDoorbellBufferConfig);
  command.prp1 = dbbuf_dbs_.address;
  command.prp2 = dbbuf_eis_.address;
  if (ctrl_.submit_sync_cmd(command, {}) == 0) {
    for (unsigned qid = 1; qid <= last; ++qid) queues_[qid]->shadow_is_live();
    return;
  }
  ctrl_.log_warning("unable to set dbbuf");
  dbbuf_dma_free();
  const unsigned end = facts_.shadow_loop_bound_right ? last : last + 1;
  for (unsigned qid = 1; qid <= end && qid < queues_.size(); ++qid) queues_[qid]->stop_shadow();
}

}  // namespace nvmesim::host
