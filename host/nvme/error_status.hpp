// What a completion's status means to the block layer, and whether the request is tried again.
// A status here is the 15-bit field of the completion entry without its phase bit: code in 7:0,
// type in 10:8, retry delay index in 12:11, more in 13, do not retry in 14. The host adds values of
// its own in the path-related type (3h).
#pragma once

#include <cstdint>

#include "host/block/bio.hpp"

namespace nvmesim::host {

inline constexpr std::uint16_t kStatusMask = 0x7ff;
inline constexpr std::uint16_t kStatusCrd = 0x1800;
inline constexpr unsigned kStatusCrdShift = 11;
inline constexpr std::uint16_t kStatusDoNotRetry = 0x4000;
inline constexpr std::uint16_t kHostPathError = 0x370;
inline constexpr std::uint16_t kHostAborted = 0x371;

BlockStatus error_status(std::uint16_t status);

enum class Disposition : std::uint8_t { kComplete, kRetry };

// no_retry: the request was marked to fail fast, or its queue is being taken down.
Disposition decide_disposition(std::uint16_t status, bool no_retry, std::uint32_t retries,
                               std::uint32_t max_retries);

}  // namespace nvmesim::host
