// Block by block: what Read and Write do when more than the bytes between host and media counts
// (metadata, end-to-end protection, marks of unwritten blocks), and the commands that compare,
// verify or copy inside the controller. Writes are gathered and checked as a whole before anything
// is stored; reads leave part by part, as the media gives them.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "device/block_work.hpp"
#include "device/command.hpp"
#include "models/media.hpp"

namespace nvmesim::device {

class BlockTransfer : public models::MediaClient {
 public:
  explicit BlockTransfer(Core& core);

  // Reads and writes of this namespace cannot take the short way.
  bool needed(const Namespace& space) const;

  // Gives the command its work. `to_host_image`: the image is as the host has it (protection
  // information that PRACT inserts or strips is not in it), else all metadata is in it.
  BlockWork& open(Command& command, BlockMode mode, bool host_image);
  void close(Command& command);

  // Bytes that go over the data pointer for `blocks` blocks.
  std::uint64_t host_bytes(const Command& command, std::uint64_t blocks) const;
  // Finds the host memory of data and metadata of `blocks` blocks, then `next`.
  void map(Command& command, std::uint64_t blocks, Command::Step next);
  // Reads them into the image, then `next`.
  void fetch(Command& command, std::uint64_t blocks, Command::Step next);
  // Room in the image that the controller fills itself.
  void make_room(Command& command, std::uint64_t blocks);
  // Runs the media over blocks [lba, lba + blocks) in the mode of the work; then `next`, or the
  // command completes.
  void start(Command& command, std::uint64_t lba, std::uint64_t blocks, bool durable,
             Command::Step next);
  // Checks the protection information of the image, as far as the host gave it.
  spec::Status check_image(Command& command, std::uint64_t blocks) const;

  void media_ready(models::MediaPart& part) override;
  void media_done(models::MediaCommand& command, models::MediaStatus status) override;
  void reset();

 private:
  struct Block;

  void map_metadata(Command& command);
  static void map_metadata_step(Core& core, Command& command);
  void fetch_now(std::uint64_t index);
  void fetched(std::uint64_t index);
  void take_part(Command& command, models::MediaPart& part);
  spec::Status take_block(Command& command, const Block& block);
  bool equal(const Command& command, const Block& block) const;
  void set_up(std::uint64_t part_address);
  void send(Command& command, models::MediaPart& part);
  void sent(std::uint64_t part_address);
  void fill_parts(std::uint64_t index);
  void fill(Command& command, models::MediaPart& part);
  void block_of_image(const Command& command, std::uint64_t index, std::byte* data,
                      std::byte* metadata) const;
  void finish(Command& command);

  Core& core_;
  std::deque<BlockWork> works_;
  std::vector<BlockWork*> free_;
};

// Name of the rule that a data error tells of.
const char* rule_of_data_error(spec::Status status);

}  // namespace nvmesim::device
