#include "device/firmware.hpp"

#include <algorithm>
#include <boost/crc.hpp>
#include <cstring>

#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

constexpr char kMagic[] = "NVMESIMF";
constexpr std::size_t kRevisionBytes = 8;
constexpr std::size_t kLengthAt = 16;
constexpr std::size_t kCrcAt = 20;
constexpr std::size_t kResetAt = 24;
constexpr std::uint32_t kPage = 4096;

std::uint32_t word_at(const std::vector<std::byte>& image, std::size_t offset) {
  std::uint32_t word;
  std::memcpy(&word, image.data() + offset, sizeof word);
  return word;
}

std::uint32_t crc_of(const std::vector<std::byte>& image) {
  boost::crc_32_type crc;
  crc.process_bytes(image.data() + Firmware::kHeaderBytes, image.size() - Firmware::kHeaderBytes);
  return crc.checksum();
}

}  // namespace

Firmware::Firmware(const ControllerConfig& config)
    : config_(config.firmware), slots_(config.firmware.slots) {
  slots_[0] = {true, config.identity.firmware_revision, FirmwareReset::kController};
}

Status Firmware::download(std::uint64_t offset, std::span<const std::byte> piece) {
  const std::uint64_t unit = std::uint64_t{config_.granularity_pages} * kPage;
  if (offset % unit != 0 || piece.size() % 4 != 0) return Status::kInvalidField;
  const std::uint64_t end = offset + piece.size();
  if (end > config_.max_image_bytes) return Status::kInvalidField;
  const std::size_t first = offset / unit;
  const std::size_t last = (end + unit - 1) / unit;
  covered_.resize(std::max(covered_.size(), last));
  for (std::size_t i = first; i < last; ++i) {
    if (covered_[i]) return Status::kOverlappingRange;
  }
  std::fill(covered_.begin() + static_cast<std::ptrdiff_t>(first),
            covered_.begin() + static_cast<std::ptrdiff_t>(last), true);
  image_.resize(std::max<std::size_t>(image_.size(), end));
  std::copy(piece.begin(), piece.end(), image_.begin() + static_cast<std::ptrdiff_t>(offset));
  return Status::kSuccess;
}

void Firmware::forget_download() {
  image_.clear();
  covered_.clear();
}

std::vector<std::byte> Firmware::take_download() {
  std::vector<std::byte> image;
  if (std::find(covered_.begin(), covered_.end(), false) == covered_.end()) image.swap(image_);
  forget_download();
  return image;
}

Status Firmware::check_image(FirmwareSlot& slot) const {
  const bool whole = std::find(covered_.begin(), covered_.end(), false) == covered_.end();
  if (!whole || image_.size() <= kHeaderBytes || std::memcmp(image_.data(), kMagic, 8) != 0 ||
      word_at(image_, kLengthAt) != image_.size() || word_at(image_, kCrcAt) != crc_of(image_)) {
    return Status::kInvalidFirmwareImage;
  }
  std::string revision(reinterpret_cast<const char*>(image_.data()) + 8, kRevisionBytes);
  const auto printable = [](char c) { return c >= 0x20 && c <= 0x7E; };
  const auto reset = static_cast<std::uint8_t>(image_[kResetAt]);
  if (!std::all_of(revision.begin(), revision.end(), printable) || reset > 2) {
    return Status::kInvalidFirmwareImage;
  }
  while (!revision.empty() && revision.back() == ' ') revision.pop_back();
  slot = {true, revision, static_cast<FirmwareReset>(reset)};
  return Status::kSuccess;
}

