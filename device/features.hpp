// The features (section 5.21.1): a table with a row per feature (feature_table.hpp; the rules of
// each in feature_rules_drive.cpp and feature_rules_host.cpp), its current, default and saved
// values, and what setting it does to the rest of the controller. A controller reset brings back
// the saved value, or the default.
//
// A feature has one value, or one per instance: per namespace, per interrupt vector, per threshold.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "device/command.hpp"
#include "device/persistent_state.hpp"
#include "device/spec/features.hpp"

namespace nvmesim::device {

struct FeatureValue {
  std::uint32_t dword = 0;      // dword 0 of Get Features
  std::vector<std::byte> data;  // of features that are a data structure
};

struct FeatureRow;

class Features {
 public:
  explicit Features(Core& core);

  // The two commands, whole.
  void set(Command& command);
  void get(Command& command);
  void reset();

  // True unless the host switched the volatile write cache off.
  bool write_cache_enabled() const { return write_cache_; }
  void set_write_cache(bool enabled) { write_cache_ = enabled; }
  // Reads of deallocated blocks of this namespace are errors (feature 05h, DULBE).
  bool dulbe(std::uint32_t nsid) const { return dulbe_count_ != 0 && dulbe_[nsid - 1]; }
  void set_dulbe(std::uint32_t nsid, bool on);
  // The current value; the default if nobody set it.
  std::uint32_t value(spec::FeatureId feature, std::uint32_t instance = 0) const;
  const std::vector<std::byte>* data(spec::FeatureId feature, std::uint32_t instance = 0) const;
  // Milliseconds, with origin and all, as feature 0Eh and the logs give it.
  std::uint64_t timestamp() const;
  void set_timestamp(std::uint64_t milliseconds);
  // A namespace is gone: so are its values.
  void forget_namespace(std::uint32_t nsid);

  std::vector<PersistentFeature> save() const;
  // False if one of them is not a feature that can be saved here.
  bool restore(const std::vector<PersistentFeature>& saved);

 private:
  friend struct FeatureHandlers;
  using Key = std::pair<std::uint32_t, std::uint32_t>;  // feature, instance

  void store(Command& command, const FeatureRow& row);
  void stored(Command& command, const FeatureRow& row, FeatureValue value);
  static void data_arrived(Core& core, Command& command);
  static void send_data(Core& core, Command& command);
  FeatureValue value_for(const FeatureRow& row, std::uint32_t instance, unsigned select) const;

  Core& core_;
  std::map<Key, FeatureValue> current_;
  std::map<Key, FeatureValue> saved_;
  bool write_cache_ = true;
  std::vector<bool> dulbe_;  // by namespace
  std::uint32_t dulbe_count_ = 0;
  std::uint64_t timestamp_base_ = 0;
  base::Time timestamp_set_{0};
  bool timestamp_by_host_ = false;
};

}  // namespace nvmesim::device
