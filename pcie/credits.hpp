// Flow control credits (base specification 2.6): room in the receive buffer for the six classes,
// header and data of posted, non-posted and completion. One header credit is one TLP, one data
// credit 16 bytes. Counters only ever grow, as in the specification's formulas, but do not wrap.
#pragma once

#include <algorithm>
#include <array>
#include <boost/describe.hpp>
#include <cstdint>
#include <span>

#include "pcie/traffic.hpp"
#include "sim/base/config.hpp"

namespace nvmesim::pcie {

inline constexpr std::uint32_t kDataCreditBytes = 16;

struct LinkCredits {
  // 0: infinite.
  std::uint32_t posted_headers = 0;
  std::uint32_t posted_data = 0;
  std::uint32_t non_posted_headers = 0;
  std::uint32_t non_posted_data = 0;
  std::uint32_t completion_headers = 0;
  std::uint32_t completion_data = 0;
  std::uint32_t update_latency_ns = 0;

  static std::span<const base::ParamInfo> params();
  // Throws UserError if a TLP of the longest payload could never be sent.
  void validate(std::uint32_t max_payload_bytes) const;
  bool infinite() const {
    return (posted_headers | posted_data | non_posted_headers | non_posted_data |
            completion_headers | completion_data) == 0;
  }
};
BOOST_DESCRIBE_STRUCT(LinkCredits, (),
                      (posted_headers, posted_data, non_posted_headers, non_posted_data,
                       completion_headers, completion_data, update_latency_ns))

struct Credits {
  std::uint64_t headers = 0;
  std::uint64_t data = 0;
  Credits& operator+=(const Credits& other) {
    headers += other.headers;
    data += other.data;
    return *this;
  }
  bool operator==(const Credits&) const = default;
};
using CreditsByClass = std::array<Credits, kTrafficClasses>;

// What one TLP needs.
constexpr Credits credits_for(std::uint32_t payload_bytes) {
  return {1, (payload_bytes + kDataCreditBytes - 1) / kDataCreditBytes};
}

// The two ends' accounts of one direction. The transmitter knows `limit` from updates; the receiver
// grants when it has emptied a place.
class CreditAccounts {
 public:
  CreditAccounts() = default;
  CreditAccounts(const LinkCredits& config, std::uint32_t max_payload_bytes)
      : size_{{{config.posted_headers, config.posted_data},
               {config.non_posted_headers, config.non_posted_data},
               {config.completion_headers, config.completion_data}}},
        full_payload_(max_payload_bytes / kDataCreditBytes),
        infinite_(config.infinite()) {
    reset();
  }

  bool infinite() const { return infinite_; }
  // As after link initialisation.
  void reset() {
    consumed_ = {};
    received_ = {};
    limit_ = size_;
    granted_ = size_;
    advertised_ = size_;
  }

  // Transmitter.
  bool has(TrafficClass traffic, const Credits& need) const {
    const auto c = static_cast<std::size_t>(traffic);
    return (size_[c].headers == 0 || consumed_[c].headers + need.headers <= limit_[c].headers) &&
           (size_[c].data == 0 || consumed_[c].data + need.data <= limit_[c].data);
  }
  void consume(TrafficClass traffic, const Credits& need) {
    consumed_[static_cast<std::size_t>(traffic)] += need;
  }
  // True if there is more than before.
  bool update(const CreditsByClass& granted) {
    bool more = false;
    for (std::size_t c = 0; c < kTrafficClasses; ++c) {
      more |= granted[c].headers > limit_[c].headers || granted[c].data > limit_[c].data;
      limit_[c].headers = std::max(limit_[c].headers, granted[c].headers);
      limit_[c].data = std::max(limit_[c].data, granted[c].data);
    }
    return more;
  }

  // Receiver.
  void receive(TrafficClass traffic, const Credits& used) {
    received_[static_cast<std::size_t>(traffic)] += used;
  }
  // The place of a TLP is free again. True if the transmitter shall hear of it at once: when it has
  // no header left, or less data than one longest payload (2.6.1.2), or an eighth of the buffer has
  // become free that it does not know of.
  bool release(TrafficClass traffic, const Credits& used) {
    const auto c = static_cast<std::size_t>(traffic);
    const bool none = granted_[c].headers == received_[c].headers;
    const bool little = granted_[c].data - received_[c].data < full_payload_;
    granted_[c] += used;
    const std::uint64_t headers = granted_[c].headers - advertised_[c].headers;
    const std::uint64_t data = granted_[c].data - advertised_[c].data;
    return (size_[c].headers != 0 && (none || headers * 8 >= size_[c].headers)) ||
           (size_[c].data != 0 && (little || data * 8 >= size_[c].data));
  }
  // What an update tells.
  const CreditsByClass& advertise() {
    advertised_ = granted_;
    return advertised_;
  }

 private:
  CreditsByClass size_{};
  CreditsByClass consumed_{};
  CreditsByClass limit_{};
  CreditsByClass received_{};
  CreditsByClass granted_{};
  CreditsByClass advertised_{};
  std::uint64_t full_payload_ = 0;
  bool infinite_ = true;
};

}  // namespace nvmesim::pcie
