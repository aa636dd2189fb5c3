// A splice that does one thing to one request: the n-th that matches is dropped, held back, failed
// or changed. The first brick of fault rules; it knows no NVMe.
//
// Dropped: a posted request comes back to its sender and is never delivered; any other is never
// answered (who waits for it needs a time limit). Delayed: delivered later, so that what was sent
// behind it overtakes it, which the protocol may forbid. Failed: not delivered, answered with the
// given status at the same instant (a read with all ones); a posted request just comes back.
// Changed: delivered as usual, with the data that `change` left in it.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "pcie/tlp.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/splice.hpp"

namespace nvmesim::fault {

struct RequestRule {
  enum class Action : std::uint8_t { kDrop, kDelay, kFail, kChange };

  // Absent: every request. Called once for each request that passes, in order.
  std::function<bool(base::Splice::Direction, const tlm::tlm_generic_payload&)> when;
  std::uint64_t nth = 1;    // among those that match, from 1
  std::uint64_t count = 1;  // so many of them, in a row
  Action action = Action::kDrop;
  base::Time delay{0};                                                // kDelay
  tlm::tlm_response_status status = pcie::kStatusUnsupportedRequest;  // kFail
  std::function<void(tlm::tlm_generic_payload&)> change{};            // kChange: of a write
};

class RequestSplice : public base::Splice {
 public:
  RequestSplice(sc_core::sc_module_name name, base::Scheduler& scheduler, RequestRule rule)
      : base::Splice(name), scheduler_(scheduler), rule_(std::move(rule)) {}

  std::uint64_t matched() const { return matched_; }
  std::uint64_t disturbed() const { return disturbed_; }

 private:
  tlm::tlm_sync_enum forward(Lane& lane, tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                             sc_core::sc_time& delay) override;
  bool applies(Direction direction, const tlm::tlm_generic_payload& payload);
  void disturb(Lane& lane, tlm::tlm_generic_payload& payload, base::Time when);
  template <Direction kDirection>
  void deliver(std::uint64_t payload);
  template <Direction kDirection>
  void give_back(std::uint64_t payload);
  template <Direction kDirection>
  void disturb_in(tlm::tlm_generic_payload& payload, base::Time when);
  Lane& lane_of(Direction direction) {
    return direction == Direction::kDownstream ? downstream : upstream;
  }

  base::Scheduler& scheduler_;
  RequestRule rule_;
  std::uint64_t matched_ = 0;
  std::uint64_t disturbed_ = 0;
};

}  // namespace nvmesim::fault
