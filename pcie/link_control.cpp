// A link that is not simply up and burst: held for a recovery or a wake-up, simulating TLPs,
// logged.
#include <algorithm>
#include <string>

#include "pcie/capabilities.hpp"
#include "pcie/link.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::pcie {

// Timing.

// Generation 6: a TLP counts when its flit is whole and checked, half a flit later on average.
base::Time Link::one_way_delay() const {
  const base::Time fixed = std::chrono::nanoseconds(config_.propagation_ns) +
                           std::chrono::nanoseconds(config_.stack_latency_ns);
  if (generation() < 6) return fixed;
  return fixed + formula::raw_pace(6, lanes())(formula::kFlitBytes / 2);
}

base::Time Link::deferral_limit() const {
  return std::chrono::microseconds(config_.deferral_limit_us);
}

TlpTiming Link::tlp_timing() const {
  const unsigned g = generation();
  const std::uint64_t mps = config_.max_payload_bytes;
  TlpTiming timing;
  timing.delay = one_way_delay();
  timing.credit_update_latency = std::chrono::nanoseconds(config_.credits.update_latency_ns);
  timing.replay_buffer_tlps = config_.replay_buffer_tlps;
  if (g >= 6) {
    timing.pace = pace_;
    timing.replay_timeout = 2 * timing.delay + 3 * pace_(mps + headers_.memory64);
    // ACKs go with the next flit.
    timing.replay_timeout += 3 * pace_(formula::kFlitBytes);
    return timing;
  }
  const base::Pace raw = formula::raw_pace(g, lanes());
  timing.pace = raw;
  timing.dllp_time = raw(8);
  timing.dllp_interval = raw(formula::ack_interval_symbols(g, lanes(), mps) * lanes());
  timing.skip_time = raw(4 * lanes());
  timing.skip_interval = raw(1538 * lanes());
  timing.replay_timeout =
      3 * timing.dllp_interval + 2 * timing.delay + 3 * raw(mps + formula::kHeader64);
  return timing;
}

Link::Burst::Burst(Link& link, Direction direction_of)
    : ends(link, direction_of),
      direction(ends, link.scheduler_, link.pace_, link.one_way_delay(), link.deferral_limit()) {}

void Link::apply_timing() {
  for (const Direction direction : kBothDirections) {
    const std::size_t d = index_of(direction);
    busy_before_[d] = busy(direction);
    bytes_before_[d] = 0;
    for (const Counters& of_class : counters_[d]) bytes_before_[d] += of_class.wire_bytes;
  }
  pace_ = formula::tlp_pace(generation(), lanes(), config_.max_payload_bytes);
  for (const Direction direction : kBothDirections) {
    burst_of(direction).direction.set_timing(pace_, one_way_delay());
    if (tlp_[index_of(direction)] != nullptr) tlp_[index_of(direction)]->resume(tlp_timing());
  }
}

void Link::update_attention() {
  attention_ = log_ || beside_switch() || tlp_[0] != nullptr || !up() || holding_ ||
               power_.possible() || !held_[0].empty() || !held_[1].empty();
}

// When the wire of a direction has sent everything, if nothing else comes.
base::Time Link::quiet_at(Direction direction) const {
  const std::size_t d = index_of(direction);
  const base::Time burst = burst_[d]->direction.drained_at();
  if (tlp_[d] == nullptr) return burst;
  const base::Time free = std::max(burst, tlp_[d]->free_at());
  return tlp_[d]->idle() ? free : std::max(free, scheduler_.now());
}

LinkPowerModel::IdleSince Link::idle_since() const {
  return {quiet_at(Direction::kDown), quiet_at(Direction::kUp)};
}

LinkPowerState Link::power_state(Direction direction) const {
  return power_.state(direction, scheduler_.now(), idle_since());
}

// Sending.

void Link::send_specially(Direction direction, const Transfer& transfer) {
  const std::size_t d = index_of(direction);
  if (!up()) {
    lose({direction, transfer, !transfer.report_sent, true});
    return;
  }
  if (points_.tlp.armed() && tlp_[d] == nullptr) simulate_tlps();
  if (holding_ || releasing_[d] || !held_[d].empty()) {
    held_[d].push_back(transfer);
    return;
  }
  if (power_.possible()) {
    const base::Time awake = power_.wake(direction, scheduler_.now(), idle_since());
    if (awake > scheduler_.now()) {
      held_[d].push_back(transfer);
      hold_until(direction, awake);
      return;
    }
  }
  pass(direction, transfer);
}

void Link::pass(Direction direction, const Transfer& transfer) {
  const std::size_t d = index_of(direction);
  if (tlp_[d] != nullptr) {
    tlp_[d]->send(transfer);
    return;
  }
  if (log_ && transfer.announced_tlps == 0) log_transfer(direction, transfer);
  if (beside_switch()) {
    burst_[d]->direction.send_beside_switch(transfer);
  } else {
    burst_[d]->direction.send(transfer);
  }
}

void Link::hold_until(Direction direction, base::Time when) {
  release_[index_of(direction)] =
      scheduler_.at<&Link::release_event>(when, this, static_cast<std::uint64_t>(direction));
}

