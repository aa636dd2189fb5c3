// The verifier alone: which versions of a sector it accepts, after any order of beginnings and
// ends. Sectors are read by hand from the bytes of the writes.
#include "sim/workload/verifier.hpp"

#include <array>
#include <vector>

#include "sim/base/random.hpp"
#include "sim/workload/pattern.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {
namespace {

using host::BioOp;
using workload::Verifier;
using Ticket = Verifier::Ticket;
using SectorBytes = std::array<std::byte, 512>;

SectorBytes bytes_of(std::uint64_t sector, std::uint64_t version) {
  SectorBytes bytes{};
  if (version != 0) workload::fill_pattern(bytes, sector, version);
  return bytes;
}

constexpr std::uint64_t kZero = 0;

// Whether a read of one sector, as a whole or begun earlier, may return that version.
bool accepts(Verifier& verifier, const Ticket& read, std::uint64_t sector, std::uint64_t version) {
  const auto before = verifier.result().mismatches;
  verifier.check(read, sector, bytes_of(sector, version), false);
  return verifier.result().mismatches == before;
}

bool accepts_now(Verifier& verifier, std::uint64_t sector, std::uint64_t version) {
  const Ticket read = verifier.begin(BioOp::kRead, sector, 1);
  const bool accepted = accepts(verifier, read, sector, version);
  verifier.end(read, false);
  return accepted;
}

struct Writes {
  Verifier verifier{workload::VerifyConfig{}};
  Ticket begin(std::uint64_t sector, std::uint32_t sectors, BioOp op = BioOp::kWrite) {
    return verifier.begin(op, sector, sectors);
  }
  std::uint64_t write(std::uint64_t sector, std::uint32_t sectors, BioOp op = BioOp::kWrite) {
    const Ticket ticket = begin(sector, sectors, op);
    verifier.end(ticket, false);
    return ticket.version;
  }
};

}  // namespace

TEST_CASE("what an acknowledged write left is the only thing to be read") {
  Writes w;
  const auto first = w.write(100, 8);
  const auto second = w.write(104, 1);
  CHECK(accepts_now(w.verifier, 103, first));
  CHECK(accepts_now(w.verifier, 104, second));
  CHECK_FALSE(accepts_now(w.verifier, 104, first));
  CHECK_FALSE(accepts_now(w.verifier, 103, kZero));
  CHECK_FALSE(accepts_now(w.verifier, 103, second));
  CHECK(w.verifier.result().sectors_written == 8);
}

TEST_CASE("sectors that were never written may hold anything and are not counted as checked") {
  Writes w;
  w.write(100, 1);
  CHECK(accepts_now(w.verifier, 101, 77));
  CHECK(accepts_now(w.verifier, 5000, 77));
  CHECK(w.verifier.result().sectors_checked_run == 0);
}

TEST_CASE("a write in flight may be read or not") {
  Writes w;
  const auto old = w.write(8, 8);
  const Ticket open = w.begin(10, 2);
  CHECK(accepts_now(w.verifier, 10, old));
  CHECK(accepts_now(w.verifier, 10, open.version));
  CHECK_FALSE(accepts_now(w.verifier, 9, open.version));
  w.verifier.end(open, false);
  CHECK_FALSE(accepts_now(w.verifier, 10, old));
  CHECK(accepts_now(w.verifier, 10, open.version));
  CHECK(accepts_now(w.verifier, 12, old));
}

TEST_CASE("of writes that overlapped in time either may stay, until a later one ends") {
  Writes w;
  const auto old = w.write(0, 8);
  const Ticket a = w.begin(0, 8);
  const Ticket b = w.begin(4, 8);
  w.verifier.end(b, false);
  w.verifier.end(a, false);
  CHECK(accepts_now(w.verifier, 0, a.version));
  CHECK_FALSE(accepts_now(w.verifier, 0, b.version));
  CHECK(accepts_now(w.verifier, 4, a.version));
  CHECK(accepts_now(w.verifier, 4, b.version));
  CHECK_FALSE(accepts_now(w.verifier, 4, old));
  CHECK(accepts_now(w.verifier, 8, b.version));
  const auto last = w.write(5, 1);
  CHECK(accepts_now(w.verifier, 4, a.version));
  CHECK_FALSE(accepts_now(w.verifier, 5, a.version));
  CHECK_FALSE(accepts_now(w.verifier, 5, b.version));
  CHECK(accepts_now(w.verifier, 5, last));
}

