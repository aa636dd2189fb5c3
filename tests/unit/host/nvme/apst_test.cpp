#include "host/nvme/apst.hpp"

#include <vector>

#include "tests/support/catch.hpp"

using namespace nvmesim::host;

namespace {

// Two working states and two idle ones, as client drives have them.
std::vector<PowerState> client_states() {
  return {{0, 0, false}, {0, 0, false}, {2000, 3000, true}, {5000, 45'000, true}};
}

constexpr std::uint64_t entry(std::uint64_t state, std::uint64_t ms) {
  return state << 3 | ms << 8;
}

}  // namespace

TEST_CASE("autonomous power states lead to the shallow idle state soon and to the deep one late") {
  const ApstTable table = build_apst_table(client_states(), 100'000, false, DriverConfig{});
  CHECK(table.enable);
  // From the deepest state upwards each entry names the next state that is deeper.
  CHECK(table.entries[3] == 0);
  CHECK(table.entries[2] == entry(3, 2000));
  CHECK(table.entries[1] == entry(2, 100));
  CHECK(table.entries[0] == entry(2, 100));
  for (std::size_t i = 4; i < table.entries.size(); ++i) CHECK(table.entries[i] == 0);
}

TEST_CASE("no state whose exit takes longer than the tolerated latency is entered") {
  const ApstTable table = build_apst_table(client_states(), 44'999, false, DriverConfig{});
  CHECK(table.enable);
  CHECK(table.entries[2] == 0);
  CHECK(table.entries[1] == entry(2, 100));
}

TEST_CASE("a drive whose deepest state must be avoided goes to the one above it only") {
  const ApstTable table = build_apst_table(client_states(), 100'000, true, DriverConfig{});
  CHECK(table.entries[2] == 0);
  CHECK(table.entries[0] == entry(2, 100));
}

TEST_CASE("of two states in one latency class the deeper one is taken") {
  const std::vector<PowerState> states{{0, 0, false}, {100, 100, true}, {200, 300, true}};
  const ApstTable table = build_apst_table(states, 100'000, false, DriverConfig{});
  CHECK(table.entries[1] == entry(2, 100));
  CHECK(table.entries[0] == entry(2, 100));
}

TEST_CASE("without class limits the idle time is a twentieth of the latency, rounded up") {
  DriverConfig config;
  config.apst_primary_timeout_ms = 0;
  const ApstTable table = build_apst_table(client_states(), 100'000, false, config);
  CHECK(table.entries[2] == entry(3, 2500));
  CHECK(table.entries[1] == entry(2, 250));
}

TEST_CASE("a tolerated latency of zero turns autonomous power states off with an empty table") {
  const ApstTable table = build_apst_table(client_states(), 0, false, DriverConfig{});
  CHECK_FALSE(table.enable);
  for (const std::uint64_t value : table.entries) CHECK(value == 0);
}
