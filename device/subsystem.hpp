// The NVM subsystem: what the controllers in it share. A controller that is given none makes one of
// its own. Background work of the subsystem (erasing, sanitize) goes on over controller resets.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "device/bad_blocks.hpp"
#include "device/firmware.hpp"
#include "device/namespaces.hpp"
#include "device/persistent_events.hpp"
#include "device/reservations.hpp"
#include "device/sanitize.hpp"
#include "models/media.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::device {

struct Core;

// Deallocates ranges of the media, one after another, in pieces.
class Eraser : public models::MediaClient {
 public:
  Eraser(models::Media& media, BadBlocks& bad_blocks) : media_(media), bad_blocks_(bad_blocks) {}

  void erase(std::uint64_t first_byte, std::uint64_t bytes, base::Callback done);
  // The job whose `done` runs was done without an error of the media.
  bool ok() const { return ok_; }

  void media_ready(models::MediaPart&) override {}
  void media_done(models::MediaCommand& command, models::MediaStatus status) override;

 private:
  struct Job {
    std::uint64_t first_byte;
    std::uint64_t bytes;
    base::Callback done;
    bool ok = true;
  };
  void next_piece();

  models::Media& media_;
  BadBlocks& bad_blocks_;
  models::MediaCommand command_;
  std::deque<Job> jobs_;
  bool ok_ = true;
};

class Subsystem {
 public:
  static constexpr std::uint32_t kMaxControllers = 64;

  Subsystem(const ControllerConfig& wanted, base::Scheduler& events_of_time,
            models::Media& storage);
  Subsystem(const Subsystem&) = delete;
  Subsystem& operator=(const Subsystem&) = delete;

  // The index of a controller that begins; it must have a CNTLID of its own.
  std::uint32_t join(Core& core);
  void leave(std::uint32_t index) { controllers[index] = nullptr; }
  // nullptr if no controller has this CNTLID.
  Core* controller(std::uint32_t cntlid) const;
  std::uint32_t size() const;

  // Tells every controller in `which` (bits by index) that the attributes of a namespace changed.
  void namespace_changed(std::uint32_t nsid, std::uint64_t which);
  // Forgets the data of a range of the media, marks of unreadable blocks with it.
  void erase(std::uint64_t first_byte, std::uint64_t bytes, base::Callback done);
  bool any_formatting() const;
  // NVM subsystem reset (section 7.3.1): every controller starts again.
  void reset();

  const ControllerConfig config;
  base::Scheduler& scheduler;
  models::Media& media;
  NamespaceSet namespaces;
  BadBlocks bad_blocks;
  Reservations reservations;
  Eraser eraser;
  Firmware firmware;
  Sanitize sanitize;
  PersistentEvents events;
  std::vector<Core*> controllers;  // by index; nullptr for one that is gone
};

}  // namespace nvmesim::device
