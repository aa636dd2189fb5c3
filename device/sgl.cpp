#include "device/sgl.hpp"

#include <algorithm>

namespace nvmesim::device {

using spec::SglDescriptor;
using spec::SglType;
using spec::Status;

namespace {
constexpr std::uint64_t kPage = 4096;
}

Status SglMap::begin(const SglDescriptor& first, std::uint64_t bytes, const Rules& rules) {
  rules_ = rules;
  wanted_ = bytes;
  covered_ = 0;
  segment_left_ = 0;
  seen_ = 0;
  pieces_.clear();
  if (first.type() == SglType::kBitBucket) return Status::kInvalidSglSegment;
  last_segment_ = true;  // for a single data block
  const Status status = take_one(first, true);
  if (status != Status::kSuccess) return status;
  return complete() ? ended() : Status::kSuccess;
}

PrpMap::Fetch SglMap::next_fetch() const {
  const std::uint64_t in_page = kPage - (cursor_ & (kPage - 1));
  // A descriptor that lies across two pages is read alone, in two pieces.
  std::uint64_t bytes =
      std::min(segment_left_, in_page / sizeof(SglDescriptor) * sizeof(SglDescriptor));
  if (bytes == 0) bytes = sizeof(SglDescriptor);
  return {cursor_, static_cast<std::uint32_t>(bytes)};
}

Status SglMap::take(std::span<const SglDescriptor> descriptors) {
  for (const SglDescriptor& descriptor : descriptors) {
    cursor_ += sizeof descriptor;
    segment_left_ -= sizeof descriptor;
    const bool last = segment_left_ == 0;
    if (last && !last_segment_ && !descriptor.segment()) return Status::kInvalidSglSegment;
    const Status status = take_one(descriptor, last);
    if (status != Status::kSuccess) return status;
    if (last) break;
  }
  return complete() ? ended() : Status::kSuccess;
}

Status SglMap::take_one(const SglDescriptor& descriptor, bool last_of_segment) {
  if (++seen_ > rules_.limit) return Status::kInvalidSglCount;
  if (descriptor.subtype() != 0) return Status::kSglTypeInvalid;
  switch (descriptor.type()) {
    case SglType::kDataBlock:
      if (rules_.dwords && ((descriptor.address | descriptor.length) & 3) != 0) {
        return Status::kSglGranularityInvalid;
      }
      break;
    case SglType::kBitBucket:
      if (!rules_.to_host) return Status::kSuccess;
      if (rules_.dwords && (descriptor.length & 3) != 0) return Status::kSglGranularityInvalid;
      break;
    case SglType::kSegment:
    case SglType::kLastSegment:
      if (!last_of_segment) return Status::kInvalidSglCount;
      return enter(descriptor);
    default:
      return Status::kSglTypeInvalid;
  }
  if (descriptor.length == 0) return Status::kSuccess;
  covered_ += descriptor.length;
  pieces_.push_back(
      {covered_, descriptor.address, descriptor.length, descriptor.type() == SglType::kBitBucket});
  return Status::kSuccess;
}

Status SglMap::enter(const SglDescriptor& segment) {
  // begin() has no segment yet; in take() a last segment must not lead on.
  if (seen_ > 1 && last_segment_) return Status::kInvalidSglSegment;
  if (segment.length == 0 || segment.length % sizeof(SglDescriptor) != 0 ||
      (segment.address & 7) != 0) {
    return Status::kInvalidSglSegment;
  }
  last_segment_ = segment.type() == SglType::kLastSegment;
  cursor_ = segment.address;
  segment_left_ = segment.length;
  return Status::kSuccess;
}

Status SglMap::ended() const {
  if (covered_ == wanted_) return Status::kSuccess;
  return rules_.metadata ? Status::kMetadataSglLengthInvalid : Status::kDataSglLengthInvalid;
}

PrpMap::Extent SglMap::at(std::uint64_t offset) const {
  const auto piece = std::upper_bound(
      pieces_.begin(), pieces_.end(), offset,
      [](std::uint64_t value, const Piece& candidate) { return value < candidate.end; });
  const std::uint64_t left = piece->end - offset;
  const std::uint64_t address = piece->address + (piece->length - left);
  if (piece->bucket) return {0, left, true};
  return {address, std::min(left, kPage - (address & (kPage - 1))), false};
}

}  // namespace nvmesim::device
