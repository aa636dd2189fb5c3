#include "sim/check/base_protocol_checker.hpp"

#include <array>
#include <vector>

#include "sim/base/random.hpp"
#include "sim/base/sockets.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/check/raw_ends.hpp"

namespace nvmesim::tests {
namespace {

using check::Rule;
constexpr auto kRead = tlm::TLM_READ_COMMAND;
constexpr auto kWrite = tlm::TLM_WRITE_COMMAND;

// An initiator, the checker and a target; one request is sent at 10 ns unless a test does more.
struct Bench {
  explicit Bench(check::CheckerOptions options = {}) : checker("checker", scheduler, options) {
    initiator.socket.bind(checker.downstream.in);
    checker.downstream.out.bind(target.socket);
  }

  pcie::TlpPayload& request(tlm::tlm_command command, std::uint64_t address, std::size_t bytes,
                            unsigned char* data = nullptr) {
    return make_request(pool, command, address, bytes, data);
  }
  void send_at(base::Time when, Payload& payload) {
    script.at(when, [this, &payload] { initiator.send(payload); });
  }
  // The rule of every violation, in order.
  std::vector<Rule> run() {
    sc_core::sc_start();
    checker.finish();
    std::vector<Rule> rules;
    for (const check::Violation& violation : checker.violations()) rules.push_back(violation.rule);
    return rules;
  }

