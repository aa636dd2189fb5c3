// A PCIe link between a root port and an endpoint: two directions, each a server that serialises
// TLPs with the exact cost of pcie/formula.hpp, then a delay. `burst` computes with whole transfers
// (pcie/direction.hpp); `tlp` simulates each TLP with credits, acknowledgements and replays
// (pcie/tlp_direction.hpp). It trains, changes speed and width, sleeps when idle, and goes down.
//
// Contract. Sockets carry whole requests; one is delivered when its last TLP has arrived, a
// completion likewise. Order is PCIe's. BEGIN_RESP of a posted write comes when its last TLP has
// been issued if it is longer than one MPS or Tlp::sent_awaited is set: nothing sent after that can
// pass it. Otherwise it comes back with the delivery.
// A posted write with Tlp::deferrable waits for the next delivery of its direction and is delivered
// just before it, unless deliver_promptly() is on, and at latest deferral_limit_us after arrival
// (burst only).
// While the link is down, and for what it lost when it went down: a posted write comes back
// undelivered, other requests with Unsupported Request (or never: lost_requests).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "pcie/direction.hpp"
#include "pcie/forwarding.hpp"
#include "pcie/link_config.hpp"
#include "pcie/link_events.hpp"
#include "pcie/link_faults.hpp"
#include "pcie/link_points.hpp"
#include "pcie/link_power.hpp"
#include "pcie/tlp.hpp"
#include "pcie/tlp_direction.hpp"
#include "pcie/tlp_log.hpp"
#include "pcie/training.hpp"
#include "sim/base/sockets.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::pcie {

class PciExpressCapability;

class Link : public sc_core::sc_module, private TrainingActions {
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

  // run_seed: of the stream of bit errors.
  Link(sc_core::sc_module_name name, const LinkConfig& config, base::Scheduler& scheduler,
       std::uint64_t run_seed = 1);

  // With true, deferrable writes of that direction are delivered at their arrival, and those that
  // have arrived already are delivered by an entry at now().
  void deliver_promptly(Direction direction, bool promptly);

  // From now on `log` is shown every TLP; an empty one ends it.
  void set_tlp_log(TlpLog log);
  // Where fault rules look at TLPs. With a rule the link simulates each TLP from the next time on
  // that its wires are silent.
  LinkPoints& points() { return points_; }
  void add_listener(LinkListener& listener) { listeners_.push_back(&listener); }

  // What software does with a link, through the registers of the ports. Nothing of it waits: the
  // listeners hear when it has happened.
  //
  // Recovery with a speed and width from then on, cut off at what is built. Nothing is lost.
  void retrain(unsigned generation, unsigned lanes);
  void retrain();
  void disable();
  void enable();
  // Link Control of the port above was written: what it says of these three.
  void obey(const PciExpressCapability& port);
  void hot_reset();
  // The other end is gone for a moment; the link trains anew.
  void surprise_down();
  // Which power states an idle link may enter: what the registers of the port that transmits in
  // `direction` say. A port that has never spoken allows what `power.aspm` says.
  void set_port_power(Direction direction, const PortPower& power);
  // The function behind is in D3hot: the link sleeps in L1 whenever it is idle.
  void device_sleeps(bool sleeps);

  // At a switch (pcie/forwarding.hpp). Who hears of what comes out of `direction` before it is
  // there, and does the same for what goes in by the other one.
  void set_forwarder(Direction direction, Forwarder& forwarder);
  // So much of a request or completion that will be handed over for `direction` may be sent; or it
  // will not come.
  void announce(Direction direction, base::GenericPayload& payload, TrafficClass traffic,
                TlpShare share);
  void withdraw(Direction direction, const base::GenericPayload& payload);

  LinkState state() const { return training_.state(); }
  bool up() const { return training_.up(); }
  unsigned generation() const { return training_.generation(); }
  unsigned lanes() const { return training_.lanes(); }
  LinkPowerState power_state(Direction direction) const;
  const LinkPowerModel& power() const { return power_; }
  // What it does at present, not what is configured.
  LinkResolution resolution() const {
    return tlp_[0] != nullptr ? LinkResolution::tlp : LinkResolution::burst;
  }
  // All zero while the resolution is burst.
  TlpDirection::Counters tlp_counters(Direction direction) const;

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
  class Ends final : public TlpEnds {
   public:
    Ends(Link& link, Direction direction) : link_(link), direction_(direction) {}
    void sent(tlm::tlm_generic_payload& payload) override;
    void arrived(tlm::tlm_generic_payload& payload, TrafficClass traffic) override;
    void lost(const Transfer& transfer, bool reported) override;
    void refused(const Transfer& transfer, bool abort) override;
    TlpRecord describe(const Transfer& transfer, std::uint32_t index) const override;
    TlpFault examine(const TlpRecord& record) override;
    void error(LinkError error) override;
    void coming(tlm::tlm_generic_payload& payload, TrafficClass traffic, TlpShare share) override;
    // The link went down: what arrives from now on is lost.
    void cut() { cut_ = true; }

