#include "device/features.hpp"

#include <algorithm>
#include <span>

#include "device/core.hpp"

namespace nvmesim::device {

using spec::FeatureId;
using spec::FeatureSelect;
using spec::Status;

namespace {
constexpr std::uint32_t kCurrentTemperature = 0;  // TMPSEL: the composite temperature
constexpr std::uint32_t kAllTemperatures = 0xF;
constexpr std::uint32_t kOverThreshold = 0;  // THSEL
constexpr std::uint32_t kUnderThreshold = 1;
constexpr std::uint32_t kNoMoreQueues = 0xFFFF;
constexpr std::uint32_t kDulbe = 1u << 16;
constexpr auto kCoalescingUnit = std::chrono::microseconds(100);
}  // namespace

struct Features::Row {
  FeatureId id;
  bool per_namespace;
  // Checks dword 11 and applies it; values_ is then set by the caller.
  Status (*set)(Features&, Command&);
  // For features whose value depends on more than the identifier; nullptr: the stored value.
  Status (*get)(Features&, Command&, bool current);
};

// The features' own rules. A friend, so that the table stays out of the header.
struct FeatureHandlers {
  static Status set_arbitration(Features& self, Command& command) {
    const std::uint32_t cdw11 = command.sqe.cdw11;
    self.core_.fetcher.set_arbitration_burst(cdw11 & 7);
    self.core_.fetcher.set_weights(spec::bits(cdw11, 31, 24) + 1, spec::bits(cdw11, 23, 16) + 1,
                                   spec::bits(cdw11, 15, 8) + 1);
    return Status::kSuccess;
  }

  static Status set_power(Features&, Command& command) {
    return (command.sqe.cdw11 & 0x1F) == 0 ? Status::kSuccess : Status::kInvalidField;
  }

  static bool temperature_choice_ok(std::uint32_t cdw11) {
    const std::uint32_t sensor = spec::bits(cdw11, 19, 16);
    return (sensor == kCurrentTemperature || sensor == kAllTemperatures) &&
           spec::bits(cdw11, 21, 20) <= kUnderThreshold;
  }
  static Status set_temperature(Features& self, Command& command) {
    const std::uint32_t cdw11 = command.sqe.cdw11;
    if (!temperature_choice_ok(cdw11)) return Status::kInvalidField;
    const auto kelvin = static_cast<std::uint16_t>(cdw11);
    (spec::bits(cdw11, 21, 20) == kOverThreshold ? self.over_threshold_ : self.under_threshold_) =
        kelvin;
    self.core_.health.set_thresholds(self.over_threshold_, self.under_threshold_);
    self.core_.events.check_health();
    return Status::kSuccess;
  }
  static Status get_temperature(Features& self, Command& command, bool current) {
    if (!temperature_choice_ok(command.sqe.cdw11)) return Status::kInvalidField;
    const bool over = spec::bits(command.sqe.cdw11, 21, 20) == kOverThreshold;
    if (current) {
      command.dw0 = over ? self.over_threshold_ : self.under_threshold_;
    } else {
      command.dw0 = over ? self.core_.config.warning_temperature_kelvin : 0;
    }
    return Status::kSuccess;
  }

  static Status set_error_recovery(Features& self, Command& command) {
    const bool dulbe = (command.sqe.cdw11 & kDulbe) != 0;
    if (dulbe && !self.core_.config.dulbe) return Status::kInvalidField;  // NSFEAT.DULBE is 0
    const auto tler = static_cast<std::uint16_t>(command.sqe.cdw11);
    for (std::uint32_t i = 0; i < self.namespace_tler_.size(); ++i) {
      if (command.sqe.nsid == spec::kNsidAll || command.sqe.nsid == i + 1) {
        self.namespace_tler_[i] = tler;
        self.dulbe_[i] = dulbe;
      }
    }
    self.dulbe_set_ =
        std::find(self.dulbe_.begin(), self.dulbe_.end(), std::uint8_t{1}) != self.dulbe_.end();
    return Status::kSuccess;
  }
  static Status get_error_recovery(Features& self, Command& command, bool current) {
    command.dw0 = current ? self.namespace_tler_[command.sqe.nsid - 1] : 0;
    if (current && self.dulbe(command.sqe.nsid)) command.dw0 |= kDulbe;
    return Status::kSuccess;
  }

