#include "pcie/tlp_log.hpp"

#include <fmt/format.h>

namespace nvmesim::pcie {

std::string_view name_of(TlpType type) {
  static constexpr std::string_view kNames[] = {"MRd32",  "MRd64",  "MWr32",  "MWr64",
                                                "CfgRd0", "CfgWr0", "CfgRd1", "CfgWr1",
                                                "Msg",    "MsgD",   "Cpl",    "CplD"};
  return kNames[static_cast<std::size_t>(type)];
}

std::string to_line(const TlpRecord& record) {
  static constexpr std::string_view kClasses[] = {"P", "NP", "CPL"};
  const unsigned id = record.requester.value();
  std::string line =
      fmt::format("{}.{:03} ns  {:<4}  {:<3}  {:<6}  0x{:016x}  {:>5} B  {:02x}:{:02x}.{}  tag {}",
                  record.when.count() / 1000, record.when.count() % 1000,
                  record.direction == Direction::kUp ? "up" : "down",
                  kClasses[static_cast<std::size_t>(record.traffic)], name_of(record.type),
                  record.address, record.bytes, id >> 8, (id >> 3) & 31, id & 7, record.tag);
  if (record.relaxed_ordering) line += " RO";
  if (record.id_based_ordering) line += " IDO";
  if (record.no_snoop) line += " NS";
  if (record.poisoned) line += " EP";
  if (!record.successful) line += " refused";
  if (record.count > 1) line += fmt::format("  {}/{}", record.index + 1, record.count);
  if (record.replayed) line += "  replay";
  return line;
}

}  // namespace nvmesim::pcie