   private:
    void arrived_cut(tlm::tlm_generic_payload& payload, TrafficClass traffic);
    Link& link_;
    Direction direction_;
    bool cut_ = false;
  };
  // A direction that computes with whole transfers.
  struct Burst {
    Burst(Link& link, Direction direction_of);
    Ends ends;
    LinkDirection direction;
    base::Time over{0};  // once cut: when its last entry has run
  };
  struct Lost {
    Direction direction;
    Transfer transfer;
    bool reported;
    bool link_down;
  };

  void accept(Direction direction, base::GenericPayload& payload);
  void accept_configuration(Direction direction, base::GenericPayload& payload);
  void accept_response(Direction request_direction, base::GenericPayload& payload);
  Transfer memory_transfer(base::GenericPayload& payload, const Tlp& tlp) const;
  Transfer completion_transfer(base::GenericPayload& payload, std::uint32_t& bytes) const;
  Transfer announced_transfer(base::GenericPayload& payload, TrafficClass traffic) const;
  void send(Direction direction, const Transfer& transfer, std::uint32_t payload_bytes);
  void end_posted(Direction direction, base::GenericPayload& payload);
  void answer(Direction request_direction, base::GenericPayload& payload);
  TlpRecord describe(Direction direction, const Transfer& transfer, std::uint32_t index) const;

  // Everything but the plain case, in link_control.cpp.
  void send_specially(Direction direction, const Transfer& transfer);
  void pass(Direction direction, const Transfer& transfer);
  void log_transfer(Direction direction, const Transfer& transfer) const;
  void hold_until(Direction direction, base::Time when);
  void release_event(std::uint64_t direction);
  void release_held();
  void lose(const Lost& lost);
  void lost_event();
  void end_lost(const Lost& lost);
  void refuse(Direction request_direction, base::GenericPayload& payload);
  void begin_recovery();
  void simulate_tlps();
  void start_simulating_tlps();
  void surprise_event();
  void cut_burst(Direction direction);
  void apply_timing();
  void withdraw_forwarded(Direction direction, base::GenericPayload& payload);
  bool beside_switch() const { return forwarders_[0] != nullptr || forwarders_[1] != nullptr; }
  void update_attention();
  base::Time quiet_at(Direction direction) const;
  LinkPowerModel::IdleSince idle_since() const;
  TlpTiming tlp_timing() const;
  base::Time one_way_delay() const;
  base::Time deferral_limit() const;

  void train_state_changed(LinkState state) override;
  void trained_down(LinkDownCause cause) override;
  void trained_up() override;
  void trained_again() override;

  Burst& burst_of(Direction direction) { return *burst_[static_cast<std::size_t>(direction)]; }
  // True for a posted request whose BEGIN_RESP comes at its issue, not with its delivery.
  bool answers_early(const base::GenericPayload& payload, const Tlp& tlp) const;

  const LinkConfig config_;
  base::Scheduler& scheduler_;
  const std::uint64_t run_seed_;
  const formula::Headers headers_;
  const unsigned payload_shift_;     // log2 of the bytes of a full write TLP
  const unsigned request_shift_;     // ... of what one read request asks for
  const unsigned completion_shift_;  // ... of a full completion TLP
  Training training_;
  base::Pace pace_;
  std::array<std::unique_ptr<Burst>, 2> burst_;
  std::array<std::array<Counters, kTrafficClasses>, 2> counters_{};

  // True if a transfer cannot just be handed to burst_.
  bool attention_ = false;
  LinkPoints points_;
  std::unique_ptr<TlpFaultRules> faults_;  // as configured; null without any
  TlpLog log_;
  std::vector<LinkListener*> listeners_;
  std::array<Forwarder*, 2> forwarders_{};  // by direction; null: no switch there
  LinkPowerModel power_;
  bool disabled_by_port_ = false;
  std::array<PortPower, 2> port_power_;  // by direction
  std::array<Ends, 2> tlp_ends_{Ends{*this, Direction::kDown}, Ends{*this, Direction::kUp}};
  std::array<std::unique_ptr<TlpDirection>, 2> tlp_;  // null: burst_ works
  std::array<std::deque<Transfer>, 2> held_;          // until a recovery or a wake-up is over
  std::array<base::Scheduler::Handle, 2> release_;
  std::array<bool, 2> releasing_{};  // what is held
  bool holding_ = false;             // for a recovery, or for silent wires
  bool recovering_ = false;          // from retrain() to its end
  base::Scheduler::Handle recovery_;
  base::Scheduler::Handle switch_;
  std::deque<Lost> lost_;
  std::array<bool, 2> promptly_{};
  std::vector<std::unique_ptr<Burst>> cut_;
  std::array<base::Time, 2> busy_before_{};  // at other speeds
  std::array<std::uint64_t, 2> bytes_before_{};
  struct Events {
    std::uint64_t downs = 0;
    std::uint64_t recoveries = 0;
    std::uint64_t lost_requests = 0;  // and completions
    std::uint64_t deferred_before[2] = {0, 0};
  };
  Events events_;
};

}  // namespace nvmesim::pcie
