// Where --break stops: an access to a register, a line of the wire trace, a simulated time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/base/units.hpp"
#include "sim/bridge/pci_function.hpp"

namespace nvmesim::app {

class LinuxBreak {
 public:
  // "reg CC write", "reg 0x14 read", "wire TEXT", "time 12ms", or "start": the kernel's first
  // access to the drive. Throws UserError.
  explicit LinuxBreak(std::string text);

  const std::string& text() const { return text_; }
  // An access of the kernel, before it is carried out.
  bool at_access(bridge::PcidevOp op, const bridge::PcidevHeader& header);
  bool at_wire(std::string_view line) const {
    return !wire_.empty() && line.find(wire_) != line.npos;
  }
  // True once, when that time has come.
  bool at_time(base::Time now);
  bool watches_wire() const { return !wire_.empty(); }

 private:
  std::string text_;
  bool start_ = false;
  std::optional<std::uint64_t> offset_;
  bool write_ = false;
  std::string wire_;
  std::optional<base::Time> time_;
};

}  // namespace nvmesim::app