TEST_CASE("a write begun after another ended replaces it even while a third is in flight") {
  Writes w;
  const Ticket slow = w.begin(0, 1);
  const auto first = w.write(0, 1);
  const auto second = w.write(0, 1);
  CHECK_FALSE(accepts_now(w.verifier, 0, first));
  CHECK(accepts_now(w.verifier, 0, second));
  CHECK(accepts_now(w.verifier, 0, slow.version));
  w.verifier.end(slow, false);
  CHECK(accepts_now(w.verifier, 0, second));
  CHECK(accepts_now(w.verifier, 0, slow.version));
}

TEST_CASE("a failed write leaves both, and a later one replaces both") {
  Writes w;
  const auto old = w.write(0, 8);
  const Ticket failed = w.begin(0, 8);
  w.verifier.end(failed, true);
  CHECK(accepts_now(w.verifier, 3, old));
  CHECK(accepts_now(w.verifier, 3, failed.version));
  const auto later = w.write(0, 8);
  CHECK_FALSE(accepts_now(w.verifier, 3, old));
  CHECK_FALSE(accepts_now(w.verifier, 3, failed.version));
  CHECK(accepts_now(w.verifier, 3, later));
}

TEST_CASE("a read may return what was replaced while it was in flight, a later read may not") {
  Writes w;
  const auto old = w.write(0, 8);
  const Ticket before = w.verifier.begin(BioOp::kRead, 0, 8);
  const auto fresh = w.write(0, 8);
  const Ticket after = w.verifier.begin(BioOp::kRead, 0, 8);
  CHECK(accepts(w.verifier, before, 0, old));
  CHECK(accepts(w.verifier, before, 0, fresh));
  CHECK_FALSE(accepts(w.verifier, after, 0, old));
  CHECK(accepts(w.verifier, after, 0, fresh));
  w.verifier.end(before, false);
  CHECK_FALSE(accepts(w.verifier, after, 0, old));
  w.verifier.end(after, false);
}

TEST_CASE("discards and write zeroes leave zeroes, whole chunks or parts of them") {
  Writes w;
  const auto old = w.write(0, 64);
  for (const BioOp op : {BioOp::kDiscard, BioOp::kWriteZeroes}) {
    w.write(0, 64);
    w.write(5, 30, op);
    CHECK_FALSE(accepts_now(w.verifier, 4, kZero));
    for (const std::uint64_t sector : {5, 7, 8, 20, 34})
      CHECK(accepts_now(w.verifier, sector, kZero));
    CHECK_FALSE(accepts_now(w.verifier, 20, old));
    CHECK_FALSE(accepts_now(w.verifier, 35, kZero));
  }
  CHECK(w.verifier.result().sectors_written == 64);
}

TEST_CASE("a write into a discarded range replaces its part, the rest stays zero") {
  Writes w;
  w.write(0, 1 << 20, BioOp::kDiscard);
  CHECK(accepts_now(w.verifier, 999, kZero));
  CHECK_FALSE(accepts_now(w.verifier, 999, 5));
  const auto version = w.write(1001, 2);
  CHECK(accepts_now(w.verifier, 1001, version));
  CHECK_FALSE(accepts_now(w.verifier, 1001, kZero));
  CHECK(accepts_now(w.verifier, 1003, kZero));
  CHECK_FALSE(accepts_now(w.verifier, 1003, version));
  CHECK(w.verifier.result().sectors_written == 1 << 20);
}

TEST_CASE("a write that begins during a discard may lose to it, one begun after it may not") {
  Writes w;
  const Ticket discard = w.begin(0, 1024, BioOp::kDiscard);
  const auto during = w.write(512, 8);
  w.verifier.end(discard, false);
  const auto after = w.write(600, 8);
  CHECK(accepts_now(w.verifier, 512, during));
  CHECK(accepts_now(w.verifier, 512, kZero));
  CHECK(accepts_now(w.verifier, 600, after));
  CHECK_FALSE(accepts_now(w.verifier, 600, kZero));
}

TEST_CASE("a read begun before a discard may see what was there, and a chunk made meanwhile too") {
  Writes w;
  const Ticket read = w.verifier.begin(BioOp::kRead, 0, 1024);
  w.write(0, 1024, BioOp::kDiscard);
  CHECK(accepts(w.verifier, read, 40, 7));
  const auto version = w.write(512, 4);
  CHECK(accepts(w.verifier, read, 512, 7));
  CHECK(accepts(w.verifier, read, 512, version));
  w.verifier.end(read, false);
  CHECK(accepts_now(w.verifier, 512, version));
  CHECK_FALSE(accepts_now(w.verifier, 512, 7));
  CHECK_FALSE(accepts_now(w.verifier, 40, 7));
}

