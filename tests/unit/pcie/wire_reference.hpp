// The wire by brute force: a decision at every TLP boundary. What pcie::Wire must agree with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "pcie/formula.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::test {

struct WireJob {
  base::Time arrival{0};
  bool is_short = false;
  pcie::formula::Segments segments;
};

// When the last byte of each job leaves. Jobs are in the order of their arrival.
inline std::vector<base::Time> simulate_wire(const std::vector<WireJob>& jobs, base::Pace pace,
                                             std::size_t window_size) {
  struct Long {
    std::size_t job;
    std::uint32_t remaining;
  };
  std::vector<base::Time> ends(jobs.size());
  std::deque<std::size_t> shorts;
  std::deque<Long> window;
  std::deque<Long> waiting;
  base::Time epoch{0};
  std::uint64_t position = 0;
  std::size_t next = 0;
  const auto time = [&] { return epoch + pace(position); };
  const auto admit = [&](std::size_t job) {
    if (jobs[job].is_short) {
      shorts.push_back(job);
    } else {
      (window.size() < window_size ? window : waiting).push_back({job, jobs[job].segments.tlps});
    }
  };
  const auto transmit = [&] {  // one short transfer or one TLP
    if (!shorts.empty()) {
      position += jobs[shorts.front()].segments.wire_bytes();
      ends[shorts.front()] = time();
      shorts.pop_front();
      return;
    }
    Long turn = window.front();
    window.pop_front();
    const auto& segments = jobs[turn.job].segments;
    position += turn.remaining == 1 ? segments.last_bytes : segments.full_bytes;
    if (--turn.remaining != 0) {  // back into the line when its TLP has left
      window_size -= 1;           // its place is kept
      while (next < jobs.size() && jobs[next].arrival < time()) admit(next++);
      window_size += 1;
      window.push_back(turn);
      return;
    }
    ends[turn.job] = time();
    if (!waiting.empty()) {
      window.push_back(waiting.front());
      waiting.pop_front();
    }
  };
  while (next < jobs.size() || !shorts.empty() || !window.empty()) {
    if (shorts.empty() && window.empty() && jobs[next].arrival >= time()) {
      if (jobs[next].arrival > time()) {
        epoch = jobs[next].arrival;
        position = 0;
      }
      admit(next++);  // the wire is idle: it begins at once
    } else {
      while (next < jobs.size() && jobs[next].arrival <= time()) admit(next++);
    }
    transmit();
  }
  return ends;
}

}  // namespace nvmesim::test
