#include "device/features.hpp"

#include <cstring>

#include "device/core.hpp"
#include "device/feature_table.hpp"
#include "device/hex.hpp"

namespace nvmesim::device {

using spec::FeatureId;
using spec::FeatureSelect;
using spec::Status;

namespace {

constexpr unsigned kCurrent = static_cast<unsigned>(FeatureSelect::kCurrent);
constexpr unsigned kDefault = static_cast<unsigned>(FeatureSelect::kDefault);
constexpr unsigned kSupported = static_cast<unsigned>(FeatureSelect::kSupported);
constexpr std::uint64_t kTimestampByHost = 1ull << 49;  // origin 001b

std::uint32_t id_of(const FeatureRow& row) {
  return static_cast<std::uint32_t>(row.id);
}

FeatureValue default_of(const Core& core, const FeatureRow& row, std::uint32_t instance) {
  return row.default_value == nullptr ? FeatureValue{} : row.default_value(core, instance);
}

// Data bytes that go over the wire: host identifiers have two lengths.
std::uint32_t data_bytes(const FeatureRow& row, const Command& command) {
  if (row.id != FeatureId::kHostIdentifier) return row.data_bytes;
  return (command.sqe.cdw11 & 1) != 0 ? 16 : 8;
}

// A saved value of a feature of the controller is of an instance that it has.
bool instance_exists(const Core& core, const FeatureRow& row, const PersistentFeature& feature) {
  switch (row.id) {
    case FeatureId::kInterruptVectorConfiguration:
      return feature.instance < core.config.vectors && (feature.value & 0xFFFF) == feature.instance;
    case FeatureId::kTemperatureThreshold:
      return feature.instance <= 1;
    case FeatureId::kEnduranceGroupEventConfiguration:
      return feature.instance == 1;
    default:
      return row.scope == FeatureScope::kNamespace || feature.instance == 0;
  }
}

template <class Visit>
void for_each_row(Visit visit) {
  for (const auto rows : feature_tables()) {
    for (const FeatureRow& row : rows) visit(row);
  }
}

const FeatureRow& row_of(const Core& core, const Command& command) {
  return *find_feature(core, spec::bits(command.sqe.cdw10, 7, 0));
}

}  // namespace

Features::Features(Core& core) : core_(core) {}

void Features::set_dulbe(std::uint32_t nsid, bool on) {
  if (dulbe_.size() < nsid) dulbe_.resize(nsid);
  if (dulbe_[nsid - 1] != on) dulbe_count_ += on ? 1u : ~std::uint32_t{0};
  dulbe_[nsid - 1] = on;
}

void Features::reset() {
  dulbe_.assign(core_.namespaces.count(), false);
  dulbe_count_ = 0;
  current_ = saved_;
  timestamp_base_ = 0;
  timestamp_set_ = core_.scheduler.now();
  timestamp_by_host_ = false;
  write_cache_ = true;
  for_each_row([this](const FeatureRow& row) {
    if (row.apply == nullptr || row.scope == FeatureScope::kNamespace) return;
    if (row.exists != nullptr && !row.exists(core_)) return;
    if (row.instance == nullptr) row.apply(core_, 0, value_for(row, 0, kCurrent));
  });
  for (const std::uint32_t threshold : {0u, 1u}) {
    const FeatureRow& row = *find_feature(core_, 0x04);
    row.apply(core_, threshold, value_for(row, threshold, kCurrent));
  }
  for (const auto& [key, value] : saved_) {
    const FeatureRow* row = find_feature(core_, key.first);
    if (row != nullptr && row->apply != nullptr) row->apply(core_, key.second, value);
  }
}

FeatureValue Features::value_for(const FeatureRow& row, std::uint32_t instance,
                                 unsigned select) const {
  const auto& values = select == kCurrent ? current_ : saved_;
  const auto found = values.find({id_of(row), instance});
  FeatureValue value = select == kDefault || found == values.end()
                           ? default_of(core_, row, instance)
                           : found->second;
  if (select == kCurrent && row.read != nullptr) row.read(core_, instance, value);
  return value;
}

std::uint32_t Features::value(FeatureId feature, std::uint32_t instance) const {
  const FeatureRow* row = find_feature(core_, static_cast<std::uint32_t>(feature));
  return row == nullptr ? 0 : value_for(*row, instance, kCurrent).dword;
}

const std::vector<std::byte>* Features::data(FeatureId feature, std::uint32_t instance) const {
  const auto found = current_.find({static_cast<std::uint32_t>(feature), instance});
  return found == current_.end() ? nullptr : &found->second.data;
}

std::uint64_t Features::timestamp() const {
  const auto passed = static_cast<std::uint64_t>((core_.scheduler.now() - timestamp_set_) /
                                                 std::chrono::milliseconds(1));
  return ((timestamp_base_ + passed) & 0xFFFF'FFFF'FFFF) |
         (timestamp_by_host_ ? kTimestampByHost : 0);
}

void Features::set_timestamp(std::uint64_t milliseconds) {
  timestamp_base_ = milliseconds;
  timestamp_set_ = core_.scheduler.now();
  timestamp_by_host_ = true;
}

void Features::forget_namespace(std::uint32_t nsid) {
  for_each_row([&](const FeatureRow& row) {
    if (row.scope != FeatureScope::kNamespace) return;
    current_.erase({id_of(row), nsid});
    saved_.erase({id_of(row), nsid});
  });
  set_dulbe(nsid, false);
}

void Features::set(Command& command) {
  const std::uint32_t cdw10 = command.sqe.cdw10;
  const std::uint32_t nsid = command.sqe.nsid;
  const FeatureRow* row = find_feature(core_, spec::bits(cdw10, 7, 0));
  const bool save = (cdw10 & spec::kSetFeaturesSave) != 0;
  const bool may_save = (core_.config.oncs & spec::kOncsSaveSelect) != 0;
  if (row == nullptr) {
    core_.reject(command, Status::kInvalidField, "this feature is not supported", "5.21");
    return;
  }
  if (save && (!row->saveable || !may_save)) {
    core_.reject(command, Status::kFeatureNotSaveable, "this feature cannot be saved", "5.21");
    return;
  }
  const bool one_namespace = nsid != 0 && nsid != spec::kNsidAll;
  const bool per_namespace = row->scope == FeatureScope::kNamespace;
  const bool known = core_.namespaces.find(nsid) != nullptr;
  if ((one_namespace && !known) || (per_namespace && nsid == 0)) {
    core_.reject(command, Status::kInvalidNamespace, "NSID names no namespace", "5.21");
    return;
  }
  if (one_namespace && !per_namespace) {
    core_.reject(command, Status::kFeatureNotNamespaceSpecific, "NSID given for such a feature",
                 "5.21");
    return;
  }
  if (row->instance != nullptr && row->instance(core_, command.sqe.cdw11) == kNoInstance) {
    core_.reject(command, Status::kInvalidField, "dword 11 names no such value", "5.21.1");
    return;
  }
  if (row->set != nullptr) {
    row->set(core_, command);
  } else if (row->data_bytes != 0) {
    core_.admin_data.receive(command, data_bytes(*row, command), data_arrived);
  } else {
    stored(command, *row, {command.sqe.cdw11 & row->kept_bits, {}});
  }
}

void Features::data_arrived(Core& core, Command& command) {
  const FeatureRow& row = row_of(core, command);
  FeatureValue value{command.sqe.cdw11 & row.kept_bits, AdminData::received(command)};
  value.data.resize(row.data_bytes);
  core.features.stored(command, row, std::move(value));
}

void Features::stored(Command& command, const FeatureRow& row, FeatureValue value) {
  const Status status = row.check == nullptr ? Status::kSuccess : row.check(core_, command, value);
  if (status != Status::kSuccess) {
    core_.reject(command, status, "the value or the moment is not allowed", "5.21.1");
    return;
  }
  const bool save = (command.sqe.cdw10 & spec::kSetFeaturesSave) != 0;
  const auto keep = [&](std::uint32_t instance) {
    if (save) saved_[{id_of(row), instance}] = value;
    current_[{id_of(row), instance}] = value;
    if (row.apply != nullptr) row.apply(core_, instance, value);
  };
  if (row.scope == FeatureScope::kNamespace) {
    for (std::uint32_t id = 1; id <= core_.namespaces.count(); ++id) {
      const bool wanted = command.sqe.nsid == spec::kNsidAll || command.sqe.nsid == id;
      if (wanted && core_.namespaces.find(id) != nullptr) keep(id);
    }
  } else {
    keep(row.instance == nullptr ? 0 : row.instance(core_, command.sqe.cdw11));
  }
  core_.complete(command, Status::kSuccess, command.dw0);
}

void Features::get(Command& command) {
  const std::uint32_t cdw10 = command.sqe.cdw10;
  const FeatureRow* row = find_feature(core_, spec::bits(cdw10, 7, 0));
  const auto select = spec::bits(cdw10, 10, 8);
  const bool may_select = (core_.config.oncs & spec::kOncsSaveSelect) != 0;
  if (row == nullptr) {
    core_.reject(command, Status::kInvalidField, "this feature is not supported", "5.13");
    return;
  }
  if (select > kSupported || (select != 0 && !may_select)) {
    core_.reject(command, Status::kInvalidField, "this select value is not supported", "5.13");
    return;
  }
  const bool per_namespace = row->scope == FeatureScope::kNamespace;
  if (per_namespace && core_.namespaces.find(command.sqe.nsid) == nullptr) {
    core_.reject(command, Status::kInvalidNamespace, "NSID names no namespace", "5.13");
    return;
  }
  if (select == kSupported) {
    const bool saves = row->saveable && may_select;
    core_.complete(command, Status::kSuccess,
                   (row->changeable ? spec::kFeatureChangeable : 0) |
                       (per_namespace ? spec::kFeatureNamespaceSpecific : 0) |
                       (saves ? spec::kFeatureSaveable : 0));
    return;
  }
  std::uint32_t instance = per_namespace ? command.sqe.nsid : 0;
  if (row->instance != nullptr) instance = row->instance(core_, command.sqe.cdw11);
  if (instance == kNoInstance) {
    core_.reject(command, Status::kInvalidField, "dword 11 names no such value", "5.21.1");
    return;
  }
  if (row->data_bytes != 0) {
    command.position = instance;
    core_.prps.map(command, data_bytes(*row, command), send_data);
  } else {
    core_.complete(command, Status::kSuccess, value_for(*row, instance, select).dword);
  }
}

void Features::send_data(Core& core, Command& command) {
  const FeatureRow& row = row_of(core, command);
  const auto select = spec::bits(command.sqe.cdw10, 10, 8);
  const FeatureValue value = core.features.value_for(row, command.position, select);
  command.dw0 = value.dword;
  core.admin_data.send(command, value.data, data_bytes(row, command));
}

std::vector<PersistentFeature> Features::save() const {
  std::vector<PersistentFeature> list;
  for (const auto& [key, value] : saved_) {
    list.push_back({key.first, key.second, value.dword, to_hex(value.data)});
  }
  return list;
}

bool Features::restore(const std::vector<PersistentFeature>& list) {
  std::map<Key, FeatureValue> restored;
  for (const PersistentFeature& feature : list) {
    const FeatureRow* row = find_feature(core_, feature.feature);
    if (row == nullptr || !row->saveable || (feature.value & ~row->kept_bits) != 0) return false;
    if (row->scope == FeatureScope::kNamespace &&
        core_.namespaces.find(feature.instance) == nullptr) {
      return false;
    }
    if (!instance_exists(core_, *row, feature)) return false;
    auto data = from_hex(feature.data);
    if (!data || data->size() != row->data_bytes) return false;
    FeatureValue value{feature.value, std::move(*data)};
    Command unused;
    if (row->check != nullptr && row->check(core_, unused, value) != Status::kSuccess) return false;
    restored[{feature.feature, feature.instance}] = std::move(value);
  }
  saved_ = std::move(restored);
  return true;
}

}  // namespace nvmesim::device
