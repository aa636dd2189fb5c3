// Bit errors: everything arrives once, in order and intact, and errors and replays are as many as
// the rate says.
#include <cmath>
#include <cstring>
#include <string>

#include "pcie/bit_errors.hpp"
#include "pcie/link.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using base::Time;
using test::kHigh;
using test::LinkBench;

// Writes and reads that carry their own number; checks that each arrives once, in order.
struct Traffic {
  LinkBench bench;
  std::uint32_t bytes;
  std::uint64_t count;
  std::uint64_t writes_started = 0;
  std::uint64_t writes_seen = 0;
  std::uint64_t reads_seen = 0;
  std::uint64_t wrong = 0;
  std::vector<std::vector<unsigned char>> buffers;  // written in turn
  std::vector<unsigned char> read_into;

  Traffic(const LinkConfig& config, std::uint32_t size, std::uint64_t how_many)
      : bench(config),
        bytes(size),
        count(how_many),
        buffers(64, std::vector<unsigned char>(size)),
        read_into(4096) {
    bench.memory.on_request = [this](test::GenericPayload& payload) {
      bench.memory.seen.clear();
      if (payload.is_read()) return;
      std::uint64_t number = 0;
      std::memcpy(&number, payload.get_data_ptr(), sizeof(number));
      wrong += number != writes_seen || payload.get_data_length() != bytes;
      ++writes_seen;
    };
    bench.endpoint.on_response = [this](test::GenericPayload& payload) {
      bench.endpoint.responses.clear();
      bench.endpoint.statuses.clear();
      if (payload.is_write()) {
        next();
      } else {
        std::uint64_t number = 0;
        std::memcpy(&number, payload.get_data_ptr(), sizeof(number));
        wrong += number != 2 * payload.get_address();
        ++reads_seen;
      }
    };
    bench.memory.on_answer = [this](test::GenericPayload& payload) {
      bench.memory.answered.clear();
      const std::uint64_t number = 2 * payload.get_address();
      std::memcpy(payload.get_data_ptr(), &number, sizeof(number));
    };
    bench.script.at(0us, [this] {
      for (int i = 0; i < 24; ++i) next();
    });
  }
  void next() {
    if (writes_started == count) return;
    std::vector<unsigned char>& buffer = buffers[writes_started % buffers.size()];
    std::memcpy(buffer.data(), &writes_started, sizeof(writes_started));
    auto* payload = bench.endpoint.pool.take();
    base::set_access(*payload, tlm::TLM_WRITE_COMMAND, kHigh + writes_started, buffer.data(),
                     bytes);
    payload->extension.sent_awaited = true;
    bench.endpoint.out.request(*payload);
    if (writes_started++ % 16 == 0) {
      auto* read = bench.endpoint.pool.take();
      base::set_access(*read, tlm::TLM_READ_COMMAND, kHigh + writes_started, nullptr, 0);
      read->set_inline("12345678", 8);
      bench.endpoint.out.request(*read);
    }
  }
};

void check_rate(const LinkConfig& config, std::uint32_t bytes, std::uint64_t count) {
  Traffic traffic(config, bytes, count);
  traffic.bench.run();
  CHECK(traffic.wrong == 0);
  CHECK(traffic.writes_seen == count);
  CHECK(traffic.reads_seen == (count + 15) / 16);
  CHECK(traffic.bench.endpoint.pool.in_use() == 0);
  const auto up = traffic.bench.link.tlp_counters(Direction::kUp);
  const double rate = static_cast<double>(config.bit_errors_per_petabit) * 1e-15;
  // One bad TLP for several wrong bits in it: at these rates and lengths below 0.2 %.
  const double expected = static_cast<double>(up.bits) * rate;
  INFO("expected " << expected << " bad TLPs, saw " << up.bad_tlps << ", " << up.naks << " NAKs, "
                   << up.replay_timeouts << " timeouts, " << up.replays << " TLPs replayed");
  CHECK(expected > 100);
  CHECK(std::abs(static_cast<double>(up.bad_tlps) - expected) < 5 * std::sqrt(expected));
  // Each is followed by one replay, but those found while an earlier one is being made good.
  const double replays = static_cast<double>(up.naks + up.replay_timeouts);
  CHECK(std::abs(replays - expected) < 5 * std::sqrt(expected));
  CHECK(up.replays >= up.naks);
}

}  // namespace

TEST_CASE("the gaps between wrong bits have the mean that the rate says") {
  for (const std::uint64_t rate :
       {1'000'000'000'000ULL, 1'000'000'000ULL, 1'000'000ULL, 1'000ULL}) {
    BitErrors errors(rate, base::Random(3, "bits"));
    const auto mean_gap = static_cast<std::uint64_t>(kPetabit) / rate;
    std::uint64_t wrong = 0;
    std::uint64_t most = 0;
    constexpr std::uint64_t kPieces = 40'000;
    for (std::uint64_t i = 0; i < kPieces; ++i) {
      const std::uint64_t in_piece = errors.send(mean_gap / 4);
      wrong += in_piece;
      most = std::max(most, in_piece);
    }
    INFO("rate " << rate);
    CHECK(std::abs(static_cast<double>(wrong) - kPieces / 4.0) < 5 * std::sqrt(kPieces / 4.0));
    // Independent, so several in one piece are seen too: Poisson with mean 1/4.
    CHECK(most >= 3);
    CHECK(most <= 8);
  }
}

TEST_CASE("without a rate no bit is ever wrong") {
  BitErrors errors(0, base::Random(3, "bits"));
  CHECK(errors.send(~std::uint64_t{0}) == 0);
  CHECK(errors.send(~std::uint64_t{0}) == 0);
}

TEST_CASE("at a bit error rate of 1e-6 all arrives intact and errors are as many as expected") {
  LinkConfig config;
  config.bit_errors_per_petabit = 1'000'000'000;
  check_rate(config, 256, 150'000);
}

TEST_CASE("at a bit error rate of 1e-9 all arrives intact and errors are as many as expected") {
  LinkConfig config;
  config.generation = 5;
  config.lanes = 16;
  config.max_payload_bytes = 4096;
  config.bit_errors_per_petabit = 1'000'000;
  check_rate(config, 131072, 110'000);
}

TEST_CASE("two runs of one seed have the same errors, of another seed others") {
  base::Scheduler scheduler("scheduler");
  LinkConfig config;
  config.bit_errors_per_petabit = 100'000'000'000;
  const auto signature = [&](BitErrors errors) {
    std::string text;
    for (int i = 0; i < 400; ++i) text += static_cast<char>('0' + errors.send(10'000));
    return text;
  };
  const auto errors = [&](std::uint64_t seed) {
    return BitErrors(config.bit_errors_per_petabit, base::Random(seed, "link.up"));
  };
  CHECK(signature(errors(1)) == signature(errors(1)));
  CHECK(signature(errors(1)) != signature(errors(2)));
}

}  // namespace nvmesim::pcie
