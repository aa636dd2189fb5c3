#include "device/directives.hpp"

#include <algorithm>

#include "device/core.hpp"

namespace nvmesim::device {

using spec::Status;

Directives::Directives(Core& core) : core_(core), spaces_(core.namespaces.count()) {}

bool Directives::streams_enabled(std::uint32_t nsid) const {
  if (nsid != spec::kNsidAll) return spaces_[nsid - 1].streams;
  for (std::uint32_t each = 1; each <= spaces_.size(); ++each) {
    if (core_.namespaces.find(each) != nullptr && !spaces_[each - 1].streams) return false;
  }
  return true;
}

void Directives::enable_streams(std::uint32_t nsid, bool enabled) {
  if (nsid == spec::kNsidAll) {
    for (std::uint32_t each = 1; each <= spaces_.size(); ++each) {
      if (core_.namespaces.find(each) != nullptr) enable_streams(each, enabled);
    }
    return;
  }
  Space& space = spaces_[nsid - 1];
  if (!enabled) space = Space{};
  space.streams = enabled;
}

std::uint32_t Directives::allocated() const {
  std::uint32_t sum = 0;
  for (const Space& space : spaces_) sum += space.allocated;
  return sum;
}

// Streams of namespaces without resources of their own.
std::uint32_t Directives::open_shared() const {
  std::uint32_t sum = 0;
  for (const Space& space : spaces_) {
    if (space.allocated == 0) sum += static_cast<std::uint32_t>(space.open.size());
  }
  return sum;
}

spec::StreamsParameters Directives::parameters(std::uint32_t nsid) const {
  const ManagementConfig& config = core_.config.management;
  spec::StreamsParameters data{};
  data.msl = static_cast<std::uint16_t>(config.streams);
  data.nssa = static_cast<std::uint16_t>(config.streams - allocated());
  data.nsso = static_cast<std::uint16_t>(open_shared());
  if (nsid == spec::kNsidAll) return data;  // the rest is of one namespace
  const Space& space = spaces_[nsid - 1];
  data.sws = config.stream_write_blocks;
  data.sgs = static_cast<std::uint16_t>(config.stream_granularity);
  data.nsa = static_cast<std::uint16_t>(space.allocated);
  data.nso = static_cast<std::uint16_t>(space.open.size());
  return data;
}

std::uint32_t Directives::allocate(std::uint32_t nsid, std::uint32_t wanted) {
  const std::uint32_t free = core_.config.management.streams - allocated();
  const std::uint32_t granted = std::min(wanted, free);
  spaces_[nsid - 1].allocated += granted;
  return granted;
}

void Directives::release_resources(std::uint32_t nsid) {
  spaces_[nsid - 1].allocated = 0;
  spaces_[nsid - 1].open.clear();
}

bool Directives::release(std::uint32_t nsid, std::uint16_t stream) {
  auto& open = spaces_[nsid - 1].open;
  const auto found = std::lower_bound(open.begin(), open.end(), stream);
  if (found == open.end() || *found != stream) return false;
  open.erase(found);
  return true;
}

// Opens the stream on its first use; with no resource left the lowest one makes room (9.3 leaves
// the choice to the controller).
Status Directives::write(const Command& command) {
  const unsigned type = spec::bits(command.sqe.cdw12, 23, 20);
  if (type == spec::kDirectiveIdentify) return Status::kSuccess;
  Space& space = spaces_[command.sqe.nsid - 1];
  if (type != spec::kDirectiveStreams || !space.streams) return Status::kInvalidField;
  const auto stream = static_cast<std::uint16_t>(spec::bits(command.sqe.cdw13, 31, 16));
  if (stream == 0) return Status::kSuccess;
  const auto place = std::lower_bound(space.open.begin(), space.open.end(), stream);
  if (place != space.open.end() && *place == stream) return Status::kSuccess;
  const std::uint32_t limit =
      space.allocated != 0 ? space.allocated : core_.config.management.streams - allocated();
  const std::uint32_t used =
      space.allocated != 0 ? static_cast<std::uint32_t>(space.open.size()) : open_shared();
  space.open.insert(place, stream);
  if (used >= limit) {
    space.open.erase(space.open.front() == stream ? space.open.end() - 1 : space.open.begin());
  }
  return Status::kSuccess;
}

std::uint16_t Directives::stream_of(const Command& command) const {
  const bool write = command.sqe.opc == static_cast<std::uint8_t>(spec::NvmOpcode::kWrite);
  const bool named = spec::bits(command.sqe.cdw12, 23, 20) == spec::kDirectiveStreams;
  if (!write || !named || !spaces_[command.sqe.nsid - 1].streams) return 0;
  return static_cast<std::uint16_t>(spec::bits(command.sqe.cdw13, 31, 16));
}

void Directives::forget(std::uint32_t nsid) {
  spaces_[nsid - 1] = Space{};
}

void Directives::reset() {
  for (Space& space : spaces_) space = Space{};
}

}  // namespace nvmesim::device