  base::Scheduler scheduler{"scheduler"};
  pcie::TlpPool pool;
  Script script{scheduler};
  RawInitiator initiator{"initiator", scheduler};
  RawTarget target{"target", scheduler};
  check::BaseProtocolChecker checker;
};

TEST_CASE("traffic that follows the rules is not reported") {
  Bench bench;
  base::Random random(1, "clean traffic");
  std::vector<unsigned char> data(4096);
  std::uint64_t expected = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t offset = random.below(4096);
    const std::size_t bytes = 1 + random.below(4096 - offset);
    const bool write = random.chance(1, 2);
    Payload& payload = bench.request(write ? kWrite : kRead, random.below(1000) * 4096 + offset,
                                     bytes, data.data());
    bench.send_at(base::picoseconds(static_cast<std::int64_t>(random.below(1'000'000))), payload);
    ++expected;
  }
  CHECK(bench.run().empty());
  CHECK(bench.checker.requests() == expected);
  CHECK(bench.checker.open() == 0);
  CHECK(bench.pool.in_use() == 0);
}

TEST_CASE("phase: anything but BEGIN_REQ forward and BEGIN_RESP backward is reported") {
  Bench bench;
  Payload& payload = bench.request(kRead, 0x1000, 4);
  bench.target.forward = [&](Payload& sent, tlm::tlm_phase& phase, sc_core::sc_time&) {
    if (phase != tlm::BEGIN_REQ) return tlm::TLM_ACCEPTED;
    bench.target.answer(sent, 100ns);
    phase = tlm::END_REQ;
    return tlm::TLM_UPDATED;
  };
  bench.initiator.backward = [](Payload&, tlm::tlm_phase& phase, sc_core::sc_time&) {
    return phase == tlm::BEGIN_RESP ? tlm::TLM_COMPLETED : tlm::TLM_ACCEPTED;
  };
  bench.script.at(10ns, [&] {
    bench.initiator.send(payload);
    bench.initiator.send(payload, tlm::END_RESP);
    bench.target.back(payload, tlm::END_REQ);
  });
  CHECK(bench.run() == std::vector{Rule::kPhase, Rule::kPhase});
}

TEST_CASE("request_answer: a request that is only accepted is reported") {
  Bench bench;
  bench.target.forward = [&](Payload& payload, tlm::tlm_phase&, sc_core::sc_time&) {
    bench.target.answer(payload, 100ns);
    return tlm::TLM_ACCEPTED;
  };
  bench.send_at(10ns, bench.request(kRead, 0x1000, 4));
  CHECK(bench.run() == std::vector{Rule::kRequestAnswer});
}

TEST_CASE("response_answer: a response that is only accepted is reported") {
  Bench bench;
  bench.initiator.backward = [](Payload&, tlm::tlm_phase&, sc_core::sc_time&) {
    return tlm::TLM_ACCEPTED;
  };
  bench.send_at(10ns, bench.request(kRead, 0x1000, 4));
  CHECK(bench.run() == std::vector{Rule::kResponseAnswer});
}

// Answers every request inside its call.
void answer_in_call(Bench& bench) {
  bench.target.forward = [&](Payload& payload, tlm::tlm_phase& phase, sc_core::sc_time&) {
    bench.target.respond(payload);
    phase = tlm::END_REQ;
    return tlm::TLM_UPDATED;
  };
  bench.send_at(10ns, bench.request(kRead, 0x1000, 4));
  bench.send_at(20ns, bench.request(kWrite, 0x1000, 4));
}

TEST_CASE(
    "response_later: a read's response inside its own call is reported, a write's may be there") {
  Bench bench;
  answer_in_call(bench);
  CHECK(bench.run() == std::vector{Rule::kResponseLater});
  CHECK(bench.checker.violations()[0].text.find("read of 4 bytes") != std::string::npos);
}

TEST_CASE("response_later: a strict checker reports a write's response inside its call too") {
  Bench bench({.posted_in_call = false});
  answer_in_call(bench);
  CHECK(bench.run() == std::vector{Rule::kResponseLater, Rule::kResponseLater});
}

TEST_CASE("one_response: a second response and one that nobody asked for are reported") {
  Bench bench;
  bench.initiator.backward = [](Payload&, tlm::tlm_phase&, sc_core::sc_time&) {
    return tlm::TLM_COMPLETED;
  };
  Payload& payload = bench.request(kRead, 0x1000, 4);
  Payload& unasked = bench.request(kRead, 0x2000, 4);
  bench.send_at(10ns, payload);
  bench.script.at(200ns, [&] { bench.target.respond(payload); });
  bench.script.at(300ns, [&] { bench.target.respond(unasked); });
  CHECK(bench.run() == std::vector{Rule::kOneResponse, Rule::kOneResponse});
}

TEST_CASE("no_reuse: a payload that is sent again before its response is reported") {
  Bench bench;
  Payload& payload = bench.request(kRead, 0x1000, 4);
  bool answered = false;
  bench.target.forward = [&](Payload& sent, tlm::tlm_phase& phase, sc_core::sc_time&) {
    if (!answered) bench.target.answer(sent, 100ns);
    answered = true;
    phase = tlm::END_REQ;
    return tlm::TLM_UPDATED;
  };
  bench.send_at(10ns, payload);
  bench.send_at(20ns, payload);
  CHECK(bench.run() == std::vector{Rule::kNoReuse});
}

TEST_CASE("released: a payload that is released before its response is reported") {
  Bench bench;
  bench.initiator.backward = [](Payload&, tlm::tlm_phase&, sc_core::sc_time&) {
    return tlm::TLM_COMPLETED;
  };
  Payload& payload = bench.request(kRead, 0x1000, 4);
  bench.send_at(10ns, payload);
  bench.script.at(20ns, [&] { payload.release(); });
  CHECK(bench.run() == std::vector{Rule::kReleased});
}

TEST_CASE("no_response: what was never answered is reported at the end, oldest first") {
  Bench bench;
  bench.target.forward = [](Payload&, tlm::tlm_phase& phase, sc_core::sc_time&) {
    phase = tlm::END_REQ;
    return tlm::TLM_UPDATED;
  };
  for (int i = 0; i < 20; ++i) {
    bench.send_at(base::picoseconds(1000 * (i + 1)),
                  bench.request(kRead, 0x1000u * static_cast<unsigned>(i + 1), 4));
  }
  CHECK(bench.run() == std::vector(20, Rule::kNoResponse));
  CHECK(bench.checker.violations()[0].text.find("read of 4 bytes at 0x1000, sent at 1000 ps") !=
        std::string::npos);
  CHECK(bench.checker.violations()[19].text.find("0x14000") != std::string::npos);
}

TEST_CASE("delay: a call that is not at the instant of its effect is reported") {
  Bench bench;
  Payload& payload = bench.request(kRead, 0x1000, 4);
  bench.script.at(10ns, [&] {
    tlm::tlm_phase phase = tlm::BEGIN_REQ;
    sc_core::sc_time delay = bench.scheduler.ahead() + sc_core::sc_time(5, sc_core::SC_PS);
    bench.initiator.socket->nb_transport_fw(payload, phase, delay);
  });
  CHECK(bench.run() == std::vector{Rule::kDelay});
}

TEST_CASE("unchanged: a target that changes a request or written data is reported") {
  Bench bench;
  std::array<unsigned char, 64> other{};
  const std::vector<std::function<void(Payload&)>> changes = {
      [](Payload& payload) { payload.set_command(kRead); },
      [](Payload& payload) { payload.set_address(payload.get_address() + 4); },
      [](Payload& payload) { payload.set_data_length(8); },
      [&](Payload& payload) { payload.set_data_ptr(other.data()); },
      [&](Payload& payload) { payload.set_byte_enable_ptr(other.data()); },
      [](Payload& payload) { payload.get_data_ptr()[3] ^= 1; },
  };
  std::size_t next = 0;
  bench.target.before_response = [&](Payload& payload) { changes[next++](payload); };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    bench.send_at(base::picoseconds(static_cast<std::int64_t>(i) * 1000),
                  bench.request(kWrite, 0x1000, 16));
  }
  CHECK(bench.run() == std::vector(changes.size(), Rule::kUnchanged));
}

