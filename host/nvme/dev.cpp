// Binding and unbinding: probe, removal, shutdown.
#include "host/nvme/dev.hpp"

#include <algorithm>
#include <cerrno>

#include "host/kernel/pci_registers.hpp"
#include "pcie/capabilities.hpp"

namespace nvmesim::host {

using namespace device::spec;

NvmeDev::NvmeDev(Machine& machine, base::StageJoin& join, const DriverConfig& config,
                 const pcie::FunctionInfo& function, unsigned instance, NvmeWorkQueues& work_queues,
                 Subsystems& subsystems)
    : machine_(machine),
      join_(join),
      config_(config),
      facts_(facts_of(config.generation)),
      function_(function),
      quirks_(quirks_of(function.vendor, function.device, facts_.knows_bogus_ids)),
      work_queues_(work_queues),
      ctrl_(machine, *this, config_, quirks_, instance, work_queues.nvme, work_queues.reset,
            subsystems, base::Callback::of<&NvmeDev::reset_work>(this)),
      commands_(machine, quirks_, facts_),
      async_probe_(base::Callback::of<&NvmeDev::async_probe>(this)),
      remove_work_(base::Callback::of<&NvmeDev::remove_dead_ctrl_work>(this)),
      shutdown_lock_(machine.threads),
      remove_lock_(machine.threads),
      fail_request_(config.fail_request, "driver.fail_request") {
  if (!config.noacpi && machine.config().storage_d3) quirks_.simple_suspend = true;
}

NvmeDev::~NvmeDev() {
  ctrl_.free_namespaces();
  // Requests that were in flight when the simulation ended still hold their lists.
  for (Iod& iod : iods_) {
    if (prps_) prps_->unmap(iod.prp);
    if (sgls_) sgls_->unmap(iod.sgl);
  }
}

int NvmeDev::probe() {
  nr_write_queues_ = config_.write_queues;
  nr_poll_queues_ = config_.poll_queues;
  nr_allocated_queues_ = max_io_queues() + 1;
  if (const int result = dev_map(); result != 0) return result;
  for (unsigned qid = 0; qid < nr_allocated_queues_; ++qid)
    queues_.push_back(std::make_unique<NvmeQueue>(machine_, static_cast<QueueOwner&>(*this),
                                                  static_cast<std::uint16_t>(qid)));
  prps_.emplace(machine_.pages, machine_.memory);
  sgls_.emplace(machine_.pages, machine_.memory);
  commands_.take_spare_page();
  const unsigned id = function_.id.value();
  ctrl_.log_info(
      fmt::format("pci function 0000:{:02x}:{:02x}.{:x}", id >> 8, (id >> 3) & 0x1f, id & 7));
  ctrl_.reset_ctrl();
  work_queues_.async.queue_work(async_probe_);
  return 0;
}

void NvmeDev::wait_probed() {
  work_queues_.async.flush_work(async_probe_);
}

void NvmeDev::async_probe() {
  ctrl_.flush_reset();
  ctrl_.flush_scan();
}

// Maps what the admin queue needs of BAR 0. No access.
int NvmeDev::dev_map() {
  bar_ = function_.bars[0].address;
  return bar_ != 0 && remap_bar(kDoorbellBase + 4096) ? 0 : -ENODEV;
}

bool NvmeDev::remap_bar(std::uint64_t bytes) {
  if (bytes <= bar_mapped_size_) return true;
  if (bytes > function_.bars[0].bytes) return false;
  bar_mapped_size_ = bytes;
  dbs_ = bar_ + kDoorbellBase;
  return true;
}

// The length to map for so many I/O queues; the admin queue's pair of doorbells is on top.
std::uint64_t NvmeDev::db_bar_size(unsigned io_queues) const {
  return kDoorbellBase + std::uint64_t{io_queues + 1} * 8 * db_stride_;
}

unsigned NvmeDev::max_io_queues() const {
  if (facts_.shared_tags_one_queue && quirks_.shared_tags) return 1;
  return machine_.cpus() + nr_write_queues_ + nr_poll_queues_;
}

void NvmeDev::set_command(bool memory, bool master) {
  std::uint16_t command = machine_.read16(function_.id, pci::kCommand);
  if (memory) command |= pcie::kCommandMemorySpace;
  command = static_cast<std::uint16_t>(master ? command | pcie::kCommandBusMaster
                                              : command & ~pcie::kCommandBusMaster);
  machine_.write16(function_.id, pci::kCommand, command);
}

// --- registers

std::uint32_t NvmeDev::reg_read32(std::uint32_t offset) {
  return machine_.readl(bar_ + offset);
}
std::uint64_t NvmeDev::reg_read64(std::uint32_t offset) {
  return machine_.lo_hi_readq(bar_ + offset);
}
void NvmeDev::reg_write32(std::uint32_t offset, std::uint32_t value) {
  machine_.writel(bar_ + offset, value);
}
void NvmeDev::reg_write64(std::uint32_t offset, std::uint64_t value) {
  machine_.lo_hi_writeq(bar_ + offset, value);
}

// --- going down

void NvmeDev::remove() {
  std::scoped_lock lock(remove_lock_);
  if (removed_) return;
  ctrl_.change_ctrl_state(CtrlState::kDeleting);
  if (machine_.read32(function_.id, 0) == kDeadRegister) {
    ctrl_.change_ctrl_state(CtrlState::kDead);
    dev_disable(true);
  }
  ctrl_.flush_reset();
  ctrl_.stop_ctrl();
  ctrl_.remove_namespaces();
  dev_disable(true);
  if (admin_q_ != nullptr) {
    admin_q_->mark_dying();
    admin_q_->unquiesce();
    admin_q_->sync();
  }
  free_host_mem();
  for (auto& queue : queues_) queue->free_memory();
  dbbuf_dma_free();
  commands_.give_spare_page_back();
  prps_.reset();
  sgls_.reset();
  ctrl_.queue_count = 0;
  ctrl_.leave_subsystem();
  bar_mapped_size_ = 0;
  removed_ = true;
}

void NvmeDev::shutdown() {
  if (!removed_) disable_prepare_reset(true);
}

int NvmeDev::disable_prepare_reset(bool shutdown) {
  if (!ctrl_.wait_reset()) return -EBUSY;
  dev_disable(shutdown);
  return 0;
}

void NvmeDev::remove_dead_ctrl() {
  ctrl_.change_ctrl_state(CtrlState::kDeleting);
  dev_disable(false);
  ctrl_.kill_queues();
  work_queues_.nvme.queue_work(remove_work_);
}

void NvmeDev::remove_dead_ctrl_work() {
  remove();
}

std::uint64_t NvmeDev::pool_blocks_in_use() const {
  return (prps_ ? prps_->lists_in_use() : 0) + (sgls_ ? sgls_->lists_in_use() : 0);
}

std::uint64_t NvmeDev::tags_in_use() const {
  return (tagset_ ? tagset_->tags_in_use() : 0) +
         (admin_tagset_ ? admin_tagset_->tags_in_use() : 0);
}

void NvmeDev::add_statistics(base::StatisticsRegistry& registry, const std::string& prefix) const {
  const std::string at = prefix + "." + ctrl_.name() + ".";
  const auto sum = [this](std::uint64_t (NvmeQueue::*counter)() const) {
    return [this, counter] {
      std::uint64_t total = 0;
      for (std::size_t i = 1; i < queues_.size(); ++i) total += (queues_[i].get()->*counter)();
      return total;
    };
  };
  registry.add(at + "commands", "1", "I/O commands put into submission queues",
               sum(&NvmeQueue::commands));
  registry.add(at + "doorbells", "1", "writes of I/O submission queue doorbells",
               sum(&NvmeQueue::doorbells_rung));
  registry.add(at + "completions", "1", "completion entries found in I/O queues",
               sum(&NvmeQueue::completions));
  registry.add(at + "invalid_ids", "1", "I/O completions whose command id nobody waits for",
               sum(&NvmeQueue::invalid_ids));
  registry.add(at + "admin_commands", "1", "commands put into the admin queue",
               [this] { return queues_[0]->commands(); });
  registry.add_level(at + "online_queues", "1", "usable queues, the admin queue included",
                     [this] { return std::uint64_t{online_queues_}; });
  registry.add(at + "resets", "1", "resets of the controller, the first start included",
               [this] { return ctrl_.resets(); });
  registry.add(at + "async_events", "1", "asynchronous events",
               [this] { return ctrl_.async_events(); });
  registry.add(at + "retries", "1", "requests sent again after an error", retries_);
  registry.add(at + "timeouts", "1", "commands whose time ran out", timeouts_);
  registry.add(at + "aborts", "1", "Abort commands sent", aborts_);
  registry.add(at + "shadow_doorbells", "1", "doorbell values that only a shadow got",
               sum(&NvmeQueue::shadow_writes));
  registry.add(at + "injected_failures", "1", "completions that fail_request made fail", injected_);
  registry.add(at + "failovers", "1", "bios that went back to their heads: errors of the path",
               ctrl_.failovers());
  registry.add(at + "host_aborted", "1", "commands given up by the host", host_aborted_);
  const auto disks = [this](std::uint64_t (RequestQueue::*counter)() const) {
    return [this, counter] { return ctrl_.sum_of_disks(counter); };
  };
  registry.add(at + "requests_issued", "1", "requests handed to the driver, repeats included",
               disks(&RequestQueue::requests_issued));
  registry.add(at + "bios_split", "1", "bios longer than one request may be",
               disks(&RequestQueue::bios_split));
  registry.add(at + "bios_merged", "1", "bios that went with another one's request",
               disks(&RequestQueue::bios_merged));
  registry.add(at + "plug_flushes", "1", "times that gathered requests were issued",
               disks(&RequestQueue::plug_flushes));
  registry.add(at + "flushes_ended_here", "1",
               "flushes that ended in the block layer: the drive has no volatile cache",
               disks(&RequestQueue::flushes_ended_here));
  registry.add(at + "flush_commands", "1", "Flush commands sent to the drive",
               disks(&RequestQueue::flush_commands));
  registry.add(at + "requeues", "1", "requests sent again", disks(&RequestQueue::requeues));
}

}  // namespace nvmesim::host
