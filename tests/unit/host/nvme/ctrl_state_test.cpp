#include "host/nvme/ctrl_state.hpp"

#include <array>
#include <string_view>

#include "tests/support/catch.hpp"

using namespace nvmesim::host;

namespace {

// Rows: the new state; columns: the state now, in the order of the enumeration.
// y: allowed; 5: only for 5.15; -: refused.
constexpr std::array<std::string_view, kCtrlStateCount> kTable{
    //  NEW LIVE RESETTING CONNECTING DELETING DELETING_NOIO DEAD
    "-------",  // NEW
    "5-5y---",  // LIVE
    "yy-----",  // RESETTING
    "y-y----",  // CONNECTING
    "-yyy---",  // DELETING
    "----y-y",  // DELETING_NOIO
    "----y--",  // DEAD
};

void check_all_cells(Generation generation) {
  const GenerationFacts facts = facts_of(generation);
  for (std::size_t to = 0; to < kCtrlStateCount; ++to) {
    for (std::size_t from = 0; from < kCtrlStateCount; ++from) {
      const char cell = kTable[to][from];
      const bool allowed = cell == 'y' || (cell == '5' && generation == Generation::v5_15);
      INFO(name(static_cast<CtrlState>(from)) << " -> " << name(static_cast<CtrlState>(to)));
      CHECK(may_change(static_cast<CtrlState>(from), static_cast<CtrlState>(to), facts) == allowed);
    }
  }
}

}  // namespace

TEST_CASE("all 49 transitions between controller states are decided as in 5.15") {
  check_all_cells(Generation::v5_15);
}

TEST_CASE("all 49 transitions between controller states are decided as in 6.1") {
  check_all_cells(Generation::v6_1);
}

TEST_CASE("the states being deleted and dead are terminal, with the names of sysfs") {
  for (std::size_t i = 0; i < kCtrlStateCount; ++i) {
    const auto state = static_cast<CtrlState>(i);
    CHECK(is_terminal(state) == (i >= static_cast<std::size_t>(CtrlState::kDeleting)));
  }
  CHECK(name(CtrlState::kDeletingNoIo) == "deleting (no IO)");
  CHECK(name(CtrlState::kConnecting) == "connecting");
}
