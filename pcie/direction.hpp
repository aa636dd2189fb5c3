// One direction of a link: puts requests and completions on its wire, keeps PCIe's order, and
// delivers them after the wire's delay. Link stands at both ends and does the socket calls.
//
// Order. What is at most one MPS is issued in the order of send(). A longer posted write with
// relaxed ordering, and a longer completion or request, is issued TLP by TLP, and what comes later
// may be issued between its TLPs. Behind a longer posted write without relaxed ordering everything
// waits until its last TLP has been issued. Arrival is issue plus a constant delay.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "pcie/traffic.hpp"
#include "pcie/wire.hpp"
#include "sim/base/payload_pool.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::pcie {

struct Transfer {
  tlm::tlm_generic_payload* payload = nullptr;
  TrafficClass traffic = TrafficClass::kPosted;
  bool is_short = true;  // at most one MPS
  bool relaxed_ordering = false;
  bool deferrable = false;
  bool report_sent = false;  // call sent() when the last TLP has been issued; true if long posted
  formula::Segments segments;
};

// What Link does at the ends of a direction.
class DirectionEnds {
 public:
  virtual void sent(tlm::tlm_generic_payload& payload) = 0;
  virtual void arrived(tlm::tlm_generic_payload& payload, TrafficClass traffic) = 0;

 protected:
  ~DirectionEnds() = default;
};

class LinkDirection {
 public:
  LinkDirection(DirectionEnds& ends, base::Scheduler& scheduler, base::Pace pace, base::Time delay,
                base::Time deferral_limit);
  LinkDirection(const LinkDirection&) = delete;
  LinkDirection& operator=(const LinkDirection&) = delete;

  void send(const Transfer& transfer);
  void deliver_promptly(bool promptly);
  std::uint64_t deferred_count() const { return deferred_count_; }
  // When the last byte of all that was sent has left the wire, if nothing else comes.
  base::Time drained_at() const;
  // Delivers the deferred writes that have arrived.
  void deliver_arrived() {
    if (ring_count_ != 0) deliver_deferred();
  }
  // From now on; all must have left the wire.
  void set_timing(base::Pace pace, base::Time delay);

 private:
  struct Node : LongTransfer {
    Transfer transfer;
    base::Scheduler::Handle entry;
    base::Time arrival{0};  // once finished
    bool finished = false;
    Node* next_held = nullptr;  // behind a barrier, or among the free
  };
  struct Deferred {
    tlm::tlm_generic_payload* payload;
    base::Time arrival;
  };

  bool is_barrier(const Transfer& transfer) const {
    return !transfer.is_short && transfer.traffic == TrafficClass::kPosted &&
           !transfer.relaxed_ordering;
  }
  void issue(const Transfer& transfer);
  void issue_long(const Transfer& transfer);
  void book_arrival(const Transfer& transfer, base::Time arrival);
  void collect_finished();
  void forecast();
  void issue_event(std::uint64_t node);
  void sent_event(std::uint64_t payload);
  template <TrafficClass kTraffic>
  void arrival_event(std::uint64_t payload);
  void deliver(tlm::tlm_generic_payload& payload, TrafficClass traffic);
  void defer(tlm::tlm_generic_payload& payload, base::Time arrival);
  [[gnu::cold]] void grow_ring();
  void deliver_deferred();
  void prompt_event();
  void limit_event();
  void release_held();
  Node* take_node(const Transfer& transfer);

  DirectionEnds& ends_;
  base::Scheduler& scheduler_;
  base::Time delay_;
  const base::Time deferral_limit_;
  Wire wire_;

  Node* forecast_ = nullptr;       // has the one movable entry; null: no long one is unfinished
  std::uint32_t long_posted_ = 0;  // not finished
  std::uint32_t barriers_ = 0;     // not issued to the end
  Node* held_ = nullptr;           // behind a barrier, oldest first
  Node* held_tail_ = nullptr;

  // A ring of what may be delivered late, in the order of arrival.
  std::vector<Deferred> ring_;
  std::size_t ring_first_ = 0;
  std::size_t ring_count_ = 0;
  bool promptly_ = false;
  base::Scheduler::Handle prompt_entry_;
  base::Scheduler::Handle limit_entry_;
  std::uint64_t deferred_count_ = 0;

  std::deque<Node> storage_;
  Node* free_ = nullptr;
};

}  // namespace nvmesim::pcie
