// What a command needs that BlockTransfer carries out: an image of its blocks in the controller,
// where their metadata is, and what is to be checked. Taken from BlockTransfer's pool.
#pragma once

#include <array>
#include <cstdint>

#include "device/chunk_list.hpp"
#include "device/protection.hpp"
#include "device/sgl.hpp"
#include "device/spec/commands.hpp"

namespace nvmesim::device {

struct Core;
struct Command;

enum class BlockMode : std::uint8_t {
  kRead,     // media to host, part by part
  kCompare,  // media against the image
  kVerify,   // media is checked only
  kGather,   // media to the image
  kWrite,    // image to media
  kZeroes,   // zeroes to media
};

struct BlockWork {
  using Step = void (*)(Core&, Command&);

  BlockMode mode = BlockMode::kRead;
  bool filling = false;           // an entry that fills write parts is under way
  bool extended = false;          // metadata follows its block in `image`, else it is in `metadata`
  std::uint32_t tuple_bytes = 0;  // metadata of a block that is in the image
  std::uint64_t image_block = 0;  // first block of the media operation under way, in the image
  ProtectionFields protection;
  spec::Status failure = spec::Status::kSuccess;
  Step next = nullptr;
  ChunkList image;
  ChunkList metadata;
  SglMap metadata_sgl;
  std::uint64_t metadata_bytes_mapped = 0;
  // Verify, Write Zeroes and Copy work in steps.
  std::uint64_t done_blocks = 0;
  std::uint64_t all_blocks = 0;
  std::uint64_t fetch_blocks = 0;  // of the host's, into the image
  std::array<spec::CopyRange, 128> ranges;
};

}  // namespace nvmesim::device
