// The closed forms of a PCIe link: how many bytes a transfer takes on the wire, and how fast the
// wire is for transaction layer packets. Pure functions in exact integers; Link uses nothing else.
//
// Generations 1 to 5: TLP bandwidth = raw x (1 - (8/ack + 8/fc) / lanes - 4/1538): an ACK and an
// UpdateFC of 8 bytes each every `ack` and `fc` symbol times, and 4 SKP symbols in 1538.
// Generation 6: raw x 236/256, as acknowledgements and credits have their place in each flit.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/base/units.hpp"

namespace nvmesim::pcie::formula {

// Bytes of a TLP besides its payload. Up to generation 5: framing, sequence number, header, LCRC.
inline constexpr std::uint32_t kHeader64 = 24;          // memory request, 64-bit address; message
inline constexpr std::uint32_t kHeader32 = 20;          // memory request below 4 GiB
inline constexpr std::uint32_t kHeaderConfig = 20;      // configuration request
inline constexpr std::uint32_t kHeaderCompletion = 20;  // with or without data

constexpr std::uint32_t memory_header(std::uint64_t address) {
  return (address >> 32) != 0 ? kHeader64 : kHeader32;
}

// The same by generation. A flit frames and protects everything in it, so generation 6 has bare
// headers of 3 or 4 double words; configuration requests carry one more for their byte enables.
struct Headers {
  std::uint32_t memory64 = kHeader64;
  std::uint32_t memory32 = kHeader32;
  std::uint32_t config = kHeaderConfig;
  std::uint32_t completion = kHeaderCompletion;
  constexpr std::uint32_t memory(std::uint64_t address) const {
    return (address >> 32) != 0 ? memory64 : memory32;
  }
};
constexpr Headers headers(unsigned generation) {
  return generation <= 5 ? Headers{} : Headers{16, 12, 16, 12};
}

// Generation 6: of a flit's 256 bytes 236 are TLPs; 6 are data link information, 8 CRC, 6 FEC.
inline constexpr std::uint64_t kFlitBytes = 256;
inline constexpr std::uint64_t kFlitTlpBytes = 236;

// How a request or completion is cut. All TLPs are `full_bytes` on the wire but the last.
struct Segments {
  std::uint32_t tlps = 1;
  std::uint32_t full_bytes = 0;
  std::uint32_t last_bytes = 0;
  constexpr std::uint64_t wire_bytes() const {
    return std::uint64_t{tlps - 1} * full_bytes + last_bytes;
  }
};

// Payload travels in whole double words (2.2.5): those that a request of `bytes` at `address`
// touches.
constexpr std::uint32_t whole_words(std::uint64_t address, std::uint32_t bytes) {
  return (static_cast<std::uint32_t>(address & 3) + bytes + 3) & ~std::uint32_t{3};
}

// `bytes` of payload in pieces of at most 1 << shift, each with `header` bytes around it.
constexpr Segments data_segments(std::uint32_t bytes, unsigned shift, std::uint32_t header) {
  const std::uint32_t whole = bytes == 0 ? 0 : (bytes - 1) >> shift;
  return {whole + 1, (std::uint32_t{1} << shift) + header, bytes - (whole << shift) + header};
}

// The requests that ask for `bytes` in pieces of at most 1 << shift (MRRS).
constexpr Segments read_request_segments(std::uint32_t bytes, unsigned shift,
                                         std::uint32_t header) {
  const std::uint32_t whole = bytes == 0 ? 0 : (bytes - 1) >> shift;
  return {whole + 1, header, header};
}

// How far behind a read completion boundary the double word of `address` lies: 64 bytes, or 128
// where completions are that long.
constexpr std::uint32_t behind_boundary(std::uint64_t address, unsigned shift) {
  const std::uint32_t boundary = shift == 7 ? 128 : 64;
  return static_cast<std::uint32_t>(address) & (boundary - 1) & ~std::uint32_t{3};
}

// The completions of such a read. Each but the last of a request ends at a boundary (2.3.1.1), so
// from an address between two a request may take one more; all are then counted as equally long,
// which no sum depends on.
constexpr Segments completion_segments(std::uint64_t address, std::uint32_t bytes, unsigned shift,
                                       unsigned request_shift, std::uint32_t header) {
  if (bytes == 0) return {1, header, header};
  const std::uint32_t ahead = behind_boundary(address, shift);
  const std::uint32_t words = whole_words(address, bytes);
  if (ahead == 0) return data_segments(words, shift, header);
  const std::uint32_t request = std::uint32_t{1} << request_shift;
  const std::uint32_t requests = (words - 1) >> request_shift;  // besides the last
  const auto pieces = [=](std::uint32_t of) { return ((ahead + of - 1) >> shift) + 1; };
  const std::uint32_t tlps = requests * pieces(request) + pieces(words - requests * request);
  const std::uint32_t all = words + tlps * header;
  return {tlps, all / tlps, all - all / tlps * (tlps - 1)};
}

// Where the completion with that number begins, from the double word of `address` on, and how many
// bytes in whole double words it has.
struct Piece {
  std::uint32_t begin = 0;
  std::uint32_t bytes = 0;
};
constexpr Piece completion_piece(std::uint64_t address, std::uint32_t bytes, unsigned shift,
                                 unsigned request_shift, std::uint32_t index) {
  const std::uint32_t ahead = behind_boundary(address, shift);
  const std::uint32_t words = whole_words(address, bytes);
  const std::uint32_t most = std::uint32_t{1} << shift;
  const std::uint32_t request = std::uint32_t{1} << request_shift;
  std::uint32_t begin = 0;
  for (std::uint32_t i = 0;; ++i) {
    // Each request starts as far behind a boundary as the first.
    const std::uint32_t in_request = begin % request;
    const std::uint32_t first = in_request == 0 ? most - ahead : most;
    const std::uint32_t piece =
        std::min({first, words - begin, ahead == 0 ? words : request - in_request});
    if (i == index || begin + piece == words) return {begin, piece};
    begin += piece;
  }
}

// Mega-transfers per second of one lane.
constexpr std::uint64_t transfer_rate_mts(unsigned generation) {
  return generation <= 2 ? std::uint64_t{2500} * generation
                         : std::uint64_t{8000} << (generation - 3);
}

// Time per byte before any overhead but the line code: 8b/10b, from generation 3 on 128b/130b,
// in generation 6 none (1b/1b).
constexpr base::Pace raw_pace(unsigned generation, unsigned lanes) {
  const std::uint64_t code = generation <= 2 ? 10 : generation <= 5 ? 130 : 1;
  const std::uint64_t data = generation <= 2 ? 8 : generation <= 5 ? 128 : 1;
  return {8'000'000 * code, transfer_rate_mts(generation) * data * lanes};
}

// Symbol times between two ACKs, and between two UpdateFCs of one type (base specification, ack
// latency limit): (MPS + 28) x factor / lanes + internal delay, rounded down.
constexpr std::uint64_t ack_interval_symbols(unsigned generation, unsigned lanes,
                                             std::uint64_t max_payload_bytes) {
  std::uint64_t tenths = max_payload_bytes <= 256 ? 14 : 10;
  if (lanes == 8 && max_payload_bytes <= 256) tenths = 25;
  if (lanes == 16) tenths = max_payload_bytes <= 256 ? 30 : 20;
  const std::uint64_t internal_delay = generation == 1 ? 19 : generation == 2 ? 70 : 115;
  return (max_payload_bytes + 28) * tenths / (10 * lanes) + internal_delay;
}

// Time per byte of TLP, what ACKs, flow control and SKP take included.
constexpr base::Pace tlp_pace(unsigned generation, unsigned lanes,
                              std::uint64_t max_payload_bytes) {
  const base::Pace raw = raw_pace(generation, lanes);
  if (generation >= 6) {
    return {raw.numerator_ps() * kFlitBytes, raw.denominator() * kFlitTlpBytes};
  }
  const std::uint64_t symbols = ack_interval_symbols(generation, lanes, max_payload_bytes) * lanes;
  // (1 - 16/symbols - 4/1538) = (1534 symbols - 16 x 1538) / (1538 symbols)
  const base::Pace overhead{1538 * symbols, 1534 * symbols - 16 * 1538};
  return {raw.numerator_ps() * overhead.numerator_ps(), raw.denominator() * overhead.denominator()};
}

}  // namespace nvmesim::pcie::formula
