#include "host/nvme/quirks.hpp"

#include <array>

namespace nvmesim::host {
namespace {

struct Row {
  std::uint16_t vendor;
  std::uint16_t device;
  Quirks quirks;
  bool later = false;
};

constexpr std::uint16_t kIntel = 0x8086;
constexpr std::uint16_t kSamsung = 0x144d;
constexpr std::uint16_t kApple = 0x106b;

constexpr Quirks kStripeAndZeroes{.stripe_size = true, .deallocate_zeroes = true};
constexpr Quirks kLateReady{.delay_before_check_ready = true};
constexpr Quirks kNoWriteZeroes{.disable_write_zeroes = true};
constexpr Quirks kNoDescriptors{.no_namespace_descriptors = true};
constexpr Quirks kNoDeepest{.no_deepest_power_state = true};

constexpr Quirks kIgnoreNqn{.ignore_subnqn = true};

constexpr std::array<Row, 27> kRows{{
    {kIntel, 0x0953, kStripeAndZeroes},
    {kIntel, 0x0a53, kStripeAndZeroes},
    {kIntel, 0x0a54, {.stripe_size = true, .deallocate_zeroes = true, .ignore_subnqn = true}},
    {kIntel, 0x0a55, kStripeAndZeroes},
    {kIntel,
     0xf1a5,
     {.no_deepest_power_state = true,
      .medium_priority_queues = true,
      .disable_write_zeroes = true,
      .fixed_temp_thresholds = true}},
    {kIntel, 0xf1a6, kIgnoreNqn},
    {kIntel, 0x5845, {.identify_cns = true, .disable_write_zeroes = true}},
    {0x126f, 0x2263, kNoDescriptors},
    {0x1bb1, 0x0100, {.delay_before_check_ready = true, .no_namespace_descriptors = true}},
    {0x1c58, 0x0003, kLateReady},
    {0x1c58, 0x0023, kLateReady},
    {0x1c5f, 0x0540, kLateReady},
    {kSamsung, 0xa821, kLateReady},
    {kSamsung,
     0xa822,
     {.delay_before_check_ready = true, .disable_write_zeroes = true, .ignore_subnqn = true}},
    {0x1987, 0x5016, kIgnoreNqn},
    {0x10ec, 0x5762, kIgnoreNqn},
    {0x1b4b, 0x1092, {.no_namespace_descriptors = true, .ignore_subnqn = true}},
    {0x1cc1, 0x8201, {.no_deepest_power_state = true, .ignore_subnqn = true}},
    {0x1c5c, 0x1504, kNoWriteZeroes},
    {0x15b7, 0x2001, kNoWriteZeroes},
    {0x1d97, 0x2263, kNoWriteZeroes},
    {0x2646, 0x2262, kNoDeepest},
    {0x2646, 0x2263, kNoDeepest},
    {kApple, 0x2001, {.queue_depth_one = true, .single_vector = true}},
    {kApple, 0x2003, {}},
    {kApple,
     0x2005,
     {.single_vector = true, .skip_generation = true, .sqes_128 = true, .shared_tags = true}},
    {0x1b36, 0x0010, {.bogus_ids = true}, true},
}};

}  // namespace

Quirks quirks_of(std::uint16_t vendor, std::uint16_t device, bool knows_bogus_ids) {
  for (const Row& row : kRows) {
    if (row.vendor != vendor || row.device != device) continue;
    return row.later && !knows_bogus_ids ? Quirks{} : row.quirks;
  }
  return {};
}

void add_core_quirks(std::uint16_t vendor, std::string_view model, std::string_view firmware,
                     bool later, Quirks& quirks) {
  if (vendor == 0x1179 && model == "THNSF5256GPUK TOSHIBA") quirks.no_apst = true;
  if (vendor == 0x14a4 && firmware == "22301111") quirks.simple_suspend = true;
  if (!later) return;
  if (vendor == 0x1e0f && model == "KCD6XVUL6T40") quirks.no_apst = true;
  if (vendor == kSamsung && model == "Samsung Portable SSD X5") {
    quirks.delay_before_check_ready = quirks.no_deepest_power_state = quirks.ignore_subnqn = true;
  }
}

}  // namespace nvmesim::host
