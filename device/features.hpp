// The features (section 5.21.1): a table with a row per feature, its current value, and what
// setting it does to the rest of the controller. Values go back to their defaults at every
// controller reset; none can be saved.
#pragma once

#include <cstdint>
#include <vector>

#include "device/command.hpp"
#include "device/spec/features.hpp"

namespace nvmesim::device {

class Features {
 public:
  struct Row;

  explicit Features(Core& core);

  // The two commands, whole.
  void set(Command& command);
  void get(Command& command);
  void reset();

  // True unless the host switched the volatile write cache off.
  bool write_cache_enabled() const { return write_cache_; }
  // Reads of deallocated blocks of this namespace are errors (feature 05h).
  bool dulbe(std::uint32_t nsid) const { return dulbe_set_ && dulbe_[nsid - 1] != 0; }
  // Entries of a coalesced interrupt, and so on, are where they are used; here is what is read
  // back.
  std::uint32_t value(spec::FeatureId feature) const;

 private:
  friend struct FeatureHandlers;

  std::uint32_t default_of(spec::FeatureId feature) const;

  Core& core_;
  std::vector<std::uint32_t> values_;          // by row
  std::vector<std::uint32_t> namespace_tler_;  // feature 05h, by namespace
  std::vector<std::uint8_t> dulbe_;            // the same, its bit 16
  bool dulbe_set_ = false;                     // in any of them
  std::uint16_t over_threshold_ = 0;
  std::uint16_t under_threshold_ = 0;
  bool write_cache_ = true;
};

}  // namespace nvmesim::device
