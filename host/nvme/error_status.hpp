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

enum class Disposition : std::uint8_t {
  kComplete,
  kRetry,     // down the same path
  kFailover,  // back to who chose the path
};

struct Attempt {
  bool failfast = false;   // the request was marked never to be tried again
  bool dying = false;      // its queue is being taken down
  bool multipath = false;  // it came by a head, which may choose another path
  std::uint32_t retries = 0;
  std::uint32_t max_retries = 0;
};
Disposition decide_disposition(std::uint16_t status, const Attempt& attempt);
// Of the path, not of the command; and that of them by which the drive says that the namespace is
// not accessible through this controller now.
bool is_path_error(std::uint16_t status);
bool is_ana_error(std::uint16_t status);

}  // namespace nvmesim::host
