// The channel policies: first come, first served; and data to be programmed last, until it has
// aged.
#pragma once

#include "models/nand/channel_policy.hpp"

namespace nvmesim::models {

class ChannelFifo : public ChannelPolicy {
 public:
  bool joins(base::Time, base::Time, base::Time) const override { return true; }
};

class ChannelReadFirst : public ChannelPolicy {
 public:
  explicit ChannelReadFirst(base::Time age_limit) : age_limit_(age_limit) {}
  bool joins(base::Time now, base::Time free_at, base::Time since) const override {
    return free_at <= now || now - since >= age_limit_;
  }

 private:
  base::Time age_limit_;
};

}  // namespace nvmesim::models
