// Moves data between host pages and the media's parts, and between host pages and a staging buffer
// for commands without media. Each part goes as soon as the media says ready(); a command ends when
// the media is done and its last piece has been sent or has arrived.
#pragma once

#include <cstdint>

#include "device/command.hpp"
#include "models/media.hpp"
#include "pcie/function.hpp"

namespace nvmesim::device {

// How a command ends that met this at the media.
spec::Status status_of(models::MediaStatus status, models::MediaOp op);

// Whose media command it is.
inline Command& owner_of(models::MediaCommand& media) {
  return *reinterpret_cast<Command*>(media.client_data);
}

class DataMover : public models::MediaClient {
 public:
  explicit DataMover(Core& core);

  // Starts the media on bytes [first_byte, first_byte + bytes) of its space. Read and write: the
  // command's pages are mapped. The command is completed when all is done.
  void start_transfer(Command& command, models::MediaOp op, std::uint64_t first_byte,
                      std::uint64_t bytes, bool force_unit_access);
  // The same for operations without data; `next` is called instead of completing, if it is given.
  void start_operation(Command& command, models::MediaOp op, std::uint64_t first_byte,
                       std::uint64_t bytes, bool force_unit_access, Command::Step next);

  // Pieces of the above, for BlockTransfer.
  void prepare_parts(Command& command, models::MediaOp op, std::uint64_t first_byte,
                     std::uint64_t bytes, bool force_unit_access);
  void begin_media(Command& command, models::MediaClient& client);
  // The stages of the part that ended last, or of the operation, become the command's.
  void append_stages(Command& command);
  void count_read(std::uint64_t bytes) { read_bytes_ += bytes; }
  void count_written(std::uint64_t bytes) { written_bytes_ += bytes; }

  // Sends command.staged (at most 4 KiB, zeroes behind its first `bytes` bytes) and zeroes up to
  // `total`, then completes with command.dw0. The pages are mapped.
  void send_staged(Command& command, std::uint64_t total);
  // Reads `bytes` (at most 4 KiB) into command.staged, then calls `next`.
  void receive_staged(Command& command, std::uint32_t bytes, Command::Step next);

  void media_ready(models::MediaPart& part) override;
  void media_done(models::MediaCommand& command, models::MediaStatus status) override;

  const std::uint64_t& read_bytes_counter() const { return read_bytes_; }
  const std::uint64_t& written_bytes_counter() const { return written_bytes_; }

 private:
  void send_part(Command& command, models::MediaPart& part);
  void fetch_part(Command& command, models::MediaPart& part);
  void sent(std::uint64_t part_address);
  void arrived(std::uint64_t part_address);
  void staged_moved(std::uint64_t index);
  void piece_ended(Command& command);
  void finish(Command& command);

  Core& core_;
  base::BufferRef zeroes_;
  base::BufferRef scratch_;  // where data lands that the run does not keep
  std::uint64_t read_bytes_ = 0;
  std::uint64_t written_bytes_ = 0;
};

}  // namespace nvmesim::device
