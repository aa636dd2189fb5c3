// Enumeration over a fabric of configuration spaces alone: random sets of BARs get room, aligned
// and without overlap, each inside its bridge's window.
#include "pcie/enumerator.hpp"

#include <map>
#include <memory>

#include "pcie/capabilities.hpp"
#include "pcie/msix.hpp"
#include "sim/base/random.hpp"
#include "sim/base/units.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::pcie {
namespace {

struct Bridge {
  ConfigSpace space;
  Type1Header header{space, {0x8086, 0x2030, 0, 0, 0x060400, 0}};
  PciExpressCapability express{space, PciExpressPort::kRootPort, {5, 16, 512}, {}};
};

struct Function {
  explicit Function(const std::array<BarSpec, kBars>& bars, std::uint32_t payload = 256)
      : header(space, {0x144D, 0xA80A, 0x144D, 0xA801, 0x010802, 1}, bars),
        express(space, PciExpressPort::kEndpoint, {4, 4, payload}, {}) {}
  ConfigSpace space;
  Type0Header header;
  PowerManagementCapability power{space};
  PciExpressCapability express;
  MsixCapability msix{space, {33, 0, 0x2000, 0, 0x3000}, {}};
};

// Root ports on bus 0; behind port n, on the bus that its bridge was given, function n or nobody.
class Fabric : public ConfigAccess {
 public:
  std::map<unsigned, std::unique_ptr<Bridge>> bridges;
  std::map<unsigned, std::unique_ptr<Function>> functions;

  void add(unsigned device, const std::array<BarSpec, kBars>& bars) {
    bridges[device] = std::make_unique<Bridge>();
    functions[device] = std::make_unique<Function>(bars);
  }
  std::uint32_t read32(RequesterId id, unsigned offset) override {
    const ConfigSpace* space = find(id);
    return space != nullptr ? space->read(offset, 4) : ~0U;
  }
  void write32(RequesterId id, unsigned offset, std::uint32_t value) override {
    if (ConfigSpace* space = find(id)) space->write(offset, 4, value);
  }

 private:
  ConfigSpace* find(RequesterId id) {
    const unsigned bus = id.value() >> 8;
    const unsigned device = id.value() >> 3 & 31;
    if (bus == 0) return bridges.count(device) != 0 ? &bridges[device]->space : nullptr;
    for (auto& [number, bridge] : bridges) {
      if (bridge->header.secondary_bus() != bus || device != 0) continue;
      return functions.count(number) != 0 ? &functions[number]->space : nullptr;
    }
    return nullptr;
  }
};

constexpr MmioWindow kWindow{0xC000'0000, 0x2000'0000};

std::array<BarSpec, kBars> random_bars(base::Random& random) {
  std::array<BarSpec, kBars> bars{};
  for (unsigned i = 0; i < kBars; ++i) {
    if (random.chance(1, 3)) continue;
    bars[i].bytes = std::uint64_t{1} << (4 + random.below(20));  // 16 B to 8 MiB
    bars[i].prefetchable = random.chance(1, 2);
    bars[i].is_64bit = i + 1 < kBars && random.chance(1, 2);
    if (bars[i].is_64bit) ++i;
  }
  return bars;
}

}  // namespace

TEST_CASE("random sets of BARs are sized right, aligned, apart, and reached through their bridge") {
  base::Random random(5, "bars");
  for (int round = 0; round < 200; ++round) {
    Fabric fabric;
    const unsigned count = 1 + static_cast<unsigned>(random.below(6));
    for (unsigned device = 0; device < count; ++device) fabric.add(device, random_bars(random));
    const auto functions = enumerate(fabric, kWindow);
    REQUIRE(functions.size() == count);
    std::map<std::uint64_t, std::uint64_t> taken;  // start to end
    for (unsigned device = 0; device < count; ++device) {
      const FunctionInfo& info = functions[device];
      const Function& function = *fabric.functions[device];
      CHECK(info.id == make_id(device + 1, 0, 0));
      for (unsigned i = 0; i < kBars; ++i) {
        const BarInfo& bar = info.bars[i];
        const BarSpec& spec = function.header.bar(i);
        REQUIRE(bar.bytes == spec.bytes);
        if (bar.bytes == 0) continue;
        REQUIRE(bar.is_64bit == spec.is_64bit);
        REQUIRE(bar.prefetchable == spec.prefetchable);
        REQUIRE(bar.address % bar.bytes == 0);
        REQUIRE(bar.address >= kWindow.base);
        REQUIRE(bar.address + bar.bytes <= kWindow.base + kWindow.bytes);
        REQUIRE(function.header.bar_address(i) == bar.address);
        REQUIRE(taken.emplace(bar.address, bar.address + bar.bytes).second);
        for (unsigned other = 0; other < count; ++other) {
          const auto& header = fabric.bridges[other]->header;
          REQUIRE(header.forwards(bar.address) == (other == device));
          REQUIRE(header.forwards(bar.address + bar.bytes - 1) == (other == device));
        }
      }
      // Left to the driver.
      CHECK_FALSE(function.header.memory_space());
      CHECK_FALSE(function.header.bus_master());
    }
    std::uint64_t end = 0;
    for (const auto& [from, to] : taken) {
      REQUIRE(from >= end);
      end = to;
    }
  }
}

TEST_CASE("identity, capabilities and MSI-X are reported as the function has them") {
  Fabric fabric;
  fabric.add(0, {BarSpec{16384, true, false}});
  const auto functions = enumerate(fabric, kWindow, {.max_read_request_bytes = 1024});
  REQUIRE(functions.size() == 1);
  const FunctionInfo& info = functions[0];
  CHECK(info.vendor == 0x144D);
  CHECK(info.device == 0xA80A);
  CHECK(info.subsystem_vendor == 0x144D);
  CHECK(info.subsystem == 0xA801);
  CHECK(info.class_code == 0x010802);
  CHECK(info.revision == 1);
  CHECK(info.pm_capability == fabric.functions[0]->power.offset());
  CHECK(info.express_capability == fabric.functions[0]->express.offset());
  CHECK(info.msix.capability == fabric.functions[0]->msix.offset());
  CHECK(info.msix.vectors == 33);
  CHECK(info.msix.table_offset == 0x2000);
  CHECK(info.msix.pba_offset == 0x3000);
  // Sizes: what both ends can.
  CHECK(info.max_payload_bytes == 256);
  CHECK(fabric.functions[0]->express.max_payload_bytes() == 256);
  CHECK(fabric.bridges[0]->express.max_payload_bytes() == 256);
  CHECK(fabric.functions[0]->express.max_read_request_bytes() == 1024);
  CHECK(find_capability(fabric, info.id, 0x05) == 0);
}

TEST_CASE("ports without a device are passed over, and keep their window closed") {
  Fabric fabric;
  fabric.add(0, {BarSpec{4096, false, false}});
  fabric.bridges[1] = std::make_unique<Bridge>();
  fabric.add(2, {BarSpec{4096, false, false}});
  const auto functions = enumerate(fabric, kWindow);
  REQUIRE(functions.size() == 2);
  CHECK(functions[0].id == make_id(1, 0, 0));
  CHECK(functions[1].id == make_id(3, 0, 0));
  CHECK_FALSE(fabric.bridges[1]->header.forwards(kWindow.base));
}

TEST_CASE("BARs that do not fit are an error that names the parameter") {
  Fabric fabric;
  fabric.add(0, {BarSpec{64 << 20, false, false}});
  CHECK_THROWS_AS(enumerate(fabric, {0xC000'0000, 32 << 20}), base::UserError);
}

}  // namespace nvmesim::pcie
