// Draws ranks 0 to n-1 with probabilities proportional to 1/(rank+1)^theta, in integers only.
// The ranks lie in segments, each at most 1/64 wider than its start: a draw picks a segment by the
// weight of its first rank times its width, a rank within it, and keeps that with the probability
// that corrects the weight (rejection). So the distribution is exact to the precision of Fixed,
// and a table of some 2,000 segments serves any n.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/fixed_math.hpp"
#include "sim/base/random.hpp"

namespace nvmesim::workload {

class Zipf {
 public:
  // n from 1 to 2^40, theta above 0 and at most 8.
  Zipf(std::uint64_t n, base::Fixed theta);

  std::uint64_t draw(base::Random& random) const;
  std::uint64_t size() const { return n_; }

 private:
  struct Segment {
    std::uint64_t end = 0;    // of the cumulative weight, in 2^-64 of the whole; the last: all ones
    std::uint64_t first = 0;  // rank + 1
    std::uint64_t width = 0;  // ranks
    std::uint64_t surely = 0;  // kept without a look below this, in 2^-64
  };

  std::uint64_t n_;
  base::Fixed theta_;
  std::vector<Segment> segments_;
};

// "1.2" as a theta. Throws UserError if it is no decimal number above 0 and up to 8.
base::Fixed parse_theta(const std::string& text);

}  // namespace nvmesim::workload
