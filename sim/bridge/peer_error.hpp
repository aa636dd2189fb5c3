// The other side of a socket broke the protocol or went away. One line; not a mistake of the user
// and not a bug of ours.
#pragma once

#include <stdexcept>

namespace nvmesim::bridge {

class PeerError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace nvmesim::bridge
