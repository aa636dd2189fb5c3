// Where the blocks of a command that BlockTransfer carries out lie: in its media parts, in the
// image in the controller, in the list of metadata.
#pragma once

#include <cstdint>

#include "device/block_work.hpp"
#include "device/command.hpp"
#include "device/data_mover.hpp"
#include "device/namespaces.hpp"
#include "models/media.hpp"

namespace nvmesim::device::block_layout {

inline std::uint64_t stride_of(const Command& command) {
  const BlockWork& work = *command.work;
  return command.space->format.block_bytes() + (work.extended ? work.tuple_bytes : 0);
}

// Where the block's metadata is: in the image or in its own list.
inline ChunkList& metadata_list(BlockWork& work) {
  return work.extended ? work.image : work.metadata;
}
inline std::uint64_t metadata_place(const Command& command, std::uint64_t index) {
  const BlockWork& work = *command.work;
  if (!work.extended) return index * work.tuple_bytes;
  return index * stride_of(command) + command.space->format.block_bytes();
}

// First block of a part, counted from the first block of the media operation.
inline std::uint64_t first_block(const Command& command, const models::MediaPart& part) {
  const std::uint64_t byte = part.unit.value() * models::kUnitBytes + part.offset;
  return (byte - command.media.first_byte) >> command.space->format.block_shift;
}

}  // namespace nvmesim::device::block_layout
