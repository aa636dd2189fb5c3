// A splice that holds both sides of a PCIe socket to the rules of the seam (base protocol, answered
// at once, exactly one response, timing by the Scheduler, sizes and boundaries of requests). It
// changes nothing, costs no time and no Scheduler entry, and keeps what it found for the one who
// asks. A violation is a bug of ours, never a modelled error.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/scheduler.hpp"
#include "sim/base/splice.hpp"

namespace nvmesim::check {

enum class Rule : std::uint8_t {
  kPhase,           // only BEGIN_REQ forward and BEGIN_RESP backward
  kRequestAnswer,   // a request is answered at once with TLM_UPDATED and END_REQ
  kResponseAnswer,  // a response is answered with TLM_COMPLETED
  kResponseLater,   // a response never comes inside the call of its request (but see options)
  kOneResponse,     // no response without an open request, no second one
  kNoReuse,         // a payload is not sent again while its request is open
  kReleased,        // a payload is alive until its response
  kNoResponse,      // at the end every request has been answered
  kDelay,           // the delay is how far the Scheduler is ahead of SystemC's clock
  kUnchanged,       // command, address, length, enables and written data stay as they were sent
  kStatus,          // incomplete when sent; set in the response of a non-posted request
  kSize,            // memory 1..4096 bytes, configuration 1, 2 or 4 within a register, no streaming
  kBoundary,        // a memory request stays within 4 KiB
  kBlocking,        // no b_transport
};
inline constexpr std::size_t kRuleCount = static_cast<std::size_t>(Rule::kBlocking) + 1;
std::string_view name(Rule rule);         // "one_response"
std::string_view description(Rule rule);  // one line

struct Violation {
  base::Time when{0};
  base::Splice::Direction direction = base::Splice::Direction::kDownstream;
  Rule rule = Rule::kPhase;
  std::string text;  // "system.check: 1234 ps, upstream, delay: ..."
};

struct CheckerOptions {
  // A module that is not ours is bound there: any answer of the base protocol is right (accepted,
  // END_REQ later, early completion), and so is a delay of its own.
  bool foreign = false;
  // A posted request may be given back inside its call, as our endpoint, root complex and host
  // memory do: it saves a Scheduler entry for each write.
  bool posted_in_call = true;
  // Requests need not have the sizes and boundaries of a requester: a link is tested alone.
  bool any_size = false;
  std::size_t keep = 100;  // violations kept in full; all are counted
};

class BaseProtocolChecker : public base::Splice {
 public:
  BaseProtocolChecker(sc_core::sc_module_name name, const base::Scheduler& scheduler,
                      CheckerOptions options = {});

  // At the end of a run that was not cut short: open requests become violations.
  void finish();

  std::uint64_t violation_count() const { return count_; }
  const std::vector<Violation>& violations() const { return violations_; }
  std::uint64_t requests() const { return requests_; }
  std::size_t open() const { return open_.size(); }

 private:
  // A request as it was sent.
  struct Open {
    std::uint64_t sequence = 0;
    Direction direction = Direction::kDownstream;
    base::Time sent{0};
    tlm::tlm_command command = tlm::TLM_IGNORE_COMMAND;
    std::uint64_t address = 0;
    const unsigned char* data = nullptr;
    unsigned bytes = 0;
    const unsigned char* enables = nullptr;
    unsigned enable_bytes = 0;
    std::uint64_t content = 0;  // hash of a write's data
    bool posted = false;
    bool calling = false;  // inside the call of the request
  };

  tlm::tlm_sync_enum forward(Lane& lane, tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                             sc_core::sc_time& delay) override;
  tlm::tlm_sync_enum backward(Lane& lane, tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                              sc_core::sc_time& delay) override;
  void blocking(Lane& lane, tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) override;

  void request(Lane& lane, const tlm::tlm_generic_payload& payload);
  void request_answered(Lane& lane, const tlm::tlm_generic_payload* payload, std::uint64_t sequence,
                        tlm::tlm_sync_enum answer, const tlm::tlm_phase& phase);
  void response(Lane& lane, const tlm::tlm_generic_payload& payload);
  void check_shape(Lane& lane, const tlm::tlm_generic_payload& payload);
  void check_unchanged(Lane& lane, const tlm::tlm_generic_payload& payload, const Open& sent);
  void check_delay(Lane& lane, const sc_core::sc_time& delay);
  void violate(Direction direction, Rule rule, const std::string& what);

  const base::Scheduler& scheduler_;
  CheckerOptions options_;
  boost::unordered_flat_map<const tlm::tlm_generic_payload*, Open> open_;
  std::uint64_t next_sequence_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t count_ = 0;
  std::vector<Violation> violations_;
};

}  // namespace nvmesim::check
