// Who gets a channel first when data comes out of one die while data waits to go into another. Data
// read is sent as soon as the channel is free; data to be programmed asks the policy.
// Implementations live in models/nand/policies.
#pragma once

#include <memory>
#include <string_view>

#include "sim/base/units.hpp"

namespace nvmesim::models {

class ChannelPolicy {
 public:
  virtual ~ChannelPolicy() = default;
  // A page waits since `since` to go into its die, the channel is taken until `free_at`: whether it
  // takes its place behind that, or asks again then and lets in what comes meanwhile.
  virtual bool joins(base::Time now, base::Time free_at, base::Time since) const = 0;
};

// Names: "fifo", "read_first". Throws UserError for another one.
std::unique_ptr<ChannelPolicy> make_channel_policy(std::string_view name, base::Time age_limit);

}  // namespace nvmesim::models
