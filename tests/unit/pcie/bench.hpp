// Ends for links and endpoints under test: initiators and targets that log what they see, and a
// script of things to do at given times. A protocol checker sits in every socket; what it reports
// ends the test.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "pcie/link.hpp"
#include "pcie/tlp.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/sockets.hpp"
#include "sim/check/checked_sockets.hpp"

namespace nvmesim::test {

using base::GenericPayload;
using base::Time;

class Script {
 public:
  explicit Script(base::Scheduler& scheduler) : scheduler_(scheduler) {}
  void at(Time when, std::function<void()> step) {
    steps_.push_back(std::move(step));
    scheduler_.at(when, base::Callback(
                            [](void* script, std::uint64_t index) {
                              static_cast<Script*>(script)->steps_[index]();
                            },
                            this, steps_.size() - 1));
  }

 private:
  base::Scheduler& scheduler_;
  std::deque<std::function<void()>> steps_;
};

struct Seen {
  std::uint64_t address = 0;  // names the request
  Time when{0};
  bool operator==(const Seen&) const = default;
};

// An initiator. Addresses name its requests.
class Requests : public sc_core::sc_module {
  void response(GenericPayload& payload) {
    responses.push_back({payload.get_address(), scheduler_.now()});
    statuses.push_back(payload.get_response_status());
    if (on_response) on_response(payload);
    payload.release();
  }

 public:
  base::InitiatorSocket<Requests, &Requests::response> out;
  std::vector<Seen> responses;
  std::vector<tlm::tlm_response_status> statuses;
  std::function<void(GenericPayload&)> on_response;
  pcie::TlpPool pool;

  Requests(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name), out("out", this, scheduler), scheduler_(scheduler) {}

  pcie::TlpPayload& send(tlm::tlm_command command, std::uint64_t address, std::size_t bytes,
                         const std::function<void(pcie::Tlp&)>& set = {}) {
    // What is read must not change what is being written.
    auto& data = command == tlm::TLM_READ_COMMAND ? into_ : from_;
    auto* payload = pool.take();
    base::set_access(*payload, command, address, data.data(), bytes);
    if (set) set(payload->extension);
    out.request(*payload);
    return *payload;
  }
  pcie::TlpPayload& write(std::uint64_t address, std::size_t bytes,
                          const std::function<void(pcie::Tlp&)>& set = {}) {
    return send(tlm::TLM_WRITE_COMMAND, address, bytes, set);
  }
  pcie::TlpPayload& read(std::uint64_t address, std::size_t bytes) {
    return send(tlm::TLM_READ_COMMAND, address, bytes);
  }
  Time response_to(std::uint64_t address) const {
    for (const Seen& seen : responses) {
      if (seen.address == address) return seen.when;
    }
    return base::kTimeMax;
  }

 private:
  base::Scheduler& scheduler_;
  std::vector<unsigned char> from_ = std::vector<unsigned char>(1 << 17);
  std::vector<unsigned char> into_ = std::vector<unsigned char>(1 << 17);
};

// A target: posted requests are given back at once, the others answered after `latency`.
class Serves : public sc_core::sc_module {
  void request(GenericPayload& payload) {
    seen.push_back({payload.get_address(), scheduler_.now()});
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    if (on_request) on_request(payload);
    if (pcie::is_posted(payload)) {
      in.respond(payload);
    } else {
      scheduler_.after<&Serves::answer>(latency, this, reinterpret_cast<std::uint64_t>(&payload));
    }
  }
  unsigned debug(GenericPayload&) { return 0; }
  void answer(std::uint64_t payload) {
    auto& request = *reinterpret_cast<GenericPayload*>(payload);
    answered.push_back({request.get_address(), scheduler_.now()});
    if (on_answer) on_answer(request);
    in.respond(request);
  }

 public:
  base::TargetSocket<Serves, &Serves::request, &Serves::debug> in;
  Time latency{100ns};
  std::vector<Seen> seen;
  std::vector<Seen> answered;
  std::function<void(GenericPayload&)> on_request;
  std::function<void(GenericPayload&)> on_answer;

  Serves(sc_core::sc_module_name name, base::Scheduler& scheduler)
      : sc_core::sc_module(name), in("in", this, scheduler), scheduler_(scheduler) {}

  Time seen_at(std::uint64_t address) const {
    for (const Seen& each : seen) {
      if (each.address == address) return each.when;
    }
    return base::kTimeMax;
  }
  std::vector<std::uint64_t> order() const {
    std::vector<std::uint64_t> addresses;
    for (const Seen& each : seen) addresses.push_back(each.address);
    return addresses;
  }

 private:
  base::Scheduler& scheduler_;
};

// The checked sockets of a link; also where there is no Catch.
struct LinkSockets {
  check::CheckedSockets checked;
  template <class Root, class Device, class Endpoint, class Memory>
  LinkSockets(const std::string& name, base::Scheduler& scheduler, pcie::Link& link, Root& root,
              Device& device, Endpoint& endpoint, Memory& memory)
      : checked(true, scheduler) {
    constexpr auto kDown = base::Splice::Direction::kDownstream;
    constexpr auto kUp = base::Splice::Direction::kUpstream;
    // The link carries what no requester may send, too.
    const check::CheckerOptions options{.any_size = true};
    checked.bind(name + "_root", root, link.from_root, kDown, options);
    checked.bind(name + "_device", link.to_endpoint, device, kDown, options);
    checked.bind(name + "_endpoint", endpoint, link.from_endpoint, kUp, options);
    checked.bind(name + "_memory", link.to_root, memory, kUp, options);
  }
  // Requests may be open: links lose some.
  ~LinkSockets() {
    const std::vector<std::string> violations = checked.violations(false);
    for (const std::string& each : violations) fmt::print(stderr, "{}\n", each);
    if (!violations.empty()) std::abort();
  }
};

// A link with such ends.
struct LinkBench {
  base::Scheduler scheduler;
  Script script{scheduler};
  pcie::Link link;
  Requests root{"root", scheduler};
  Requests endpoint{"endpoint", scheduler};
  Serves memory{"memory", scheduler};
  Serves device{"device", scheduler};
  LinkSockets sockets{"link", scheduler, link, root.out, device.in, endpoint.out, memory.in};

  explicit LinkBench(const pcie::LinkConfig& config = {}, Time quantum = 1s)
      : scheduler("scheduler", quantum), link("link", config, scheduler) {}

  base::Pace pace() const {
    const auto& config = link.config();
    return pcie::formula::tlp_pace(config.generation, config.lanes, config.max_payload_bytes);
  }
  Time delay() const {
    return std::chrono::nanoseconds(link.config().propagation_ns + link.config().stack_latency_ns);
  }
  void run() { sc_core::sc_start(); }
};

inline constexpr std::uint64_t kHigh = std::uint64_t{1} << 32;  // addresses with 24-byte headers

inline void relaxed(pcie::Tlp& tlp) {
  tlp.relaxed_ordering = true;
}
inline void deferrable(pcie::Tlp& tlp) {
  tlp.deferrable = true;
}

}  // namespace nvmesim::test
