// Checks that the drive gives back what was written. Every 512-byte sector of a write carries a
// header (magic, sector, number of the write, check value) and a pattern derived from it. For each
// sector that was written the verifier keeps the set of versions that may be read: the last one
// acknowledged, and those whose writes overlapped it in time. Discards and write zeroes count as
// writes of zeroes; a write that failed may have happened or not. Sectors never written hold zeroes
// on a new drive, else they may hold anything. Data only: it does no I/O.
#pragma once

#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "host/block/bio.hpp"
#include "sim/workload/result.hpp"

namespace nvmesim::workload {

// Set by whoever builds the workload, from what it knows of the drive.
struct VerifyConfig {
  bool new_drive = false;  // what was never written reads as zeroes; else as anything
};

class Verifier {
 public:
  // One request in flight.
  struct Ticket {
    std::uint64_t version = 0;  // of a write; 0 for what writes nothing
    std::uint64_t begun = 0;    // order of events
    std::uint64_t sector = 0;
    std::uint32_t sectors = 0;
    host::BioOp op = host::BioOp::kFlush;
  };
  // Adjacent sectors of which something is known.
  struct Range {
    std::uint64_t sector = 0;
    std::uint64_t sectors = 0;
  };

  explicit Verifier(const VerifyConfig& config) : config_(config) {}

  // At submission; a write is then to be filled with fill_pattern(..., ticket.version).
  Ticket begin(host::BioOp op, std::uint64_t sector, std::uint32_t sectors);
  // At the end of a read, before end(): checks whole sectors of what was read, from `sector` on.
  void check(const Ticket& ticket, std::uint64_t sector, std::span<const std::byte> data,
             bool in_read_back);
  // At the end of every request that began. `failed`: not acknowledged.
  void end(const Ticket& ticket, bool failed);

  // After the last request: what is to be read back, in ascending order.
  std::vector<Range> plan_read_back();
  void read_back_failed() { ++result_.read_back_errors; }
  void read_back_done() { result_.read_back_complete = true; }

  VerifyResult result() const;

 private:
  static constexpr std::uint32_t kChunkSectors = 8;
  static constexpr std::uint64_t kAlive = ~std::uint64_t{0};
  static constexpr std::uint32_t kSettled = ~std::uint32_t{0};
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  // A version is a write's number times two, plus one if it wrote zeroes; 0 = anything.
  static constexpr std::uint64_t kAnything = 0;
  using Mask = std::uint8_t;  // of the sectors of a chunk

  // A version that sectors of a chunk may hold.
  struct Candidate {
    std::uint64_t version = kAnything;
    std::uint64_t begun = 0;
    std::uint64_t ended = kAlive;       // kAlive: in flight
    std::uint64_t superseded = kAlive;  // since then only reads that began before may see it
    Mask mask = 0;
  };
  using Candidates = boost::container::small_vector<Candidate, 6>;

  struct Chunk {
    std::uint64_t number = 0;                   // sector / kChunkSectors
    std::uint64_t settled[kChunkSectors] = {};  // the only version, while `contest` is kSettled
    std::uint32_t contest = kSettled;           // else the candidates, in contests_
    Mask written = 0;                           // sectors that requests wrote or zeroed
    bool leftover = false;                      // in leftovers_
  };
  // A discard or write zeroes: whole chunks that have no Chunk are kept as ranges.
  struct ZeroRange {
    std::uint64_t first = 0;  // chunk
    std::uint64_t end = 0;
    Ticket ticket;
    std::uint64_t ended = kAlive;
    bool failed = false;
  };
  struct OpenRead {
    std::uint64_t begun = 0;
    bool ended = false;
  };
  struct Leftover {
    std::uint64_t tick = 0;
    std::uint32_t chunk = 0;
  };

  static constexpr Mask kWhole = 0xff;
  static constexpr std::uint64_t kZeroes = 1;  // a version: zeroed, no matter by what
  static constexpr std::size_t kMaxCandidates = 64;
  static constexpr std::size_t kMaxMismatches = 10;
  // Of zeroed ranges that held no write: more is not read back, and counted as not checked.
  static constexpr std::uint64_t kZeroesReadBack = 4 * base::kGiB / host::kSectorBytes;

  static bool writes_zeroes(host::BioOp op) {
    return op == host::BioOp::kDiscard || op == host::BioOp::kWriteZeroes;
  }
  static std::uint64_t version_of(const Ticket& ticket) {
    return ticket.version * 2 + (writes_zeroes(ticket.op) ? 1 : 0);
  }
  static Mask mask_of(std::uint64_t chunk, std::uint64_t sector, std::uint64_t sectors);

  // chunks
  std::uint32_t find(std::uint64_t number) const;
  std::uint32_t find_or_make(std::uint64_t number);
  template <class Visit>
  void for_chunks_in(std::uint64_t first, std::uint64_t end, Visit visit);  // verifier_zeroes.cpp

  // versions of a chunk
  Candidates& contest(Chunk& chunk);
  void add_candidate(Chunk& chunk, const Ticket& ticket, Mask mask);
  void end_candidate(std::uint32_t index, const Ticket& ticket, bool failed);
  void supersede(Candidates& candidates, const Ticket& by, Mask mask) const;
  void settle(std::uint32_t index);
  bool drop_superseded(Candidates& candidates) const;

  // ranges of zeroes
  void begin_zeroes(const Ticket& ticket);
  void end_zeroes(const Ticket& ticket, bool failed);
  void settle_zero_ranges();
  void add_zeroed(std::uint64_t first, std::uint64_t end);
  bool zeroed(std::uint64_t chunk) const;

  // reads
  void end_read(const Ticket& ticket);
  std::uint64_t oldest_read() const { return reads_.empty() ? tick_ + 1 : reads_.front().begun; }
  void check_sector(const Ticket& ticket, const Chunk& chunk, std::uint64_t sector,
                    std::span<const std::byte> data, bool in_read_back);
  void judge(std::span<const std::uint64_t> versions, std::uint64_t sector,
             std::span<const std::byte> data, bool in_read_back);

  const VerifyConfig config_;
  std::uint64_t tick_ = 0;
  std::uint64_t next_write_ = 1;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> index_;  // chunk number to chunks_
  std::deque<Chunk> chunks_;
  std::deque<Candidates> contests_;
  std::vector<std::uint32_t> free_contests_;
  std::deque<Leftover> leftovers_;      // chunks to settle when reads in flight have ended
  std::deque<OpenRead> reads_;          // in the order of their begin; the first one is open
  std::vector<ZeroRange> zero_ranges_;  // in flight, or read across
  std::map<std::uint64_t, std::uint64_t> zeroed_;  // chunks first to end, disjoint
  VerifyResult result_;
};

}  // namespace nvmesim::workload
