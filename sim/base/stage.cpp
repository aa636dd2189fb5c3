#include "sim/base/stage.hpp"

namespace nvmesim::base {
namespace {

struct StageText {
  std::string_view name;
  std::string_view description;
};

constexpr std::array<StageText, kStageCount> kStages{{
    {"submit", "submission software: system call, block layer, driver"},
    {"tag_wait", "waiting for a tag or for room in the submission queue"},
    {"requeue", "waiting to be sent again after an error or a reset"},
    {"doorbell", "doorbell write on its way to the controller"},
    {"arbitration", "waiting until the controller picked this queue"},
    {"fetch", "reading the submission entry from host memory"},
    {"decode", "command processing in the controller"},
    {"mapping", "looking up or updating the mapping table"},
    {"buffer", "waiting for room in the write buffer, or serving from it"},
    {"die_wait_read", "waiting for a die that was reading"},
    {"die_wait_program", "waiting for a die that was programming"},
    {"die_wait_erase", "waiting for a die that was erasing"},
    {"die_wait_gc", "waiting for a die that worked for garbage collection"},
    {"channel_wait", "waiting for the channel"},
    {"array", "the array itself: sensing or programming"},
    {"channel", "command, address and data cycles on the channel"},
    {"ecc", "decoding"},
    {"data", "data transfer between device and host memory"},
    {"completion", "building and sending the completion entry"},
    {"coalescing", "held back by interrupt coalescing"},
    {"interrupt", "from the completion entry leaving the device to its handler on a CPU"},
    {"complete", "completion software"},
}};

}  // namespace

std::string_view name(Stage stage) {
  return kStages[static_cast<std::size_t>(stage)].name;
}

std::string_view description(Stage stage) {
  return kStages[static_cast<std::size_t>(stage)].description;
}

bool StageJoin::join(CommandKey key, StageRecord& host, Time seen) {
  const auto found = records_.find(key.packed());
  if (found == records_.end()) return false;
  host.stamp(Stage::kDoorbell, found->second.start());
  host.append(found->second);
  host.stamp(Stage::kInterrupt, seen);
  records_.erase(found);
  return true;
}

}  // namespace nvmesim::base
