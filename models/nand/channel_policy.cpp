#include "models/nand/channel_policy.hpp"

#include <fmt/format.h>

#include "models/nand/policies/channel_policies.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

std::unique_ptr<ChannelPolicy> make_channel_policy(std::string_view name, base::Time age_limit) {
  if (name == "fifo") return std::make_unique<ChannelFifo>();
  if (name == "read_first") return std::make_unique<ChannelReadFirst>(age_limit);
  throw base::UserError(
      fmt::format("nand.channel_policy: no policy is called \"{}\" (fifo, read_first)", name));
}

}  // namespace nvmesim::models