TEST_CASE("unchanged: read data and the status are the target's to set") {
  Bench bench;
  bench.target.before_response = [](Payload& payload) {
    payload.get_data_ptr()[0] = 42;
    payload.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
  };
  bench.send_at(10ns, bench.request(kRead, 0x1000, 16));
  CHECK(bench.run().empty());
}

TEST_CASE("status: a request with one and a read's response without one are reported") {
  Bench bench;
  Payload& with_status = bench.request(kRead, 0x1000, 4);
  with_status.set_response_status(tlm::TLM_OK_RESPONSE);
  bench.target.before_response = [](Payload&) {};
  bench.send_at(10ns, with_status);
  bench.send_at(300ns, bench.request(kRead, 0x1000, 4));
  bench.send_at(600ns, bench.request(kWrite, 0x1000, 4));  // posted: its status means nothing
  CHECK(bench.run() == std::vector{Rule::kStatus, Rule::kStatus});
}

TEST_CASE("size: a request of a size that its kind cannot have is reported") {
  Bench bench;
  std::vector<unsigned char> data(8192);
  const auto config = [&](std::uint64_t address, std::size_t bytes) -> Payload& {
    pcie::TlpPayload& payload = bench.request(kRead, address, bytes);
    payload.extension.kind = pcie::TlpKind::kConfig0;
    return payload;
  };
  Payload& streams = bench.request(kRead, 0x1000, 16);
  streams.set_streaming_width(8);
  Payload& ignored = bench.request(tlm::TLM_IGNORE_COMMAND, 0x1000, 16);
  Payload* wrong[] = {&bench.request(kRead, 0x1000, 0),
                      &bench.request(kRead, 0, 4097, data.data()),
                      &config(0x10, 3),
                      &config(0x12, 4),
                      &config(4096, 4),
                      &streams,
                      &ignored};
  base::Time when = 10ns;
  for (Payload* payload : wrong) bench.send_at(when += 10ns, *payload);
  Payload* right[] = {&bench.request(kRead, 0x2000, 4096, data.data()), &config(0x3C, 1),
                      &config(0x3E, 2), &config(0xFFC, 4)};
  for (Payload* payload : right) bench.send_at(when += 10ns, *payload);
  CHECK(bench.run() == std::vector(std::size(wrong), Rule::kSize));
}

TEST_CASE("boundary: a memory request across 4 KiB is reported") {
  Bench bench;
  bench.send_at(10ns, bench.request(kWrite, 0x1FF0, 16));
  bench.send_at(20ns, bench.request(kWrite, 0x1FF1, 16));
  CHECK(bench.run() == std::vector{Rule::kBoundary});
}

TEST_CASE("blocking: b_transport is reported") {
  Bench bench;
  Payload& payload = bench.request(kRead, 0x1000, 4);
  bench.script.at(10ns, [&] {
    sc_core::sc_time delay;
    bench.initiator.socket->b_transport(payload, delay);
  });
  CHECK(bench.run() == std::vector{Rule::kBlocking});
}

TEST_CASE("a foreign module may use all of the base protocol and its own delays") {
  Bench bench({.foreign = true});
  bench.initiator.backward = [](Payload&, tlm::tlm_phase& phase, sc_core::sc_time&) {
    return phase == tlm::BEGIN_RESP ? tlm::TLM_COMPLETED : tlm::TLM_ACCEPTED;
  };
  int way = 0;
  bench.target.forward = [&](Payload& payload, tlm::tlm_phase& phase, sc_core::sc_time& delay) {
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    switch (way++) {
      case 0:  // completes early
        delay += sc_core::sc_time(7, sc_core::SC_NS);
        return tlm::TLM_COMPLETED;
      case 1:  // responds in the return
        phase = tlm::BEGIN_RESP;
        return tlm::TLM_UPDATED;
      default:  // accepts, ends the request later, responds after that
        bench.script.at(bench.scheduler.now() + 5ns, [&] {
          bench.target.back(payload, tlm::END_REQ);
          bench.target.answer(payload, 5ns);
        });
        return tlm::TLM_ACCEPTED;
    }
  };
  for (int i = 0; i < 3; ++i) {
    bench.send_at(base::picoseconds(1000 * i), bench.request(kRead, 0x1000, 4));
  }
  CHECK(bench.run().empty());
}

TEST_CASE("all violations are counted and only the first are kept") {
  Bench bench({.keep = 3});
  for (int i = 0; i < 10; ++i) {
    bench.send_at(base::picoseconds(1000 * i), bench.request(kWrite, 0x1FFF, 2));
  }
  CHECK(bench.run() == std::vector(3, Rule::kBoundary));
  CHECK(bench.checker.violation_count() == 10);
}

