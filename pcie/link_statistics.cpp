// What a link reports.
#include <fmt/format.h>

#include <string>

#include "pcie/link.hpp"

namespace nvmesim::pcie {
namespace {

constexpr std::string_view kDirections[] = {"down", "up"};
constexpr std::string_view kClasses[] = {"posted", "non_posted", "completion"};

struct TlpStatistic {
  std::string_view name;
  std::string_view help;
  std::uint64_t TlpDirection::Counters::*counter;
};
using C = TlpDirection::Counters;
constexpr TlpStatistic kTlpStatistics[] = {
    {"replays", "TLPs sent again", &C::replays},
    {"bad_tlps", "TLPs with a wrong LCRC", &C::bad_tlps},
    {"bad_dllps", "data link packets with a wrong CRC", &C::bad_dllps},
    {"naks", "replays that the receiver asked for", &C::naks},
    {"replay_timeouts", "replays because no ACK came in time", &C::replay_timeouts},
    {"replay_rollovers", "recoveries after four replays in a row", &C::replay_rollovers},
    {"duplicate_tlps", "TLPs that had arrived before", &C::duplicates},
    {"dropped_tlps", "TLPs that a fault took away", &C::dropped},
    {"malformed_tlps", "TLPs discarded as malformed", &C::malformed},
    {"refused_requests", "requests that a fault refused", &C::refused},
};

struct PowerStatistic {
  std::string_view name;
  LinkPowerState state;
};
constexpr PowerStatistic kPowerStatistics[] = {
    {"l0s", LinkPowerState::kL0s},
    {"l1", LinkPowerState::kL1},
    {"l1_1", LinkPowerState::kL1_1},
    {"l1_2", LinkPowerState::kL1_2},
};

}  // namespace

base::Time Link::busy(Direction direction) const {
  const auto d = static_cast<std::size_t>(direction);
  std::uint64_t bytes = 0;
  for (const Counters& of_class : counters_[d]) bytes += of_class.wire_bytes;
  return busy_before_[d] + pace_(bytes - bytes_before_[d]);
}

TlpDirection::Counters Link::tlp_counters(Direction direction) const {
  const auto& engine = tlp_[static_cast<std::size_t>(direction)];
  return engine != nullptr ? engine->counters() : TlpDirection::Counters{};
}

void Link::register_statistics(base::StatisticsRegistry& registry, std::string_view prefix) const {
  const std::string name(prefix);
  registry.add(name + ".downs", "1", "times the link went down", events_.downs);
  registry.add(name + ".recoveries", "1", "recoveries of a link that was up", events_.recoveries);
  registry.add(name + ".lost_requests", "1", "requests and completions that the link has lost",
               events_.lost_requests);
  for (std::size_t i = 0; faults_ != nullptr && i < faults_->size(); ++i) {
    registry.add(fmt::format("{}.faults.{}", name, faults_->name(i)), "1",
                 "faults of TLPs that were configured",
                 [rules = faults_.get(), i] { return rules->hits(i); });
  }
  for (const PowerStatistic& each : kPowerStatistics) {
    const auto& counters = power_.counters(each.state);
    registry.add(fmt::format("{}.{}_entries", name, each.name), "1", "sleeps ended by traffic",
                 counters.entries);
    registry.add(fmt::format("{}.{}_residency", name, each.name), "ps", "time asleep in these",
                 counters.residency_ps);
  }
  for (const Direction direction : {Direction::kDown, Direction::kUp}) {
    const auto d = static_cast<std::size_t>(direction);
    const std::string path = fmt::format("{}.{}", prefix, kDirections[d]);
    registry.add_utilisation(path, "link", [this, direction] { return busy(direction); });
    registry.add(
        path + ".deferred", "1", "posted writes that waited for the next delivery",
        [this, d] { return events_.deferred_before[d] + burst_[d]->direction.deferred_count(); });
    for (std::size_t c = 0; c < kTrafficClasses; ++c) {
      const Counters& of_class = counters_[d][c];
      const std::string class_name = fmt::format("{}.{}", path, kClasses[c]);
      registry.add(class_name + "_tlps", "1", "TLPs sent", of_class.tlps);
      registry.add(class_name + "_payload_bytes", "bytes", "payload sent", of_class.payload_bytes);
      registry.add(class_name + "_wire_bytes", "bytes", "TLPs with their headers and framing",
                   of_class.wire_bytes);
    }
    for (const TlpStatistic& each : kTlpStatistics) {
      registry.add(
          fmt::format("{}.{}", path, each.name), "1", std::string(each.help),
          [this, direction, counter = each.counter] { return tlp_counters(direction).*counter; });
    }
  }
}

}  // namespace nvmesim::pcie