TEST_CASE("damage, another sector's data and foreign bytes are told apart in the report") {
  Writes w;
  const auto version = w.write(64, 8);
  const Ticket read = w.verifier.begin(BioOp::kRead, 64, 8);
  auto flipped = bytes_of(64, version);
  flipped[511] ^= std::byte{1};
  w.verifier.check(read, 64, flipped, false);
  w.verifier.check(read, 64, bytes_of(65, version), true);
  w.verifier.check(read, 64, bytes_of(64, version + 1), false);
  w.verifier.check(read, 64, bytes_of(64, kZero), false);
  SectorBytes foreign;
  foreign.fill(std::byte{0xa5});
  w.verifier.check(read, 64, foreign, false);
  w.verifier.end(read, false);
  const auto result = w.verifier.result();
  CHECK(result.mismatches == 5);
  REQUIRE(result.first_mismatches.size() == 5);
  CHECK(result.first_mismatches[0].expected == "write 1");
  CHECK(result.first_mismatches[0].found == "damaged data of write 1");
  CHECK(result.first_mismatches[1].found == "write 1 of sector 65");
  CHECK(result.first_mismatches[1].in_read_back);
  CHECK(result.first_mismatches[2].found == "write 2");
  CHECK(result.first_mismatches[3].found == "zeroes");
  CHECK(result.first_mismatches[4].found == "no pattern of a write");
}

TEST_CASE("any flipped bit of a sector is seen") {
  Writes w;
  const auto version = w.write(3, 1);
  const Ticket read = w.verifier.begin(BioOp::kRead, 3, 1);
  for (std::size_t bit = 0; bit < 4096; ++bit) {
    auto bytes = bytes_of(3, version);
    bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    w.verifier.check(read, 3, bytes, false);
  }
  CHECK(w.verifier.result().mismatches == 4096);
  w.verifier.end(read, false);
}

TEST_CASE("the read-back covers each written sector once, in order, merged") {
  Writes w;
  w.write(1000, 16);
  w.write(16, 4);
  w.write(20, 4);
  w.write(1016, 1);
  w.write(4096, 64, BioOp::kDiscard);
  w.write(4100, 8);
  const auto plan = w.verifier.plan_read_back();
  REQUIRE(plan.size() == 3);
  CHECK(plan[0].sector == 16);
  CHECK(plan[0].sectors == 8);
  CHECK(plan[1].sector == 1000);
  CHECK(plan[1].sectors == 17);
  CHECK(plan[2].sector == 4096);
  CHECK(plan[2].sectors == 64);
  CHECK(w.verifier.result().sectors_written == 8 + 17 + 64);
}

TEST_CASE("discarded ranges beyond the limit of the read-back are counted, not read") {
  constexpr std::uint32_t k4Gib = 1 << 23;
  Verifier verifier({});
  const Ticket ticket = verifier.begin(BioOp::kDiscard, 0, k4Gib + 9 * 2048);
  verifier.end(ticket, false);
  const auto plan = verifier.plan_read_back();
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].sectors == k4Gib);
  CHECK(verifier.result().sectors_not_checked == 9 * 2048);
}

TEST_CASE("on a new drive what was never written is zeroes, also beside a write") {
  Verifier verifier({.new_drive = true});
  CHECK(accepts_now(verifier, 77, kZero));
  CHECK_FALSE(accepts_now(verifier, 77, 5));
  const Ticket ticket = verifier.begin(BioOp::kWrite, 100, 1);
  CHECK(accepts_now(verifier, 100, kZero));  // not written yet
  CHECK(accepts_now(verifier, 101, kZero));
  CHECK_FALSE(accepts_now(verifier, 101, 5));
  verifier.end(ticket, false);
  CHECK(accepts_now(verifier, 100, ticket.version));
  CHECK_FALSE(accepts_now(verifier, 100, kZero));
  CHECK_FALSE(accepts_now(verifier, 101, ticket.version));
  CHECK(accepts_now(verifier, 101, kZero));
  // The neighbours are read back too, but only what was written counts as written.
  const auto plan = verifier.plan_read_back();
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].sector == 96);
  CHECK(plan[0].sectors == 8);
  CHECK(verifier.result().sectors_written == 1);
}

