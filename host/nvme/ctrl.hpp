// The part of the driver that knows NVMe but not PCI: the controller's state, enabling and
// disabling it, identification and limits, features, asynchronous events, and the scan for
// namespaces. NvmeDev, which owns one, has queues, interrupts and registers.
//
// Results of commands: 0, an NVMe status above 0, or a negative errno of the host; callers tell
// the three apart. Everything that sends a command waits, so it runs in a thread.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device/spec/commands.hpp"
#include "device/spec/features.hpp"
#include "device/spec/identify.hpp"
#include "device/spec/logs.hpp"
#include "host/block/request_queue.hpp"
#include "host/kernel/machine.hpp"
#include "host/nvme/ctrl_state.hpp"
#include "host/nvme/driver_config.hpp"
#include "host/nvme/ns.hpp"
#include "host/nvme/ns_info.hpp"
#include "host/nvme/quirks.hpp"

namespace nvmesim::host {

template <class T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span<T, 1>(&value, 1));
}

// What a read of a register gives when no device answers.
inline constexpr std::uint32_t kDeadRegister = 0xffff'ffff;

// What the controller part needs from its transport (nvme_ctrl_ops).
class CtrlBus {
 public:
  virtual ~CtrlBus() = default;
  virtual std::uint32_t reg_read32(std::uint32_t offset) = 0;
  virtual std::uint64_t reg_read64(std::uint32_t offset) = 0;  // lower half first
  virtual void reg_write32(std::uint32_t offset, std::uint32_t value) = 0;
  virtual void submit_async_event() = 0;
};

class NvmeCtrl {
 public:
  // reset: the transport's reset work.
  NvmeCtrl(Machine& machine, CtrlBus& bus, const DriverConfig& config, Quirks& quirks,
           unsigned instance, WorkQueue& nvme_wq, WorkQueue& reset_wq, Subsystems& subsystems,
           base::Callback reset);
  ~NvmeCtrl();
  NvmeCtrl(const NvmeCtrl&) = delete;
  NvmeCtrl& operator=(const NvmeCtrl&) = delete;

  // --- state
  CtrlState state() const { return state_; }
  // False, and no change, if the table does not allow it.
  bool change_ctrl_state(CtrlState to);
  // Waits until it could take the controller into RESETTING, or the state is terminal.
  bool wait_reset();
  int reset_ctrl();
  int reset_ctrl_sync();
  int try_sched_reset();
  void flush_reset() { reset_wq_.flush_work(reset_work_); }
  void flush_scan() { nvme_wq_.flush_work(scan_work_); }

  // --- registers
  int disable_ctrl();
  int enable_ctrl();
  int shutdown_ctrl();

  // --- commands
  // `data` is what the command carries: sent if the opcode says so, else filled. The timeout is the
  // admin queue's.
  int submit_sync_cmd(device::spec::SubmissionEntry& command, std::span<std::byte> data,
                      std::uint64_t* result = nullptr);
  int identify(std::uint8_t cns, std::uint32_t nsid, std::uint8_t csi, std::span<std::byte> data);
  int get_log(std::uint32_t nsid, std::uint8_t page, std::span<std::byte> data,
              std::uint8_t csi = 0);
  int set_features(device::spec::FeatureId feature, std::uint32_t value, std::span<std::byte> data,
                   std::uint32_t* result = nullptr);
  int get_features(device::spec::FeatureId feature, std::uint32_t value, std::uint32_t* result);
  // A command of user space. nsid 0 on the controller's own node; I/O commands go through the disk
  // of the namespace. Its effects (log page 05h, and what is known of an opcode) are seen to:
  // namespaces frozen, scanned, or the controller identified anew. -EBUSY while not LIVE... the
  // state gate of the block layer gives 370h; -EINVAL for a namespace that is not there.
  struct Passthrough {
    device::spec::SubmissionEntry command{};
    std::span<std::byte> data;
    std::uint32_t timeout_ms = 0;  // 0: the default
    bool io = false;
  };
  int passthru(Passthrough& command, std::uint64_t* result = nullptr);
  // The writes and states of a subsystem reset; -ENOTTY without NSSR.
  int reset_subsystem();
  // In: how many are wanted. Out: how many there may be; 0 if the device refused.
  int set_queue_count(unsigned& count);

  // --- life
  int init_ctrl_finish();
  void start_ctrl();
  void stop_ctrl();
  void queue_scan();
  void remove_namespaces();
  // The end: disks go away, before the tag sets that they share.
  void free_namespaces();
  // Its removal has ended.
  void leave_subsystem();
  // The deepest power state is refused: suspend shuts down from now on.
  void forget_power_states() { identify_.npss = 0; }
  // A completion was seen: a drive that counts traffic needs no keep alive.
  void completion_seen() { comp_seen_ = true; }
  // status without its phase bit. From an entry.
  void complete_async_event(std::uint16_t status, std::uint32_t result);
  // A request that came by a head ended with an error of the path: its bios go back to the head.
  void path_failed(Request& request);

