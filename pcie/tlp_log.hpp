// One transaction layer packet as the inside of the link sees it, and the sink that is shown all of
// them. A request or completion of the sockets is cut into count TLPs; this is the index-th.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "pcie/tlp.hpp"
#include "pcie/traffic.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::pcie {

enum class TlpType : std::uint8_t {
  kMRd32,
  kMRd64,
  kMWr32,
  kMWr64,
  kCfgRd0,
  kCfgWr0,
  kCfgRd1,
  kCfgWr1,
  kMsg,
  kMsgD,
  kCpl,
  kCplD,
};

// The specification's short name: "MWr64".
std::string_view name_of(TlpType type);

struct TlpRecord {
  // When its first byte went on the wire; where a link computes with whole transfers: when the
  // transfer entered the link.
  base::Time when{0};
  Direction direction = Direction::kDown;
  TrafficClass traffic = TrafficClass::kPosted;
  TlpType type = TlpType::kMWr32;
  std::uint64_t address = 0;  // of its first byte; a completion: of the bytes asked for
  std::uint32_t bytes = 0;    // payload; of a read request what it asks for
  RequesterId requester;
  std::uint16_t tag = 0;
  bool relaxed_ordering = false;
  bool id_based_ordering = false;
  bool no_snoop = false;
  bool poisoned = false;
  bool successful = true;  // completions: status
  bool replayed = false;   // sent again by the data link layer
  std::uint32_t index = 0;
  std::uint32_t count = 1;

  // `bytes` is payload, not what a request asks for.
  bool has_data() const {
    return type != TlpType::kMRd32 && type != TlpType::kMRd64 && type != TlpType::kCfgRd0 &&
           type != TlpType::kCfgRd1;
  }
};

using TlpLog = std::function<void(const TlpRecord&)>;

// "1234.567 ns  up    P   MWr64   0x0000000100000000   256 B  01:00.0  tag 0   RO NS  1/16"
std::string to_line(const TlpRecord& record);

}  // namespace nvmesim::pcie