TEST_CASE("every rule has a name and a description of its own") {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < check::kRuleCount; ++i) {
    const auto rule = static_cast<Rule>(i);
    CHECK_FALSE(check::name(rule).empty());
    CHECK_FALSE(check::description(rule).empty());
    CHECK(std::find(names.begin(), names.end(), check::name(rule)) == names.end());
    names.push_back(check::name(rule));
  }
}

// One of our own initiators against one of our own targets.
struct OurTarget : sc_core::sc_module {
  void request(Payload& payload) {
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    scheduler.at<&OurTarget::respond>(scheduler.now() + 30ns, this,
                                      reinterpret_cast<std::uint64_t>(&payload));
  }
  void respond(std::uint64_t payload) { socket.respond(*reinterpret_cast<Payload*>(payload)); }
  unsigned debug(Payload& payload) { return payload.get_data_length(); }
  OurTarget(sc_core::sc_module_name name, base::Scheduler& shared)
      : sc_core::sc_module(name), scheduler(shared) {}
  base::Scheduler& scheduler;
  base::TargetSocket<OurTarget, &OurTarget::request, &OurTarget::debug> socket{"socket", this,
                                                                               scheduler};
};

struct OurInitiator : sc_core::sc_module {
  void response(Payload& payload) {
    answered_at.push_back(scheduler.now());
    payload.release();
  }
  OurInitiator(sc_core::sc_module_name name, base::Scheduler& shared)
      : sc_core::sc_module(name), scheduler(shared) {}
  base::Scheduler& scheduler;
  std::vector<base::Time> answered_at;
  base::InitiatorSocket<OurInitiator, &OurInitiator::response> socket{"socket", this, scheduler};
};

TEST_CASE("a splice costs no time and no entry, and our own sockets pass the checker") {
  base::Scheduler scheduler("scheduler");
  pcie::TlpPool pool;
  Script script(scheduler);
  OurInitiator plain_initiator("plain_initiator", scheduler);
  OurTarget plain_target("plain_target", scheduler);
  plain_initiator.socket.bind(plain_target.socket);
  OurInitiator initiator("initiator", scheduler);
  OurTarget target("target", scheduler);
  base::Splice splice("splice");
  check::BaseProtocolChecker checker("checker", scheduler);
  initiator.socket.bind(splice.upstream.in);
  splice.upstream.out.bind(checker.upstream.in);
  checker.upstream.out.bind(target.socket);

  const auto send_all = [&](OurInitiator& from, base::Time start) {
    for (int i = 0; i < 50; ++i) {
      Payload& payload = make_request(pool, i % 2 == 0 ? kRead : kWrite, 0x1000, 8);
      script.at(start + base::picoseconds(777 * i), [&] { from.socket.request(payload); });
    }
  };
  send_all(plain_initiator, 0ns);
  sc_core::sc_start(1, sc_core::SC_US);
  const std::uint64_t plain_entries = scheduler.entries_run();
  CHECK(plain_entries == 100);  // one that sends and one that answers, 50 times
  send_all(initiator, 1us);
  sc_core::sc_start(1, sc_core::SC_US);
  CHECK(scheduler.entries_run() == 2 * plain_entries);
  REQUIRE(initiator.answered_at.size() == 50);
  for (std::size_t i = 0; i < 50; ++i) {
    CHECK(initiator.answered_at[i] == plain_initiator.answered_at[i] + 1us);
  }
  checker.finish();
  CHECK(checker.requests() == 50);
  CHECK(checker.violation_count() == 0);

  Payload& payload = make_request(pool, kRead, 0x1000, 8);
  CHECK(initiator.socket->transport_dbg(payload) == 8);
  tlm::tlm_dmi dmi;
  CHECK_FALSE(initiator.socket->get_direct_mem_ptr(payload, dmi));
}

TEST_CASE("a foreign target stays one behind a splice: its responses are taken in entries") {
  base::Scheduler scheduler("scheduler");
  pcie::TlpPool pool;
  Script script(scheduler);
  OurInitiator initiator("initiator", scheduler);
  RawTarget target("target", scheduler);
  base::Splice splice("splice");
  initiator.socket.bind(splice.downstream.in);
  splice.downstream.out.bind(target.socket);
  for (int i = 0; i < 10; ++i) {
    Payload& payload = make_request(pool, kRead, 0x1000, 8);
    script.at(base::picoseconds(1000 * i), [&] { initiator.socket.request(payload); });
  }
  sc_core::sc_start();
  CHECK(initiator.answered_at.size() == 10);
  CHECK(scheduler.entries_run() == 30);  // sent, answered, taken
}

}  // namespace
}  // namespace nvmesim::tests