  // --- all namespaces' queues
  void start_freeze();
  void wait_freeze();
  bool wait_freeze_timeout(base::Time timeout);
  void unfreeze();
  void stop_queues();
  void start_queues();
  void sync_queues();
  // Queued and new requests fail from now on; the disks' capacity becomes 0.
  void kill_queues();

  // --- observation
  unsigned instance() const { return instance_; }
  const std::string& name() const { return name_; }  // "nvme0"
  const device::spec::IdentifyController& identify_data() const { return identify_; }
  const std::string& model() const { return model_; }
  const std::string& serial() const { return serial_; }
  const std::string& firmware() const { return firmware_; }
  const std::string& subsystem_nqn() const { return nqn_; }
  // Of zoned namespaces.
  std::uint64_t max_zone_append_bytes() const {
    return std::uint64_t{max_zone_append_} << kSectorShift;
  }
  // Null until it has been identified.
  Subsystem* subsystem() const { return subsystem_; }
  std::uint32_t version() const { return version_; }
  const Quirks& quirks() const { return quirks_; }
  std::uint32_t ctrl_config() const { return ctrl_config_; }
  std::uint32_t shutdown_timeout_s() const { return shutdown_timeout_s_; }
  std::uint16_t composite_temperature_k() const { return composite_temperature_k_; }
  std::uint32_t kato() const { return kato_; }
  bool has_opal() const { return opal_; }
  std::uint16_t streams() const { return streams_; }
  // Asymmetric access of a namespace's group: a state of the log page, or that it has none.
  static constexpr unsigned kAnaUnknown = 0;
  unsigned ana_state(std::uint32_t group) const;
  bool has_ana() const { return !ana_states_.empty(); }
  // The effects log (LID 05h); all zero if the controller has none.
  std::span<const std::byte> effects() const { return effects_; }
  const CtrlLimits& ctrl_limits() const { return limits_; }
  const std::vector<std::unique_ptr<NvmeNs>>& namespaces() const { return namespaces_; }
  std::uint64_t async_events() const { return async_events_; }
  std::uint64_t resets() const { return resets_; }
  // Over all disks, those that are gone included.
  std::uint64_t sum_of_disks(std::uint64_t (RequestQueue::*counter)() const) const;
  // Bios that went back to their heads.
  const std::uint64_t& failovers() const { return failovers_; }

  void log_info(std::string_view text) { log(PrintLevel::kInfo, text); }
  void log_warning(std::string_view text) { log(PrintLevel::kWarning, text); }
  void log_error(std::string_view text) { log(PrintLevel::kError, text); }

  // --- set by the transport
  std::uint64_t cap = 0;
  std::uint32_t sqsize = 0;      // 0's based depth of I/O queues
  unsigned queue_count = 0;      // queues with memory, the admin queue included
  std::int32_t abort_limit = 0;  // Aborts that may still be sent
  RequestQueue* admin_q = nullptr;
  TagSet* tagset = nullptr;  // of the I/O queues; null: no namespace can be served
  // Largest request that the transport can carry, before the controller's own limit.
  void set_transport_limits(std::uint32_t max_hw_sectors, std::uint32_t max_segments);

 private:
  void log(PrintLevel level, std::string_view text);
  base::Time now() const { return machine_.now(); }
  void write_cc(std::uint32_t value);
  int wait_ready(bool enabled, std::uint32_t timeout_500ms);
  bool multi_css() const;
  int submit(device::spec::SubmissionEntry& command, std::span<std::byte> data,
             std::uint64_t* result, RequestQueue& queue, bool user, bool at_head,
             base::Time timeout);
  // passthrough (ctrl_passthru.cpp)
  std::uint32_t passthru_start(const Passthrough& command);
  void passthru_end(std::uint32_t effects, const Passthrough& command, int status);
  std::uint32_t command_effects(const Passthrough& command) const;
  void remove_invalid_namespaces();
  // extras (ctrl_extras.cpp)
  int init_ana();
  int read_ana_log();
  void ana_work();
  void anatt_work();
  // multipath (multipath.cpp)
  bool wants_head(const NamespaceHead& head) const;
  std::string disk_name(const NamespaceHead& head) const;
  void add_path(NvmeNs& ns);
  bool make_head_live(NvmeNs& ns);
  void kick_heads();
  void clear_paths();
  struct StreamParameters {
    std::uint16_t msl;
    std::uint16_t nssa;
    std::uint16_t nsso;
    std::uint8_t nssc;
    std::array<std::uint8_t, 9> reserved7;
    std::uint32_t sws;  // preferred write size, logical blocks
    std::uint16_t sgs;  // granularity, write sizes
    std::uint16_t nsa;
    std::uint16_t nso;
    std::array<std::uint8_t, 6> reserved26;
  };
  int directive(bool send, std::uint32_t nsid, std::uint32_t cdw11, std::uint32_t cdw12,
                std::span<std::byte> data);
  int read_stream_parameters(std::uint32_t nsid, StreamParameters& parameters);
  int configure_directives();
  void start_keep_alive();
  void keep_alive_work();
  void keep_alive_ended(std::uint64_t request);
  bool limited_cns() const;
  // initialisation (ctrl_init.cpp)
  int init_identify();
  int init_subsystem();
  void name_subsystem();
  void set_transfer_limit(std::uint8_t mdts);
  void init_default_limits();
  int init_non_mdts_limits();
  int configure_apst();
  int configure_timestamp();
  int configure_host_behavior();

