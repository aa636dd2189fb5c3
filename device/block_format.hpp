// How a namespace is formatted: the logical block, its metadata and its end-to-end protection
// (sections 5.23, 8.2 and 8.3). A plain value; the spare area of the media keeps the metadata.
#pragma once

#include <cstdint>

namespace nvmesim::device {

struct BlockFormat {
  unsigned block_shift = 9;
  std::uint32_t metadata_bytes = 0;  // 0, 8, 16 or 64 of each block
  bool extended = false;             // metadata follows its block in the data, else it is at MPTR
  unsigned protection_type = 0;      // DPS bits 2:0; 0 = none
  bool protection_first = false;     // in the first 8 bytes of the metadata, else in the last

  std::uint64_t block_bytes() const { return std::uint64_t{1} << block_shift; }
  // Neither metadata nor protection: data goes between host and media as it is.
  bool plain() const { return metadata_bytes == 0; }
  std::uint32_t protection_offset() const { return protection_first ? 0 : metadata_bytes - 8; }
};

}  // namespace nvmesim::device
