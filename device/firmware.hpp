// Firmware slots, the image that is being downloaded, and which slot is active (sections 5.11, 5.12
// and 8.1). An image starts with a header that this simulator defines: 8 bytes "NVMESIMF", the
// revision (8 ASCII characters), the length of the whole image and the CRC-32 of all behind the
// header as little-endian words, then one byte that says which reset it needs, and 39 zeroes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "device/controller_config.hpp"
#include "device/spec/logs.hpp"
#include "device/spec/status.hpp"

namespace nvmesim::device {

enum class FirmwareReset : std::uint8_t { kController = 0, kConventional = 1, kSubsystem = 2 };

struct FirmwareSlot {
  bool present = false;
  std::string revision;
  FirmwareReset reset = FirmwareReset::kController;
};

class Firmware {
 public:
  static constexpr std::uint32_t kHeaderBytes = 64;

  explicit Firmware(const ControllerConfig& config);

  // A piece of an image.
  spec::Status download(std::uint64_t offset, std::span<const std::byte> piece);
  // Firmware Commit. Sets `activate_now` if the activation starts at once.
  spec::Status commit(unsigned slot, unsigned action, bool& activate_now);
  // The reset of this kind happens (a stronger one counts for a weaker); true if another slot
  // becomes active by it.
  bool reset(FirmwareReset kind);
  // The activation without reset is over.
  void activated();
  // The whole of what was downloaded, without looking into it; empty if a piece is missing. It is
  // forgotten here.
  std::vector<std::byte> take_download();
  // What the host began to download and never committed.
  void forget_download();

  const std::string& revision() const { return slots_[active_ - 1].revision; }
  unsigned active() const { return active_; }
  spec::FirmwareSlotLog log() const;

  const std::vector<FirmwareSlot>& slots() const { return slots_; }
  // From the persistent state; false if it does not fit.
  bool restore(const std::vector<FirmwareSlot>& slots, unsigned active, unsigned next);
  unsigned next() const { return next_; }

  // An image with this content, for tools and tests.
  static std::vector<std::byte> make_image(std::string_view revision, FirmwareReset reset,
                                           std::size_t bytes);

 private:
  spec::Status check_image(FirmwareSlot& slot) const;

  const FirmwareConfig config_;
  std::vector<FirmwareSlot> slots_;
  unsigned active_ = 1;
  unsigned next_ = 0;  // 0: none
  std::vector<std::byte> image_;
  std::vector<bool> covered_;  // by unit of granularity_pages
};

}  // namespace nvmesim::device