  static Status set_write_cache(Features& self, Command& command) {
    self.write_cache_ = (command.sqe.cdw11 & 1) != 0;
    return Status::kSuccess;
  }

  static Status set_queue_count(Features& self, Command& command) {
    const std::uint32_t wanted = command.sqe.cdw11;
    if (self.core_.queues.io_queue_created()) return Status::kCommandSequenceError;
    if (spec::bits(wanted, 15, 0) == kNoMoreQueues || spec::bits(wanted, 31, 16) == kNoMoreQueues) {
      return Status::kInvalidField;
    }
    command.dw0 = self.default_of(FeatureId::kNumberOfQueues);  // granted, whatever was asked for
    return Status::kSuccess;
  }
  static Status get_queue_count(Features& self, Command& command, bool) {
    command.dw0 = self.default_of(FeatureId::kNumberOfQueues);
    return Status::kSuccess;
  }

  static Status set_coalescing(Features& self, Command& command) {
    const std::uint32_t cdw11 = command.sqe.cdw11;
    self.core_.coalescer.configure(spec::bits(cdw11, 7, 0),
                                   spec::bits(cdw11, 15, 8) * kCoalescingUnit);
    return Status::kSuccess;
  }
  static Status set_vector(Features& self, Command& command) {
    const std::uint32_t vector = spec::bits(command.sqe.cdw11, 15, 0);
    if (vector >= self.core_.config.vectors) return Status::kInvalidField;
    self.core_.coalescer.set_disabled(static_cast<std::uint16_t>(vector),
                                      spec::bits(command.sqe.cdw11, 16, 16) != 0);
    return Status::kSuccess;
  }
  static Status get_vector(Features& self, Command& command, bool current) {
    const std::uint32_t vector = spec::bits(command.sqe.cdw11, 15, 0);
    if (vector >= self.core_.config.vectors) return Status::kInvalidField;
    const bool disabled =
        current && self.core_.coalescer.disabled(static_cast<std::uint16_t>(vector));
    command.dw0 = vector | (disabled ? 1u << 16 : 0);
    return Status::kSuccess;
  }

  static Status set_atomicity(Features&, Command&) { return Status::kSuccess; }

  static Status set_events(Features& self, Command& command) {
    self.core_.events.configure(command.sqe.cdw11);
    return Status::kSuccess;
  }

  static constexpr Features::Row kRows[] = {
      {FeatureId::kArbitration, false, set_arbitration, nullptr},
      {FeatureId::kPowerManagement, false, set_power, nullptr},
      {FeatureId::kTemperatureThreshold, false, set_temperature, get_temperature},
      {FeatureId::kErrorRecovery, true, set_error_recovery, get_error_recovery},
      {FeatureId::kVolatileWriteCache, false, set_write_cache, nullptr},
      {FeatureId::kNumberOfQueues, false, set_queue_count, get_queue_count},
      {FeatureId::kInterruptCoalescing, false, set_coalescing, nullptr},
      {FeatureId::kInterruptVectorConfiguration, false, set_vector, get_vector},
      {FeatureId::kWriteAtomicityNormal, false, set_atomicity, nullptr},
      {FeatureId::kAsyncEventConfiguration, false, set_events, nullptr},
  };

  // Bits of dword 11 that a feature keeps.
  static std::uint32_t kept_bits(FeatureId id) {
    switch (id) {
      case FeatureId::kArbitration:
        return 0xFFFF'FF07;
      case FeatureId::kPowerManagement:
      case FeatureId::kAsyncEventConfiguration:
        return 0xFF;  // no notice is ever sent: OAES is 0
      case FeatureId::kVolatileWriteCache:
      case FeatureId::kWriteAtomicityNormal:
        return 1;
      default:
        return 0xFFFF;
    }
  }

  static const Features::Row* find(const Core& core, std::uint32_t id) {
    if (id == static_cast<std::uint32_t>(FeatureId::kVolatileWriteCache) &&
        !core.media.volatile_cache()) {
      return nullptr;
    }
    for (const Features::Row& row : kRows) {
      if (static_cast<std::uint32_t>(row.id) == id) return &row;
    }
    return nullptr;
  }
};

Features::Features(Core& core)
    : core_(core),
      values_(std::size(FeatureHandlers::kRows)),
      namespace_tler_(core.namespaces.count()),
      dulbe_(core.namespaces.count()) {}

void Features::reset() {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    values_[i] = default_of(FeatureHandlers::kRows[i].id);
  }
  namespace_tler_.assign(namespace_tler_.size(), 0);
  dulbe_.assign(dulbe_.size(), 0);
  dulbe_set_ = false;
  over_threshold_ = static_cast<std::uint16_t>(core_.config.warning_temperature_kelvin);
  under_threshold_ = 0;
  write_cache_ = true;
  core_.health.set_thresholds(over_threshold_, under_threshold_);
  core_.fetcher.set_arbitration_burst(core_.config.rab);
  core_.fetcher.set_weights(1, 1, 1);
}

