// The arithmetic of pcie::Wire against a simulation that decides at every TLP boundary.
#include "pcie/wire.hpp"

#include <deque>
#include <vector>

#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/wire_reference.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::WireJob;

std::vector<Time> run_wire(const std::vector<WireJob>& jobs, base::Pace pace) {
  Wire wire(pace);
  std::vector<Time> ends(jobs.size());
  std::deque<LongTransfer> transfers(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (jobs[i].is_short) {
      ends[i] = wire.send_short(jobs[i].arrival, jobs[i].segments.wire_bytes());
    } else {
      transfers[i].segments = jobs[i].segments;
      wire.send_long(jobs[i].arrival, transfers[i]);
    }
  }
  // What is left ends as it is forecast.
  for (;;) {
    while (LongTransfer* finished = wire.take_finished()) {
      for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (&transfers[i] == finished) ends[i] = finished->end;
      }
    }
    const Wire::Forecast first = wire.first_to_finish();
    if (first.transfer == nullptr) break;
    wire.advance(first.end);
    CHECK(first.transfer->end == first.end);
  }
  return ends;
}

WireJob job(Time arrival, std::uint32_t bytes, bool is_short, unsigned shift = 8,
            std::uint32_t header = 24) {
  return {arrival, is_short, formula::data_segments(bytes, shift, header)};
}

std::vector<WireJob> random_jobs(base::Random& random, std::size_t count, Time mean_gap) {
  std::vector<WireJob> jobs;
  Time at{0};
  for (std::size_t i = 0; i < count; ++i) {
    if (!random.chance(1, 4)) {  // a quarter arrives in one instant with the one before
      at += Time{static_cast<std::int64_t>(
          random.below(2 * static_cast<std::uint64_t>(mean_gap.count())))};
    }
    const bool is_short = random.chance(1, 2);
    const unsigned shift = random.chance(1, 5) ? 6 : 8;
    const std::uint32_t header = random.chance(1, 2) ? 20 : 24;
    const auto bytes = static_cast<std::uint32_t>(
        is_short ? 1 + random.below(256) : 257 + random.below(random.chance(1, 9) ? 131072 : 8192));
    jobs.push_back(job(at, bytes, is_short, shift, header));
    // Completions from an odd address: counted as equally long, and the rest is the last one's.
    formula::Segments& segments = jobs.back().segments;
    if (!is_short && random.chance(1, 3)) {
      segments.last_bytes =
          segments.full_bytes + static_cast<std::uint32_t>(random.below(segments.tlps));
    }
  }
  return jobs;
}

}  // namespace

TEST_CASE("an idle wire takes pace times bytes from the instant of the call") {
  const base::Pace pace = formula::tlp_pace(3, 4, 256);
  Wire wire(pace);
  CHECK(wire.send_short(5us, 280) == Time(5us) + pace(280));
  CHECK(wire.send_short(7us, 44) == Time(7us) + pace(44));
}

TEST_CASE("queued short transfers end as their sum does, without collected rounding") {
  const base::Pace pace = formula::tlp_pace(3, 4, 256);
  Wire wire(pace);
  for (std::uint64_t i = 1; i <= 1'000'000; ++i) {
    const Time end = wire.send_short(1us, 84);
    if (i % 99'999 == 0) CHECK(end == Time(1us) + pace(84 * i));
  }
}

TEST_CASE("a short transfer starts at the next boundary of a long one and delays it by itself") {
  const base::Pace pace{1000, 1};  // 1 ns per byte
  Wire wire(pace);
  LongTransfer transfer;
  transfer.segments = formula::data_segments(1024, 8, 24);  // 4 TLPs of 280 ns
  wire.send_long(0us, transfer);
  CHECK(wire.first_to_finish().end == Time(1120ns));
  CHECK(wire.send_short(300ns, 100) == Time(660ns));  // behind the second TLP
  CHECK(wire.first_to_finish().end == Time(1220ns));
  CHECK(wire.send_short(310ns, 50) == Time(710ns));
  CHECK(wire.send_short(710ns, 10) == Time(720ns));  // at a boundary exactly
  CHECK(wire.first_to_finish().end == Time(1280ns));
  wire.advance(1280ns);
  CHECK(wire.take_finished() == &transfer);
  CHECK(transfer.end == Time(1280ns));
}

TEST_CASE("two long transfers take turns") {
  const base::Pace pace{1000, 1};
  Wire wire(pace);
  LongTransfer first, second;
  first.segments = formula::data_segments(1000, 8, 24);  // 280 280 280 256
  second.segments = formula::data_segments(500, 8, 24);  // 280 268
  wire.send_long(0us, first);
  wire.send_long(10ns, second);
  // first 280, second 560, first 840, second 1108, first 1388, first 1644
  CHECK(wire.first_to_finish().transfer == &second);
  CHECK(wire.first_to_finish().end == Time(1108ns));
  wire.advance(2us);
  CHECK(wire.take_finished() == &second);
  CHECK(wire.take_finished() == &first);
  CHECK(second.end == Time(1108ns));
  CHECK(first.end == Time(1644ns));
}

TEST_CASE("any mixture ends to the picosecond as in a simulation of every TLP") {
  base::Random random(1, "wire");
  const base::Pace paces[] = {formula::tlp_pace(1, 1, 128),
                              formula::tlp_pace(3, 4, 256),
                              formula::tlp_pace(4, 4, 256),
                              formula::tlp_pace(5, 16, 512),
                              base::Pace{1, 3},
                              base::Pace{1000, 1}};
  for (int round = 0; round < 300; ++round) {
    const base::Pace pace = paces[random.below(std::size(paces))];
    const Time gap = pace(1 + random.below(12'000));  // from heavy overload to mostly idle
    const auto jobs = random_jobs(random, 60, gap);
    INFO("round " << round);
    REQUIRE(run_wire(jobs, pace) == test::simulate_wire(jobs, pace, Wire::kWindow));
  }
}

// The bound that matters for the window: among up to kWindow long transfers sharing is exact, more
// wait. Their mean completion, over bursts of twice as many, is no later than with full sharing.
TEST_CASE("more transfers than the window holds end no later on average than if all shared") {
  const base::Pace pace = formula::tlp_pace(4, 4, 256);
  std::vector<WireJob> jobs;
  for (std::size_t i = 0; i < 2 * Wire::kWindow; ++i) jobs.push_back(job(0us, 4096, false));
  const auto mean = [](const std::vector<Time>& ends) {
    Time sum{0};
    for (const Time end : ends) sum += end;
    return sum / static_cast<std::int64_t>(ends.size());
  };
  const auto limited = run_wire(jobs, pace);
  const auto shared = test::simulate_wire(jobs, pace, jobs.size());
  CHECK(mean(limited) <= mean(shared));
  CHECK(limited.back() == shared.back());
}

TEST_CASE("a busy period of many gigabytes stays exact") {
  const base::Pace pace = formula::tlp_pace(4, 4, 256);
  Wire wire(pace);
  constexpr std::uint64_t kPiece = 1 << 20;
  Time end{0};
  std::uint64_t total = 0;
  for (int i = 0; i < 20'000; ++i) {
    end = wire.send_short(0us, kPiece);
    total += kPiece;
  }
  CHECK(end == pace(total));
}

}  // namespace nvmesim::pcie
