#include "sim/fault/request_splice.hpp"

#include <vector>

#include "sim/check/base_protocol_checker.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/check/raw_ends.hpp"

namespace nvmesim::tests {
namespace {

using Action = fault::RequestRule::Action;
constexpr auto kRead = tlm::TLM_READ_COMMAND;
constexpr auto kWrite = tlm::TLM_WRITE_COMMAND;

// Ten requests, 10 ns apart, to addresses 0, 64, 128...; the checker stands on the sender's side.
struct FaultBench {
  explicit FaultBench(fault::RequestRule rule, tlm::tlm_command command)
      : splice("splice", scheduler, std::move(rule)) {
    initiator.socket.bind(checker.upstream.in);
    checker.upstream.out.bind(splice.upstream.in);
    splice.upstream.out.bind(target.socket);
    const auto take = target.forward;
    target.forward = [this, take](Payload& payload, tlm::tlm_phase& phase,
                                  sc_core::sc_time& delay) {
      arrived.push_back(payload.get_address() / 64);
      arrival_times.push_back(scheduler.now());
      return take(payload, phase, delay);
    };
    initiator.backward = [this](Payload& payload, tlm::tlm_phase&, sc_core::sc_time&) {
      answered.push_back(payload.get_address() / 64);
      statuses.push_back(payload.get_response_status());
      first_byte.push_back(payload.get_data_ptr()[0]);
      payload.release();
      return tlm::TLM_COMPLETED;
    };
    for (unsigned i = 0; i < 10; ++i) {
      Payload& payload = make_request(pool, command, 64 * i, 8);
      script.at(base::picoseconds(10'000 * (i + 1)), [&] { initiator.send(payload); });
    }
    sc_core::sc_start();
    checker.finish();
  }

  using Numbers = std::vector<std::uint64_t>;
  base::Scheduler scheduler{"scheduler"};
  pcie::TlpPool pool;
  Script script{scheduler};
  RawInitiator initiator{"initiator", scheduler};
  RawTarget target{"target", scheduler};
  check::BaseProtocolChecker checker{"checker", scheduler};
  fault::RequestSplice splice;
  Numbers arrived;
  std::vector<base::Time> arrival_times;
  Numbers answered;
  std::vector<tlm::tlm_response_status> statuses;
  std::vector<unsigned> first_byte;
};

TEST_CASE("the n-th matching posted write is dropped and comes back to its sender") {
  FaultBench bench(
      {.when = [](auto, const Payload& payload) { return payload.get_address() >= 128; }, .nth = 3},
      kWrite);
  CHECK(bench.arrived == FaultBench::Numbers{0, 1, 2, 3, 5, 6, 7, 8, 9});
  CHECK(bench.answered.size() == 10);
  CHECK(bench.splice.matched() == 8);
  CHECK(bench.splice.disturbed() == 1);
  CHECK(bench.checker.violation_count() == 0);
  CHECK(bench.pool.in_use() == 0);
}

TEST_CASE("a dropped read is never answered") {
  FaultBench bench({.nth = 2, .count = 3}, kRead);
  CHECK(bench.arrived == FaultBench::Numbers{0, 4, 5, 6, 7, 8, 9});
  CHECK(bench.answered == FaultBench::Numbers{0, 4, 5, 6, 7, 8, 9});
  CHECK(bench.checker.violation_count() == 3);
  CHECK(bench.pool.in_use() == 3);
}

TEST_CASE("a delayed request arrives later and is overtaken") {
  FaultBench bench({.nth = 4, .action = Action::kDelay, .delay = 25ns}, kWrite);
  CHECK(bench.arrived == FaultBench::Numbers{0, 1, 2, 4, 5, 3, 6, 7, 8, 9});
  CHECK(bench.arrival_times[5] == base::Time{65ns});
  CHECK(bench.answered.size() == 10);
  CHECK(bench.checker.violation_count() == 0);
  CHECK(bench.pool.in_use() == 0);
}

TEST_CASE("a failed read is answered at once, with the status and all ones") {
  FaultBench bench({.nth = 1, .action = Action::kFail, .status = pcie::kStatusCompleterAbort},
                   kRead);
  CHECK(bench.arrived.size() == 9);
  REQUIRE(bench.answered.size() == 10);
  CHECK(bench.answered[0] == 0);
  CHECK(bench.statuses[0] == tlm::TLM_GENERIC_ERROR_RESPONSE);
  CHECK(bench.first_byte[0] == 0xFF);
  CHECK(bench.statuses[1] == tlm::TLM_OK_RESPONSE);
  CHECK(bench.checker.violation_count() == 0);
  CHECK(bench.pool.in_use() == 0);
}

}  // namespace
}  // namespace nvmesim::tests
