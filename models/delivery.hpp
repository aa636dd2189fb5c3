// Calls a client back. The client may do anything in its call-back, even cancel the very command;
// what becomes of a command after a call-back is decided here once for all media.
#pragma once

#include <algorithm>

#include "models/media.hpp"

namespace nvmesim::models {

class Delivery {
 public:
  // A read part's data is there; the last one ends the command.
  void read_ready(MediaPart& part, MediaStatus status) {
    MediaCommand& command = *part.command;
    part.media_data = 0;
    command.status = std::max(command.status, status);
    --command.parts_open;
    if (!ready(part)) return;
    if (command.parts_open == 0) command.client->media_done(command, command.status);
  }

  // False if the client cancelled the command meanwhile: it may not be touched any more.
  bool ready(MediaPart& part) {
    MediaCommand& command = *part.command;
    current_ = &command;
    command.client->media_ready(part);
    const bool alive = current_ == &command;
    current_ = nullptr;
    return alive;
  }

  void cancelled(const MediaCommand& command) {
    if (current_ == &command) current_ = nullptr;
  }

 private:
  const MediaCommand* current_ = nullptr;
};

}  // namespace nvmesim::models