Status Firmware::commit(unsigned slot, unsigned action, bool& activate_now) {
  activate_now = false;
  if (action > spec::kCommitActivateNow) return Status::kInvalidField;
  if (slot > slots_.size()) return Status::kInvalidFirmwareSlot;
  const bool downloaded = !image_.empty();
  const bool replaces = action == spec::kCommitReplace || action == spec::kCommitReplaceActivate ||
                        (action == spec::kCommitActivateNow && downloaded);
  if (slot == 0) {  // the controller chooses: not the active one, if there is another
    if (!replaces) return Status::kInvalidFirmwareSlot;
    const unsigned lowest = config_.slot1_read_only ? 2 : 1;
    slot = lowest;
    if (slot == active_ && slot < slots_.size()) ++slot;
  }
  if (replaces && slot == 1 && config_.slot1_read_only) return Status::kInvalidFirmwareSlot;
  FirmwareSlot image = slots_[slot - 1];
  if (replaces) {
    const Status status = check_image(image);
    if (status != Status::kSuccess) {
      forget_download();
      return status;
    }
  } else if (!image.present) {
    return Status::kInvalidFirmwareImage;
  }
  const bool now = action == spec::kCommitActivateNow;
  if (now && !config_.without_reset) return Status::kInvalidField;
  if (now && config_.activation_ms > config_.mtfa_100ms * 100) {
    return Status::kFirmwareNeedsMaxTimeViolation;
  }
  if (replaces) {
    slots_[slot - 1] = image;
    forget_download();
  }
  if (action == spec::kCommitReplace) return Status::kSuccess;
  next_ = slot;
  if (now && image.reset == FirmwareReset::kController) {
    activate_now = true;
    return Status::kSuccess;
  }
  switch (image.reset) {
    case FirmwareReset::kController:
      return Status::kSuccess;
    case FirmwareReset::kSubsystem:
      return Status::kFirmwareNeedsSubsystemReset;
    case FirmwareReset::kConventional:
      return Status::kFirmwareNeedsConventionalReset;
  }
  return Status::kSuccess;
}

bool Firmware::reset(FirmwareReset kind) {
  forget_download();
  if (next_ == 0 || slots_[next_ - 1].reset > kind) return false;
  const bool changes = next_ != active_;
  activated();
  return changes;
}

void Firmware::activated() {
  if (next_ != 0) active_ = next_;
  next_ = 0;
}

spec::FirmwareSlotLog Firmware::log() const {
  spec::FirmwareSlotLog log{};
  log.afi = static_cast<std::uint8_t>(active_ | (next_ << 4));
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].present) continue;
    log.frs[i].fill(' ');
    std::copy(slots_[i].revision.begin(), slots_[i].revision.end(), log.frs[i].begin());
  }
  return log;
}

bool Firmware::restore(const std::vector<FirmwareSlot>& slots, unsigned active, unsigned next) {
  if (slots.size() != slots_.size() || active == 0 || active > slots.size() ||
      next > slots.size() || !slots[active - 1].present ||
      (next != 0 && !slots[next - 1].present)) {
    return false;
  }
  for (const FirmwareSlot& slot : slots) {
    if (slot.revision.size() > kRevisionBytes) return false;
  }
  slots_ = slots;
  active_ = active;
  next_ = next;
  return true;
}

std::vector<std::byte> Firmware::make_image(std::string_view revision, FirmwareReset reset,
                                            std::size_t bytes) {
  std::vector<std::byte> image(bytes);
  for (std::size_t i = kHeaderBytes; i < bytes; ++i) image[i] = static_cast<std::byte>(i * 7);
  std::memcpy(image.data(), kMagic, 8);
  std::memset(image.data() + 8, ' ', kRevisionBytes);
  std::memcpy(image.data() + 8, revision.data(), std::min(revision.size(), kRevisionBytes));
  const auto length = static_cast<std::uint32_t>(bytes);
  const std::uint32_t crc = crc_of(image);
  std::memcpy(image.data() + kLengthAt, &length, sizeof length);
  std::memcpy(image.data() + kCrcAt, &crc, sizeof crc);
  image[kResetAt] = static_cast<std::byte>(reset);
  return image;
}

}  // namespace nvmesim::device
