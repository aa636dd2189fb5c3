// Measures a modelled link alone, as pcie-bench measures a real one: a device that only moves
// bytes, a root complex and host memory, no NVMe. With pcie_switch.ports so many devices, each with
// a link of its own, behind one switch and its uplink. Each measurement keeps a number of
// operations open in every device, which begin one after another, so that they do not keep step;
// the values beside the formula's closed forms (README of pcie).
//
// One bench per process: SystemC elaborates once. run() may be called once, with any number of
// measurements, which run one after the other.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pcie/tlp_log.hpp"
#include "sim/base/statistics.hpp"
#include "sim/base/units.hpp"
#include "sim/system/system_config.hpp"

namespace nvmesim::system_ {

enum class LinkOperation : std::uint8_t {
  dma_read,
  dma_write,       // ends when its last TLP has been handed to the link: a device sees no more;
                   // behind a switch, which hides its uplink, when it has arrived in memory
  dma_write_read,  // a write and a read of the same bytes, started together
  mmio_read,       // by processors, one open for each
  mmio_write,      // by processors; ends at its arrival in the device
};
BOOST_DESCRIBE_ENUM(LinkOperation, dma_read, dma_write, dma_write_read, mmio_read, mmio_write)

struct LinkMeasurement {
  LinkOperation operation = LinkOperation::dma_read;
  std::uint32_t bytes = 64;        // DMA: 1 to 1 MiB; MMIO: 1 to 64
  std::uint32_t outstanding = 1;   // operations open at a time in each device; MMIO: processors
  std::uint64_t count = 10'000;    // operations, times the devices; more than `outstanding`
  std::uint64_t window_bytes = 0;  // addresses are drawn from so much memory; at least `bytes`
};

struct LinkResult {
  LinkMeasurement measurement;
  // Of the operations behind the first `outstanding` ones; in ps.
  base::Histogram latency;
  std::uint64_t bytes = 0;                  // of these, and the time in which they ended
  std::vector<std::uint64_t> device_bytes;  // of these, by device
  base::Time span{0};
  // Closed forms: latency of one operation with nothing else under way, or under the load of the
  // others if that is longer; payload per second (of one direction, all devices together). 0 where
  // there is none.
  base::Time formula_latency{0};
  std::uint64_t formula_bytes_per_second = 0;

  std::uint64_t bytes_per_second() const;
};

class LinkBench {
 public:
  // Uses the link, root complex, host memory and endpoint of the configuration. Throws UserError.
  // tlp_log is shown every TLP of the link; behind a switch, of its uplink.
  explicit LinkBench(const SystemConfig& config, pcie::TlpLog tlp_log = {});
  ~LinkBench();

  // Throws UserError if a measurement cannot be made.
  std::vector<LinkResult> run(const std::vector<LinkMeasurement>& measurements);
  // Broken rules of the sockets; empty unless simulation.check_protocol is set.
  std::vector<std::string> protocol_violations();

 private:
  class Bench;
  std::unique_ptr<Bench> bench_;
};

}  // namespace nvmesim::system_