 public:
  // Looks for a self-encrypting drive, once, where the kernel has the support for it.
  void init_opal();

 private:
  int hwmon_init();
  // events (ctrl_events.cpp)
  void enable_aen();
  void async_event_work();
  bool handle_notice(std::uint32_t result);
  void fw_act_work();
  // scan (scan.cpp)
  void scan_work();
  void clear_changed_ns_log();
  int scan_ns_list();
  void scan_ns_sequential();
  void validate_or_alloc_ns(std::uint32_t nsid);
  int identify_ns_descriptors(std::uint32_t nsid, NsIds& ids);
  int identify_ns(std::uint32_t nsid, NsIds& ids, device::spec::IdentifyNamespace& id);
  int read_guard_type(std::uint32_t nsid, device::spec::IdentifyNamespace& id);
  void validate_ns(NvmeNs& ns, NsIds ids);
  void alloc_ns(std::uint32_t nsid, NsIds ids);
  int update_ns_info(NvmeNs& ns, const device::spec::IdentifyNamespace& id);
  std::unique_ptr<NvmeNs> create_ns(std::uint32_t nsid, const NsIds& ids, bool shared);
  void appear(NvmeNs& ns);
  bool serves(std::uint8_t csi) const;
  int read_effects(NamespaceHead& head);
  void set_limits(NvmeNs& ns);
  // zoned namespaces (zns.cpp)
  int set_max_append();
  int update_zone_info(NvmeNs& ns, unsigned format);
  int revalidate_zones(NvmeNs& ns);
  NvmeNs* find_ns(std::uint32_t nsid);
  void remove_ns(NvmeNs& ns);
  void remove_ns_range(std::uint32_t above, std::uint32_t below);

  Machine& machine_;
  CtrlBus& bus_;
  const DriverConfig& config_;
  Quirks& quirks_;
  const GenerationFacts facts_;
  const unsigned instance_;
  const std::string name_;
  WorkQueue& nvme_wq_;
  WorkQueue& reset_wq_;
  Subsystems& subsystems_;
  Work reset_work_;
  Work scan_work_;
  Work async_event_work_;
  Work fw_act_work_;
  Work ana_work_;
  DelayedWork ka_work_;
  DelayedWork anatt_work_;
  WaitQueue state_wq_;
  Mutex scan_lock_;

  CtrlState state_ = CtrlState::kNew;
  std::uint32_t ctrl_config_ = 0;  // the host's copy of CC, which is never read
  std::uint32_t version_ = 0;
  bool identified_ = false;
  device::spec::IdentifyController identify_{};
  std::string model_;
  std::string serial_;
  std::string firmware_;
  std::string nqn_;
  Subsystem* subsystem_ = nullptr;
  std::uint32_t max_zone_append_ = 0;  // sectors; 0: not asked yet
  CtrlLimits limits_;
  std::uint32_t discard_range_blocks_ = 0;
  std::uint32_t shutdown_timeout_s_ = 0;
  std::uint64_t ps_max_latency_us_ = 0;
  std::array<std::uint64_t, 32> apst_entries_{};
  bool effects_known_ = false;
  std::array<std::byte, 4096> effects_{};
  std::uint16_t composite_temperature_k_ = 0;
  bool ns_changed_ = false;  // an event said so, and no scan has looked yet
  std::uint32_t aen_result_ = 0;
  std::uint32_t kato_ = 0;  // keep alive timeout in s; 0: none
  bool comp_seen_ = false;
  bool opal_ = false;
  std::uint16_t streams_ = 0;  // that the drive has; 0: the directive is off
  std::vector<std::byte> ana_log_;
  std::vector<std::pair<std::uint32_t, std::uint8_t>> ana_states_;  // by group

  std::vector<std::unique_ptr<NvmeNs>> namespaces_;  // in the order of their NSIDs
  // Their disks may still be held by somebody; they serve no more.
  std::vector<std::unique_ptr<NvmeNs>> removed_;
  std::uint64_t async_events_ = 0;
  std::uint64_t resets_ = 0;
  std::uint64_t failovers_ = 0;
};

}  // namespace nvmesim::host
