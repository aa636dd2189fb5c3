// A PCIe link between a root port and an endpoint: two directions, each a server that serialises
// TLPs with the exact cost of pcie/formula.hpp and shares fairly (pcie/wire.hpp), then a delay.
//
// Contract. Sockets carry whole requests; one is delivered when its last TLP has arrived, a
// completion likewise. Order is PCIe's (pcie/direction.hpp). BEGIN_RESP of a posted write comes
// when its last TLP has been issued if it is longer than one MPS or Tlp::sent_awaited is set:
// nothing sent after that can pass it. Otherwise it comes back with the delivery.
// A posted write with Tlp::deferrable waits for the next delivery of its direction and is delivered
// just before it, unless deliver_promptly() is on, and at latest deferral_limit_us after arrival.
#pragma once

#include <array>
#include <boost/describe.hpp>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "pcie/direction.hpp"
#include "pcie/tlp.hpp"
#include "pcie/tlp_log.hpp"
#include "sim/base/config.hpp"
#include "sim/base/sockets.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::pcie {

struct LinkConfig {
  std::uint32_t generation = 4;
  std::uint32_t lanes = 4;
  std::uint32_t max_payload_bytes = 256;
  std::uint32_t max_read_request_bytes = 512;
  std::uint32_t read_completion_boundary_bytes = 0;
  std::uint32_t propagation_ns = 10;
  std::uint32_t stack_latency_ns = 130;
  std::uint32_t deferral_limit_us = 2000;

  static std::span<const base::ParamInfo> params();
  // Throws UserError, which names the parameter, if a value cannot be built.
  void validate() const;
};
BOOST_DESCRIBE_STRUCT(LinkConfig, (),
                      (generation, lanes, max_payload_bytes, max_read_request_bytes,
                       read_completion_boundary_bytes, propagation_ns, stack_latency_ns,
                       deferral_limit_us))

class Link : public sc_core::sc_module {
  // The sockets name these.
  void request_from_root(base::GenericPayload& payload);
  void request_from_endpoint(base::GenericPayload& payload);
  void response_from_root(base::GenericPayload& payload);
  void response_from_endpoint(base::GenericPayload& payload);
  unsigned debug_from_root(base::GenericPayload& payload);
  unsigned debug_from_endpoint(base::GenericPayload& payload);

 public:
  base::TargetSocket<Link, &Link::request_from_root, &Link::debug_from_root> from_root;
  base::InitiatorSocket<Link, &Link::response_from_endpoint> to_endpoint;
  base::TargetSocket<Link, &Link::request_from_endpoint, &Link::debug_from_endpoint> from_endpoint;
  base::InitiatorSocket<Link, &Link::response_from_root> to_root;

  Link(sc_core::sc_module_name name, const LinkConfig& config, base::Scheduler& scheduler);

  // With true, deferrable writes of that direction are delivered at their arrival, and those that
  // have arrived already are delivered by an entry at now().
  void deliver_promptly(Direction direction, bool promptly);

  // From now on `log` is shown every TLP; an empty one ends it.
  void set_tlp_log(TlpLog log) { log_ = std::move(log); }

  const LinkConfig& config() const { return config_; }
  // Time that the wire of a direction needs for everything accepted so far.
  base::Time busy(Direction direction) const;

  struct Counters {
    std::uint64_t tlps = 0;
    std::uint64_t payload_bytes = 0;
    std::uint64_t wire_bytes = 0;
  };
  const Counters& counters(Direction direction, TrafficClass traffic) const {
    return counters_[static_cast<std::size_t>(direction)][static_cast<std::size_t>(traffic)];
  }
  void register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const;

 private:
  // The two ends of one direction: which sockets sent() and arrived() speak to.
  class Ends final : public DirectionEnds {
   public:
    Ends(Link& link, Direction direction) : link_(link), direction_(direction) {}
    void sent(tlm::tlm_generic_payload& payload) override;
    void arrived(tlm::tlm_generic_payload& payload, TrafficClass traffic) override;

   private:
    Link& link_;
    Direction direction_;
  };

  void accept(Direction direction, base::GenericPayload& payload);
  void accept_response(Direction request_direction, base::GenericPayload& payload);
  void send(Direction direction, const Transfer& transfer, std::uint32_t payload_bytes);
  TlpRecord describe(Direction direction, const Transfer& transfer, std::uint32_t index) const;
  [[gnu::noinline]] void log_transfer(Direction direction, const Transfer& transfer) const;
  void end_posted(Direction direction, base::GenericPayload& payload);
  void answer(Direction request_direction, base::GenericPayload& payload);
  base::Time one_way_delay() const;
  base::Time deferral_limit() const;
  LinkDirection& wire_of(Direction direction) {
    return direction == Direction::kDown ? down_ : up_;
  }
  // True for a posted request whose BEGIN_RESP comes at its issue, not with its delivery.
  bool answers_early(const base::GenericPayload& payload, const Tlp& tlp) const {
    return payload.get_data_length() > config_.max_payload_bytes || tlp.sent_awaited;
  }

  const LinkConfig config_;
  base::Scheduler& scheduler_;
  const base::Pace pace_;
  const unsigned payload_shift_;     // log2 of the bytes of a full write TLP
  const unsigned request_shift_;     // ... of what one read request asks for
  const unsigned completion_shift_;  // ... of a full completion TLP
  Ends down_ends_{*this, Direction::kDown};
  Ends up_ends_{*this, Direction::kUp};
  LinkDirection down_;
  LinkDirection up_;
  std::array<std::array<Counters, kTrafficClasses>, 2> counters_{};
  TlpLog log_;
};

}  // namespace nvmesim::pcie