void Link::release_event(std::uint64_t direction) {
  auto& held = held_[direction];
  releasing_[direction] = true;
  while (!holding_ && !held.empty()) {
    const Transfer transfer = held.front();
    held.pop_front();
    pass(static_cast<Direction>(direction), transfer);
  }
  releasing_[direction] = false;
  update_attention();
}

void Link::release_held() {
  for (const Direction direction : kBothDirections) {
    if (!scheduler_.pending(release_[index_of(direction)])) {
      release_event(static_cast<std::uint64_t>(direction));
    }
  }
}

// Simulating TLPs.

void Link::set_tlp_log(TlpLog log) {
  log_ = std::move(log);
  update_attention();
}

void Link::log_transfer(Direction direction, const Transfer& transfer) const {
  for (std::uint32_t i = 0; i < transfer.segments.tlps; ++i) {
    log_(describe(direction, transfer, i));
  }
}

// From when the wires are silent; what is sent until then waits.
void Link::simulate_tlps() {
  if (scheduler_.pending(switch_)) return;
  const base::Time now = scheduler_.now();
  const base::Time quiet = std::max({now, quiet_at(Direction::kDown), quiet_at(Direction::kUp)});
  if (quiet == now) {
    start_simulating_tlps();
    return;
  }
  holding_ = true;
  update_attention();
  switch_ = scheduler_.at<&Link::start_simulating_tlps>(quiet, this);
}

void Link::start_simulating_tlps() {
  if (tlp_[0] != nullptr) return;
  for (const Direction direction : kBothDirections) {
    const std::size_t d = index_of(direction);
    burst_[d]->direction.deliver_promptly(true);
    const std::string user =
        std::string(name()) + (direction == Direction::kDown ? ".down" : ".up");
    tlp_[d] = std::make_unique<TlpDirection>(
        tlp_ends_[d], scheduler_, tlp_timing(),
        CreditAccounts(config_.credits, config_.max_payload_bytes),
        BitErrors(config_.bit_errors_per_petabit, base::Random(run_seed_, user)));
    if (recovering_) tlp_[d]->pause();
  }
  tlp_[0]->connect(*tlp_[1]);
  tlp_[1]->connect(*tlp_[0]);
  holding_ = recovering_;
  update_attention();
  if (!holding_) release_held();
}

void Link::Ends::lost(const Transfer& transfer, bool reported) {
  link_.lose({direction_, transfer, reported, !link_.up()});
}

TlpRecord Link::Ends::describe(const Transfer& transfer, std::uint32_t index) const {
  return link_.describe(direction_, transfer, index);
}

TlpFault Link::Ends::examine(const TlpRecord& record) {
  TlpFault fault;
  if (link_.faults_ != nullptr) link_.faults_->examine(record, fault);
  if (link_.points_.tlp.armed()) link_.points_.tlp(record, fault);
  if (fault.link_down) {
    link_.scheduler_.at<&Link::surprise_event>(link_.scheduler_.now(), &link_);
  }
  if (link_.log_) {
    TlpRecord logged = record;
    logged.poisoned |= fault.poison;
    link_.log_(logged);
  }
  return fault;
}

void Link::Ends::error(LinkError error) {
  for (LinkListener* listener : link_.listeners_) listener->link_error(error, direction_);
  if (error == LinkError::kReplayRollover) link_.retrain();
}

// Recovery.

void Link::retrain(unsigned generation, unsigned lanes) {
  training_.set_target(generation, lanes);
  retrain();
}

// It begins when the running TLPs have left, or with whole transfers these.
void Link::obey(const PciExpressCapability& port) {
  const bool disabled = port.link_disabled();
  if (disabled != disabled_by_port_) {
    disabled_by_port_ = disabled;
    disabled ? disable() : enable();
  } else if (port.retrain_requested() && !disabled) {
    retrain(port.target_speed(), config_.lanes);
  }
}

void Link::retrain() {
  if (!training_.can_recover() || recovering_) return;
  recovering_ = holding_ = true;
  update_attention();
  base::Time quiet = scheduler_.now();
  for (const Direction direction : kBothDirections) {
    const std::size_t d = index_of(direction);
    quiet = std::max(quiet, burst_[d]->direction.drained_at());
    if (tlp_[d] == nullptr) continue;
    tlp_[d]->pause();
    quiet = std::max(quiet, tlp_[d]->free_at());
  }
  recovery_ = scheduler_.at<&Link::begin_recovery>(quiet, this);
}

void Link::begin_recovery() {
  ++events_.recoveries;
  training_.recover();
}

void Link::trained_again() {
  recovering_ = false;
  holding_ = scheduler_.pending(switch_);
  apply_timing();
  update_attention();
  if (!holding_) release_held();
}

void Link::train_state_changed(LinkState state) {
  for (LinkListener* listener : listeners_) listener->link_state(state);
}

void Link::set_port_power(Direction direction, const PortPower& power) {
  port_power_[index_of(direction)] = power;
  power_.control(AspmControl::of(port_power_[0], port_power_[1]));
  update_attention();
}

void Link::device_sleeps(bool sleeps) {
  power_.device_sleeps(sleeps);
  update_attention();
}

}  // namespace nvmesim::pcie
