// Read-only, read-write, write-one-to-clear and reserved bits; the chain of capabilities; sizing.
#include "pcie/config_space.hpp"

#include "pcie/capabilities.hpp"
#include "pcie/msix.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::pcie {
namespace {

constexpr Identity kIdentity{0x8086, 0x0B60, 0x1028, 0x2205, 0x010802, 7};

struct Function {
  ConfigSpace space;
  Type0Header header{
      space, kIdentity, {BarSpec{16384, true, false}, {}, BarSpec{4096, false, true}}};
  PowerManagementCapability power{space};
  int resets = 0;
  PciExpressCapability express{space,
                               PciExpressPort::kEndpoint,
                               {4, 4, 256},
                               {base::Callback::of<&Function::reset>(this), {}, {}}};
  MsixCapability msix{space, {129, 0, 0x2000, 0, 0x3000}, {}};
  void reset() { ++resets; }
};

class Probe final : public ConfigBlock {
 public:
  explicit Probe(ConfigSpace& space) : ConfigBlock(space, 0x200, 4) {
    define(0, {0x1234'5678, 0x0000'FF00, 0x00FF'0000});
  }
  void raise(std::uint32_t bits) { set(0, value(0) | bits); }
};

}  // namespace

TEST_CASE("each bit is read-only, read-write or write-one-to-clear as defined") {
  ConfigSpace space;
  Probe probe(space);
  CHECK(space.read(0x200, 4) == 0x1234'5678);
  space.write(0x200, 4, 0xFFFF'FFFF);
  CHECK(space.read(0x200, 4) == 0x1200'FF78);
  space.write(0x200, 4, 0);
  CHECK(space.read(0x200, 4) == 0x1200'0078);
  probe.raise(0x0081'0000);
  space.write(0x202, 1, 0x80);  // clears one bit of that byte, touches no other
  CHECK(space.read(0x200, 4) == 0x1201'0078);
  space.write(0x201, 1, 0xAB);
  CHECK(space.read(0x200, 2) == 0xAB78);
  CHECK(space.read(0x203, 1) == 0x12);
  space.reset();
  CHECK(space.read(0x200, 4) == 0x1234'5678);
}

TEST_CASE("reserved registers read zero and ignore writes") {
  ConfigSpace space;
  for (unsigned offset = 0; offset < ConfigSpace::kBytes; offset += 4) {
    space.write(offset, 4, ~0U);
    REQUIRE(space.read(offset, 4) == 0);
  }
}

TEST_CASE("an access that crosses a register is a bug") {
  ConfigSpace space;
  CHECK_THROWS_AS(space.read(2, 4), base::ModelBug);
  CHECK_THROWS_AS(space.write(3, 2, 0), base::ModelBug);
  CHECK_THROWS_AS(space.read(4096, 4), base::ModelBug);
}

TEST_CASE("the identity cannot be changed by any write") {
  Function function;
  base::Random random(3, "config");
  for (int i = 0; i < 2000; ++i) {
    const unsigned offset = static_cast<unsigned>(random.below(1024)) * 4;
    function.space.write(offset, 4, static_cast<std::uint32_t>(random.next()));
  }
  CHECK(function.space.read(0x00, 4) == 0x0B60'8086);
  CHECK(function.space.read(0x08, 4) == 0x0108'0207);
  CHECK(function.space.read(0x0E, 1) == 0);
  CHECK(function.space.read(0x2C, 4) == 0x2205'1028);
  CHECK(function.space.read(0x34, 1) == 0x40);
  CHECK((function.space.read(0x06, 2) & 0x10) != 0);
}

TEST_CASE("writing all ones to a BAR tells its size and kind") {
  Function function;
  const auto sized = [&](unsigned offset) {
    function.space.write(offset, 4, ~0U);
    return function.space.read(offset, 4);
  };
  CHECK(sized(0x10) == 0xFFFF'C004);
  CHECK(sized(0x14) == 0xFFFF'FFFF);
  CHECK(sized(0x18) == 0xFFFF'F008);
  CHECK(sized(0x1C) == 0);
  function.space.write(0x10, 4, 0xC012'3456);
  function.space.write(0x14, 4, 0x0000'0009);
  CHECK(function.header.bar_address(0) == 0x9'C012'0000);
}

TEST_CASE("an access is decoded by the BAR that holds all of it, if memory space is on") {
  Function function;
  function.space.write(0x10, 4, 0xC000'0000);
  function.space.write(0x14, 4, 0);
  function.space.write(0x18, 4, 0xC010'0000);
  CHECK(function.header.decode(0xC000'0000, 4).bar == kBars);
  function.space.write(0x04, 2, kCommandMemorySpace);
  CHECK(function.header.decode(0xC000'0000, 4).bar == 0);
  CHECK(function.header.decode(0xC000'3FFC, 4).offset == 0x3FFC);
  CHECK(function.header.decode(0xC000'3FFC, 8).bar == kBars);
  CHECK(function.header.decode(0xC000'4000, 4).bar == kBars);
  CHECK(function.header.decode(0xBFFF'FFFC, 8).bar == kBars);
  CHECK(function.header.decode(0xC010'0800, 4).bar == 2);
}

TEST_CASE("the capabilities form a chain in the order of their construction") {
  Function function;
  std::vector<unsigned> ids;
  for (unsigned offset = function.space.read(0x34, 1); offset != 0;
       offset = function.space.read(offset + 1, 1)) {
    ids.push_back(function.space.read(offset, 1));
    REQUIRE(ids.size() < 10);
  }
  CHECK(ids ==
        std::vector<unsigned>{kCapabilityPowerManagement, kCapabilityPciExpress, kCapabilityMsix});
}

TEST_CASE("the power state takes D0 and D3hot only") {
  Function function;
  const unsigned control = function.power.offset() + 4;
  function.space.write(control, 2, 3);
  CHECK(function.power.power_state() == 3);
  function.space.write(control, 2, 1);
  CHECK(function.power.power_state() == 3);
  function.space.write(control, 2, 0);
  CHECK(function.power.power_state() == 0);
  CHECK((function.space.read(control, 2) & 8) != 0);  // no soft reset
}

TEST_CASE("the PCI Express capability tells the link and takes payload and request sizes") {
  Function function;
  const unsigned at = function.express.offset();
  CHECK((function.space.read(at + 2, 2) & 0xFF) == 0x02);   // version 2, endpoint
  CHECK((function.space.read(at + 4, 4) & 7) == 1);         // 256 bytes supported
  CHECK((function.space.read(at + 4, 4) & 1U << 28) != 0);  // function level reset
  CHECK((function.space.read(at + 0x0C, 4) & 0x3FF) == (4U | 4U << 4));
  CHECK((function.space.read(at + 0x12, 2) & 0x3FF) == (4U | 4U << 4));
  CHECK(function.express.max_payload_bytes() == 128);
  CHECK(function.express.max_read_request_bytes() == 512);
  function.space.write(at + 8, 2, 1U << 5 | 5U << 12);
  CHECK(function.express.max_payload_bytes() == 256);
  CHECK(function.express.max_read_request_bytes() == 4096);
  function.space.write(at + 0x12, 2, 0xFFFF);  // link status is read-only
  CHECK((function.space.read(at + 0x12, 2) & 0x3FF) == (4U | 4U << 4));
  function.express.describe({3, 8, 512});
  CHECK((function.space.read(at + 0x12, 2) & 0x3FF) == (3U | 8U << 4));
  CHECK((function.space.read(at + 0x2C, 4) & 0xFF) == 0b1110);
}

TEST_CASE("initiating a function level reset calls back once and reads zero") {
  Function function;
  const unsigned at = function.express.offset();
  function.space.write(at + 8, 2, 0x2810);
  CHECK(function.resets == 0);
  function.space.write(at + 8, 2, 0xA810);
  CHECK(function.resets == 1);
  CHECK(function.space.read(at + 8, 2) == 0x2810);
  function.space.write(at + 0x0A, 2, 0x8000);  // device status, not control
  CHECK(function.resets == 1);
}

TEST_CASE("MSI-X tells its vectors and places, and only enable and mask can be written") {
  Function function;
  const unsigned at = function.msix.offset();
  function.space.write(at, 4, ~0U);
  CHECK(function.space.read(at + 2, 2) == (0xC000 | 128));
  CHECK(function.msix.enabled());
  CHECK(function.msix.function_masked());
  function.space.write(at + 4, 4, ~0U);
  CHECK(function.space.read(at + 4, 4) == 0x2000);
  CHECK(function.space.read(at + 8, 4) == 0x3000);
}

}  // namespace nvmesim::pcie
