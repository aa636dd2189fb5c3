// Parameters of the write buffer in front of the NAND.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "sim/base/config.hpp"

namespace nvmesim::models {

struct WriteBufferConfig {
  std::uint64_t bytes = 32 * 1024 * 1024;
  bool power_loss_protection = true;
  std::uint32_t fixed_ns = 1'000;
  std::uint32_t per_unit_ns = 400;
  std::uint32_t commit_ns = 0;
  std::uint32_t hit_ns = 500;
  std::uint32_t idle_flush_us = 1'000;

  static std::span<const base::ParamInfo> params();
};
BOOST_DESCRIBE_STRUCT(WriteBufferConfig, (),
                      (bytes, power_loss_protection, fixed_ns, per_unit_ns, commit_ns, hit_ns,
                       idle_flush_us))

}  // namespace nvmesim::models