std::uint32_t Features::default_of(FeatureId feature) const {
  switch (feature) {
    case FeatureId::kArbitration:
      return core_.config.rab;
    case FeatureId::kVolatileWriteCache:
      return 1;
    case FeatureId::kNumberOfQueues: {
      const std::uint32_t granted = core_.config.max_io_queues - 1;
      return granted | (granted << 16);
    }
    default:
      return 0;
  }
}

std::uint32_t Features::value(FeatureId feature) const {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (FeatureHandlers::kRows[i].id == feature) return values_[i];
  }
  return 0;
}

void Features::set(Command& command) {
  const std::uint32_t cdw10 = command.sqe.cdw10;
  const std::uint32_t nsid = command.sqe.nsid;
  const Row* row = FeatureHandlers::find(core_, spec::bits(cdw10, 7, 0));
  if (row == nullptr) {
    core_.reject(command, Status::kInvalidField, "this feature is not supported", "5.21");
    return;
  }
  if ((cdw10 & spec::kSetFeaturesSave) != 0) {
    core_.reject(command, Status::kFeatureNotSaveable, "no feature can be saved", "5.21");
    return;
  }
  const bool one_namespace = nsid != 0 && nsid != spec::kNsidAll;
  const bool known = core_.namespaces.find(nsid) != nullptr;
  if ((one_namespace && !known) || (row->per_namespace && nsid == 0)) {
    core_.reject(command, Status::kInvalidNamespace, "NSID names no namespace", "5.21");
    return;
  }
  if (one_namespace && !row->per_namespace) {
    core_.reject(command, Status::kFeatureNotNamespaceSpecific, "NSID given for such a feature",
                 "5.21");
    return;
  }
  const Status status = row->set(*this, command);
  if (status != Status::kSuccess) {
    core_.reject(command, status, "the value or the moment is not allowed", "5.21.1");
    return;
  }
  values_[static_cast<std::size_t>(row - FeatureHandlers::kRows)] =
      command.sqe.cdw11 & FeatureHandlers::kept_bits(row->id);
  core_.complete(command, Status::kSuccess, command.dw0);
}

void Features::get(Command& command) {
  const std::uint32_t cdw10 = command.sqe.cdw10;
  const Row* row = FeatureHandlers::find(core_, spec::bits(cdw10, 7, 0));
  const auto select = spec::bits(cdw10, 10, 8);
  const bool may_select = (core_.config.oncs & spec::kOncsSaveSelect) != 0;
  if (row == nullptr) {
    core_.reject(command, Status::kInvalidField, "this feature is not supported", "5.13");
    return;
  }
  if (select > 3 || (select != 0 && !may_select)) {
    core_.reject(command, Status::kInvalidField, "this select value is not supported", "5.13");
    return;
  }
  if (row->per_namespace && core_.namespaces.find(command.sqe.nsid) == nullptr) {
    core_.reject(command, Status::kInvalidNamespace, "NSID names no namespace", "5.13");
    return;
  }
  const bool current = select == static_cast<unsigned>(FeatureSelect::kCurrent);
  Status status = Status::kSuccess;
  if (select == static_cast<unsigned>(FeatureSelect::kSupported)) {
    command.dw0 =
        spec::kFeatureChangeable | (row->per_namespace ? spec::kFeatureNamespaceSpecific : 0);
  } else if (row->get != nullptr) {
    status = row->get(*this, command, current);
  } else {
    // What was never saved has its default as the saved value.
    command.dw0 = current ? values_[static_cast<std::size_t>(row - FeatureHandlers::kRows)]
                          : default_of(row->id);
  }
  if (status != Status::kSuccess) {
    core_.reject(command, status, "dword 11 names no such value", "5.21.1");
  } else {
    core_.complete(command, Status::kSuccess, command.dw0);
  }
}

}  // namespace nvmesim::device
