// Completions that processors wait for: what does not come in time, and what comes damaged.
#include <algorithm>
#include <cstring>

#include "pcie/root_complex.hpp"

namespace nvmesim::pcie {

void RootComplex::wait_for_completion(RootPort& port, base::GenericPayload& payload) {
  const base::Time limit = port.completion_timeout();
  // Without memory management a payload cannot be kept from its initiator.
  if (limit == base::kTimeZero || !payload.has_mm()) return;
  const base::Time now = scheduler_.now();
  open_.push_back({&payload, &port, now});
  watch_timeout(now + limit);
}

// False: nobody waits for it any more.
bool RootComplex::completion_expected(RootPort& port, base::GenericPayload& payload) {
  const auto given_up = std::find(given_up_.begin(), given_up_.end(), &payload);
  if (given_up != given_up_.end()) [[unlikely]] {
    given_up_.erase(given_up);
    port.report(UncorrectableError::kUnexpectedCompletion, header_of(payload), true);
    payload.release();
    return false;
  }
  std::erase_if(open_, [&](const Open& open) { return open.payload == &payload; });
  if (tlp_of(payload).poisoned && payload.is_read()) [[unlikely]] {
    ++poisoned_;
    port.report(UncorrectableError::kPoisonedTlp, header_of(payload), false);
    payload.set_response_status(kStatusUnsupportedRequest);
    std::memset(payload.get_data_ptr(), 0xFF, payload.get_data_length());
  }
  return true;
}

// The memory takes it: nothing here keeps poison until it is read.
void RootComplex::poisoned_write(RootPort& port, const base::GenericPayload& payload) {
  if (payload.is_read()) return;
  ++poisoned_;
  port.report(UncorrectableError::kPoisonedTlp, header_of(payload), false);
}

void RootComplex::watch_timeout(base::Time when) {
  if (!scheduler_.pending(timeout_)) {
    timeout_ = scheduler_.at<&RootComplex::check_timeout>(when, this);
  } else if (when < scheduler_.when(timeout_)) {
    scheduler_.move(timeout_, when);
  }
}

// One entry for all, about one per timeout while there are any (2.8).
void RootComplex::check_timeout() {
  const base::Time now = scheduler_.now();
  base::Time next = base::kTimeMax;
  std::vector<Open> due;
  std::erase_if(open_, [&](const Open& open) {
    const base::Time limit = open.port->completion_timeout();
    if (limit == base::kTimeZero) return false;
    const base::Time end = open.since + limit;
    if (end <= now) {
      due.push_back(open);
      return true;
    }
    next = std::min(next, end);
    return false;
  });
  for (const Open& open : due) {
    base::GenericPayload& payload = *open.payload;
    ++timeouts_;
    open.port->report(UncorrectableError::kCompletionTimeout, header_of(payload), false);
    // Its answer may still come: until then it must not be anybody else's.
    payload.acquire();
    Tlp* tlp = nullptr;
    payload.get_extension(tlp);
    if (tlp != nullptr) tlp->cancelled = true;
    given_up_.push_back(&payload);
    if (payload.is_read()) std::memset(payload.get_data_ptr(), 0xFF, payload.get_data_length());
    payload.set_response_status(kStatusUnsupportedRequest);
    cpu.respond(payload);
  }
  if (next != base::kTimeMax) watch_timeout(next);
}

}  // namespace nvmesim::pcie
