#include "pcie/capabilities.hpp"

#include <bit>

#include "sim/base/assert.hpp"

namespace nvmesim::pcie {
namespace {

constexpr unsigned kBar0 = 0x10;

// Status: parity and error bits are write-one-to-clear (7.5.1.1.4).
constexpr std::uint32_t kStatusWriteOneClears = 0xF900'0000;
// Command: memory space, bus master, parity error response, SERR#, interrupt disable.
constexpr std::uint32_t kCommandWritable = 1U << 1 | 1U << 2 | 1U << 6 | 1U << 8 | 1U << 10;

ConfigBlock::Bits read_only(std::uint32_t value) {
  return {value, 0, 0};
}

}  // namespace

Type0Header::Type0Header(ConfigSpace& space, const Identity& identity,
                         const std::array<BarSpec, kBars>& bars, base::Callback changed)
    : ConfigBlock(space, 0, 0x40), bars_(bars), changed_(changed) {
  define(0x00, read_only(std::uint32_t{identity.device} << 16 | identity.vendor));
  define(0x04, {0, kCommandWritable, kStatusWriteOneClears});
  define(0x08, read_only(identity.class_code << 8 | identity.revision));
  define(0x0C, {0, 0xFF, 0});  // cache line size has no effect; header type 0, one function
  for (unsigned i = 0; i < kBars; ++i) {
    const BarSpec& bar = bars_[i];
    if (bar.bytes == 0) continue;
    NVMESIM_ASSERT(std::has_single_bit(bar.bytes) && bar.bytes >= 16,
                   "a BAR's size is not a power of two of at least 16");
    NVMESIM_ASSERT(bar.is_64bit || bar.bytes <= 1U << 31, "a 32-bit BAR is too large");
    const std::uint32_t flags = (bar.is_64bit ? 4U : 0U) | (bar.prefetchable ? 8U : 0U);
    const std::uint64_t address_bits = ~(bar.bytes - 1);
    define(kBar0 + 4 * i, {flags, static_cast<std::uint32_t>(address_bits), 0});
    if (!bar.is_64bit) continue;
    NVMESIM_ASSERT(i + 1 < kBars && bars_[i + 1].bytes == 0, "a 64-bit BAR has no second slot");
    define(kBar0 + 4 * i + 4, {0, static_cast<std::uint32_t>(address_bits >> 32), 0});
  }
  define(0x2C, read_only(std::uint32_t{identity.subsystem} << 16 | identity.subsystem_vendor));
  define(0x3C, {0x0100, 0xFF, 0});  // interrupt line is software's; pin INTA
}

void Type0Header::wrote(const Access& access) {
  if (access.reg == 0x04 && changed_) changed_();
}

void Type0Header::set_interrupt_status(bool pending) {
  constexpr std::uint32_t kInterruptStatus = 1U << 19;
  set(0x04, pending ? value(0x04) | kInterruptStatus : value(0x04) & ~kInterruptStatus);
}

void Type0Header::received_abort(bool master) {
  set(0x04, value(0x04) | (master ? 1U << 29 : 1U << 28));
}

std::uint64_t Type0Header::bar_address(unsigned index) const {
  std::uint64_t address = value(kBar0 + 4 * index) & ~std::uint32_t{0xF};
  if (bars_[index].is_64bit) address |= std::uint64_t{value(kBar0 + 4 * index + 4)} << 32;
  return address;
}

Type0Header::Hit Type0Header::decode(std::uint64_t address, std::uint64_t bytes) const {
  if (!memory_space()) return {};
  for (unsigned i = 0; i < kBars; ++i) {
    if (bars_[i].bytes == 0) continue;
    const std::uint64_t offset = address - bar_address(i);
    if (offset < bars_[i].bytes && bytes <= bars_[i].bytes - offset) return {i, offset};
  }
  return {};
}

Type1Header::Type1Header(ConfigSpace& space, const Identity& identity, base::Callback control)
    : ConfigBlock(space, 0, 0x40), control_(control) {
  define(0x00, read_only(std::uint32_t{identity.device} << 16 | identity.vendor));
  define(0x04, {0, kCommandWritable, kStatusWriteOneClears});
  define(0x08, read_only(identity.class_code << 8 | identity.revision));
  define(0x0C, {0x0001'0000, 0xFF, 0});
  define(0x18, {0, 0x00FF'FFFF, 0});  // primary, secondary, subordinate bus
  define(0x1C, {0x0000'00F0, 0, 0});  // I/O window: base above limit, not implemented
  define(0x20, {0x0000'FFF0, 0xFFF0'FFF0, 0});
  define(0x24, {0x0001'FFF1, 0xFFF0'FFF0, 0});  // prefetchable window: 64-bit
  define(0x28, {0, ~std::uint32_t{0}, 0});
  define(0x2C, {0, ~std::uint32_t{0}, 0});
  define(0x3C, {0x0100, 0x00FF'00FF, 0});
}

void Type1Header::wrote(const Access& access) {
  if (access.reg == 0x3C && control_) control_();
}

bool Type1Header::forwards(std::uint64_t address) const {
  const auto within = [address](std::uint32_t window, std::uint32_t base_upper,
                                std::uint32_t limit_upper) {
    const std::uint64_t base = std::uint64_t{base_upper} << 32 | (window & 0xFFF0) << 16;
    const std::uint64_t limit =
        std::uint64_t{limit_upper} << 32 | (window & 0xFFF0'0000) | 0xF'FFFF;
    return address >= base && address <= limit;
  };
  if ((value(0x04) & kCommandMemorySpace) == 0) return false;
  return within(value(0x20), 0, 0) || within(value(0x24), value(0x28), value(0x2C));
}

PowerManagementCapability::PowerManagementCapability(ConfigSpace& space, base::Callback changed)
    : Capability(space, kCapabilityPowerManagement, 8, 0x0003),  // version 3, no PME
      changed_(changed) {
  // Control and status: D0, No_Soft_Reset (D3hot keeps the configuration).
  define(4, {1U << 3, 0, 0});
}

// D1 and D2 are not supported: a write of them leaves the state as it is (7.5.2.2).
void PowerManagementCapability::wrote(const Access& access) {
  if (access.reg != 4 || (access.enabled & 3) != 3) return;
  const std::uint32_t state = access.written & 3;
  if ((state != 0 && state != 3) || state == power_state()) return;
  set(4, (value(4) & ~3U) | state);
  if (changed_) changed_();
}

namespace {

bool has_slot(PciExpressPort port, const PciExpressCapability::Hooks& hooks) {
  return (port == PciExpressPort::kRootPort || port == PciExpressPort::kSwitchDownstream) &&
         static_cast<bool>(hooks.slot_control);
}
std::uint16_t express_head(PciExpressPort port, const PciExpressCapability::Hooks& hooks) {
  const unsigned slot = port == PciExpressPort::kRootPort || has_slot(port, hooks) ? 1U << 8 : 0U;
  return static_cast<std::uint16_t>(2U | static_cast<unsigned>(port) << 4 | slot);
}

}  // namespace

PciExpressCapability::PciExpressCapability(ConfigSpace& space, PciExpressPort port,
                                           const Link& link, const Hooks& hooks, unsigned tag_bits,
                                           bool latency_tolerance)
    : Capability(space, kCapabilityPciExpress, 0x3C, express_head(port, hooks)),
      hooks_(hooks),
      tag_bits_(tag_bits) {
  // Device Control: error reporting, relaxed ordering, MPS, extended tags, no snoop, MRRS. Device
  // Status: detected errors are write-one-to-clear.
  const std::uint32_t no_tags = tag_bits_ >= 8 ? 0 : device_control::kExtendedTags;
  define(0x08, {0x2810, (0x7FFF & ~(3U << 9)) & ~no_tags, 0x000F'0000});
  define(0x10, {0, 0x01FB & ~(1U << 5), port == PciExpressPort::kRootPort ? 3U << 30 : 0});
  if (has_slot(port, hooks)) {
    define(0x14, read_only(1U << 1));       // a power controller
    define(0x18, {1U << 22, 1U << 10, 0});  // its control; a card is in the slot
  }
  // Completion timeout: ranges A to D, can be disabled; LTR; 10-bit tags as completer, requester.
  define(0x24, read_only(0x1F | (latency_tolerance ? 1U << 11 : 0) | 1U << 16 |
                         (tag_bits_ == 10 ? 1U << 17 : 0)));
  define(0x28, {0,
                0x001F | device_control::kIdBasedOrdering |
                    (latency_tolerance ? device_control::kLatencyTolerance : 0) |
                    (tag_bits_ == 10 ? device_control::kTenBitTags : 0),
                0});
  describe(link);
}

namespace {

// Exit latencies in the codes of Link Capabilities (7.5.3.6): below 64 ns and below 1 us, then
// doubling.
std::uint32_t latency_code(std::uint32_t ns, std::uint32_t first) {
  std::uint32_t code = 0;
  while (code < 7 && ns >= first) {
    first *= 2;
    ++code;
  }
  return code;
}

std::uint32_t power_capabilities(const LinkPower& power) {
  std::uint32_t value = 0;
  if (power.supported >= AspmLimit::l0s)
    value |= 1U << 10 | latency_code(power.l0s_exit_ns, 64) << 12;
  if (power.supported >= AspmLimit::l1)
    value |= 1U << 11 | latency_code(power.l1_exit_ns, 1000) << 15;
  return value;
}

}  // namespace

void PciExpressCapability::describe(const Link& link) {
  const auto payload_code =
      static_cast<std::uint32_t>(std::countr_zero(link.max_payload_bytes)) - 7;
  // Role-based error reporting, extended tags, any latency of L0s and L1 is acceptable; Function
  // Level Reset where there is one.
  set_reset(0x04, payload_code | (tag_bits_ >= 8 ? 1U << 5 : 0) | 7U << 6 | 7U << 9 | 1U << 15 |
                      (hooks_.initiate_flr ? 1U << 28 : 0U));
  set_reset(0x0C, link.generation | link.lanes << 4 | power_capabilities(link.power));
  // Link status: speed and width as negotiated, slot clock.
  set_reset(0x10, (link.generation | link.lanes << 4 | 1U << 12) << 16);
  set_reset(0x2C, ((1U << link.generation) - 1) << 1);  // supported link speeds
  define(0x30, {link.generation, 0xF, 0});              // target link speed
}

std::uint32_t PciExpressCapability::tags() const {
  if ((value(0x28) & device_control::kTenBitTags) != 0) return 768;
  return reports(device_control::kExtendedTags) ? 256 : 32;
}

// 7.5.3.16: the codes and their ranges; 0 is the default range of 50 us to 50 ms.
base::Time PciExpressCapability::completion_timeout() const {
  if ((value(0x28) & device_control::kTimeoutDisable) != 0) return base::kTimeZero;
  switch (value(0x28) & 0xF) {
    case 1:
      return 100us;
    case 2:
      return 10ms;
    case 5:
      return 55ms;
    case 6:
      return 210ms;
    case 9:
      return 900ms;
    case 10:
      return 3500ms;
    case 13:
      return 13s;
    case 14:
      return 64s;
    default:
      return 50ms;
  }
}

void PciExpressCapability::set_transactions_pending(bool pending) {
  constexpr std::uint32_t kPending = 1U << 21;
  set(0x08, pending ? value(0x08) | kPending : value(0x08) & ~kPending);
}

PciExpressCapability::Kept PciExpressCapability::keep() const {
  return {value(0x08), value(0x10)};
}

void PciExpressCapability::restore(const Kept& kept) {
  constexpr std::uint32_t kMaxPayload = 7U << 5;
  set(0x08, (value(0x08) & ~kMaxPayload) | (kept.device & kMaxPayload));
  set(0x10, kept.link);
}

void PciExpressCapability::wrote(const Access& access) {
  constexpr std::uint32_t kInitiateFlr = 1U << 15;  // reads as zero
  if (access.reg == 0x08 && (access.written & kInitiateFlr) != 0 && hooks_.initiate_flr) {
    hooks_.initiate_flr();
  }
  if ((access.reg == 0x08 || access.reg == 0x28) && hooks_.control) hooks_.control();
  if (access.reg == 0x18 && hooks_.slot_control) hooks_.slot_control();
  if (access.reg == 0x10 && hooks_.link_control) {
    retrain_requested_ = (access.written & 1U << 5) != 0;  // reads as zero
    hooks_.link_control();
    retrain_requested_ = false;
  }
}

void PciExpressCapability::set_link_status(unsigned generation, unsigned lanes, bool active) {
  constexpr std::uint32_t kSpeedWidthActive = 0x23FFU << 16;
  const std::uint32_t now = (generation | lanes << 4 | (active ? 1U << 13 : 0)) << 16;
  set(0x10, (value(0x10) & ~kSpeedWidthActive) | now);
}

LatencyToleranceCapability::LatencyToleranceCapability(ConfigSpace& space)
    : ExtendedCapability(space, kExtendedLatencyTolerance, 1, 8) {
  define(4, {0, 0x1FFF'1FFF, 0});  // largest snoop and no-snoop latency
}

SerialNumberCapability::SerialNumberCapability(ConfigSpace& space, std::uint64_t serial_number)
    : ExtendedCapability(space, kExtendedSerialNumber, 1, 12) {
  define(4, read_only(static_cast<std::uint32_t>(serial_number)));
  define(8, read_only(static_cast<std::uint32_t>(serial_number >> 32)));
}

std::uint16_t latency_tolerance(std::uint64_t ns) {
  unsigned scale = 0;
  while (ns > 0x3FF && scale < 5) {
    ns /= 32;
    ++scale;
  }
  return static_cast<std::uint16_t>((ns > 0x3FF ? 0x3FF : ns) | scale << 10 | 1U << 15);
}

std::uint64_t latency_tolerance_ns(std::uint16_t encoded) {
  return std::uint64_t{encoded & 0x3FFU} << 5 * (encoded >> 10 & 7);
}

std::optional<std::uint64_t> told_tolerance_ns(std::uint32_t words) {
  std::optional<std::uint64_t> least;
  for (const std::uint32_t word : {words & 0xFFFF, words >> 16}) {
    if ((word & 0x8000) == 0) continue;
    const std::uint64_t ns = latency_tolerance_ns(static_cast<std::uint16_t>(word));
    if (!least || ns < *least) least = ns;
  }
  return least;
}

}  // namespace nvmesim::pcie