TEST_CASE("on a drive that is not new what was never written may be anything") {
  Verifier verifier({});
  CHECK(accepts_now(verifier, 77, 5));
  const Ticket ticket = verifier.begin(BioOp::kWrite, 100, 1);
  verifier.end(ticket, false);
  CHECK(accepts_now(verifier, 101, 5));
  CHECK(verifier.plan_read_back().front().sectors == 1);
}

TEST_CASE("a read that never ends costs no more memory per write than a bound") {
  Writes w;
  const Ticket stuck = w.verifier.begin(BioOp::kRead, 0, 8);
  std::uint64_t version = 0;
  for (int i = 0; i < 100'000; ++i) version = w.write(0, 8);
  CHECK(accepts_now(w.verifier, 0, version));
  CHECK_FALSE(accepts_now(w.verifier, 0, version - 1));
  w.verifier.end(stuck, false);
  CHECK_FALSE(accepts_now(w.verifier, 0, version - 1));
}

// Against a model that keeps every write of a few sectors forever and says by the definition what
// a read may return.
TEST_CASE("random orders of writes, discards and reads agree with the plain definition") {
  struct Model {
    Ticket ticket;
    std::uint64_t ended = ~std::uint64_t{0};
    bool failed = false;
    bool covers(std::uint64_t s) const {
      return s >= ticket.sector && s < ticket.sector + ticket.sectors;
    }
    bool zeroes() const { return ticket.op != BioOp::kWrite; }
  };
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    base::Random random(seed, "verifier");
    Verifier verifier({});
    std::vector<Model> writes;
    std::vector<Ticket> reads;
    std::uint64_t tick = 0;  // as the verifier counts: one for each begin and end
    for (int step = 0; step < 120; ++step) {
      const auto what = random.below(10);
      if (what < 4) {
        const std::uint64_t sector = random.below(30);
        const auto sectors = static_cast<std::uint32_t>(1 + random.below(20));
        const BioOp op = random.chance(1, 4) ? BioOp::kDiscard : BioOp::kWrite;
        ++tick;
        writes.push_back({verifier.begin(op, sector, sectors)});
        CHECK(writes.back().ticket.begun == tick);
      } else if (what < 7) {
        const auto index = writes.empty() ? 0 : random.below(writes.size());
        if (writes.empty() || writes[index].ended != ~std::uint64_t{0}) continue;
        writes[index].ended = ++tick;
        writes[index].failed = random.chance(1, 5);
        verifier.end(writes[index].ticket, writes[index].failed);
      } else if (what == 7) {
        ++tick;
        reads.push_back(verifier.begin(BioOp::kRead, 0, 50));
      } else if (what == 8 && !reads.empty()) {
        const auto index = static_cast<std::ptrdiff_t>(random.below(reads.size()));
        ++tick;
        verifier.end(reads[static_cast<std::size_t>(index)], false);
        reads.erase(reads.begin() + index);
      } else if (!reads.empty()) {
        const Ticket& read = reads[random.below(reads.size())];
        const std::uint64_t sector = random.below(50);
        // A version is gone for this read if a write that did not fail began after the version's
        // end and ended before the read began.
        const auto gone = [&](std::uint64_t ended) {
          for (const Model& m : writes) {
            if (m.covers(sector) && !m.failed && m.ticket.begun > ended && m.ended < read.begun) {
              return true;
            }
          }
          return false;
        };
        const bool anything = !gone(0);
        const Model* chosen = writes.empty() ? nullptr : &writes[random.below(writes.size())];
        const std::uint64_t version = chosen == nullptr  ? 99999
                                      : chosen->zeroes() ? kZero
                                                         : chosen->ticket.version;
        bool expected = anything;
        for (const Model& m : writes) {
          const bool same =
              version == kZero ? m.zeroes() : m.ticket.version == version && !m.zeroes();
          if (same && m.covers(sector) && !gone(m.ended)) expected = true;
        }
        const bool accepted = accepts(verifier, read, sector, version);
        INFO("seed " << seed << " step " << step << " sector " << sector << " version " << version);
        if (expected) CHECK(accepted);
        // Unknown content under a discard may be accepted for longer than need be.
        bool zeroed = false;
        for (const Model& m : writes) zeroed = zeroed || (m.zeroes() && m.covers(sector));
        if (!expected && !zeroed) CHECK_FALSE(accepted);
      }
    }
  }
}

}  // namespace nvmesim::test
