// nvmesim link: measures the modelled link alone and shows it beside the closed forms.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "sim/app/options.hpp"
#include "sim/app/output_file.hpp"
#include "sim/app/tlp_trace.hpp"
#include "sim/base/config.hpp"
#include "sim/base/parse.hpp"
#include "sim/report/json_report.hpp"
#include "sim/report/text_format.hpp"
#include "sim/system/link_bench.hpp"

namespace nvmesim::app {
namespace {

using system_::LinkMeasurement;
using system_::LinkOperation;
using system_::LinkResult;

struct OperationName {
  std::string_view name;
  LinkOperation operation;
};
constexpr OperationName kOperations[] = {{"dma-read", LinkOperation::dma_read},
                                         {"dma-write", LinkOperation::dma_write},
                                         {"dma-write-read", LinkOperation::dma_write_read},
                                         {"mmio-read", LinkOperation::mmio_read},
                                         {"mmio-write", LinkOperation::mmio_write}};

struct Percentile {
  std::string_view name;  // of the JSON key
  std::uint64_t parts_per_million;
};
constexpr Percentile kPercentiles[] = {
    {"p50_ns", 500'000}, {"p90_ns", 900'000}, {"p99_ns", 990'000}, {"p99.9_ns", 999'000}};

// Options that are short names of parameters.
struct Shortcut {
  const char* option;
  std::string_view path;
  std::uint64_t least;  // the parameter may know better
  std::uint64_t most;
  const char* help;
};
constexpr Shortcut kShortcuts[] = {
    {"gen", "link.generation", 1, 6, "generation of the link"},
    {"lanes", "link.lanes", 1, 16, "lanes of the link"},
    {"mps", "link.max_payload_bytes", 128, 4096, "longest payload of a TLP, in bytes"},
    {"mrrs", "link.max_read_request_bytes", 128, 4096,
     "most that one read request asks for, in bytes"},
    {"rcb", "link.read_completion_boundary_bytes", 0, 128,
     "64 or 128: completions are cut at it; 0: at the longest payload"},
    {"devices", "pcie_switch.ports", 1, 32,
     "devices behind one switch, which share its uplink (settings uplink.*); default: one device "
     "without a switch"}};

// The link is measured without a drive, a driver and a kernel.
std::vector<system_::Unread> unread() {
  constexpr std::string_view kDrive = "link measures without a drive's controller and media";
  constexpr std::string_view kDriver = "link measures without a driver";
  constexpr std::string_view kKernel = "link measures without a kernel";
  std::vector<system_::Unread> unread{
      {"driver", kDriver},
      {"device.persona", kDrive},
      {"device.controller", kDrive},
      {"device.media", kDrive},
      {"simulation.hang_after_ms", "link measures without requests"}};
  for (const std::string_view section :
       {"host.cpus", "host.smp", "host.storage_d3", "host.aer", "host.nomerges",
        "host.block_layer_ns", "host.driver_ns", "host.interrupt_ns", "host.context_switch_ns",
        "host.completion_ns", "host.poll_ns", "host.iommu.map_ns", "host.iommu.unmap_ns",
        "host.iommu.flush_ns"}) {
    unread.push_back({std::string(section), kKernel});
  }
  return unread;
}

// The shortcuts that were given, as settings; each says something that --set does not say too.
std::vector<std::string> shortcut_settings(const po::variables_map& values) {
  std::vector<std::string> settings;
  for (const Shortcut& each : kShortcuts) {
    if (values.count(each.option) == 0) continue;
    const auto value = unsigned_option(values, each.option, each.least, each.most);
    if (values.count("set") != 0) {
      for (const std::string& setting : values["set"].as<std::vector<std::string>>()) {
        if (setting.starts_with(fmt::format("{}=", each.path))) {
          throw base::UserError(
              fmt::format("--set {}: --{} says that already; leave out one", setting, each.option));
        }
      }
    }
    settings.push_back(fmt::format("{}={}", each.path, value));
  }
  return settings;
}

LinkOperation parse_operation(const std::string& text) {
  std::vector<std::string> names;
  for (const OperationName& each : kOperations) {
    if (each.name == text) return each.operation;
    names.emplace_back(each.name);
  }
  const std::string near = base::nearest_key(text, names);
  throw base::UserError(fmt::format("--op: '{}' is no operation{}; known: {}", text,
                                    near.empty() ? "" : fmt::format(", did you mean {}?", near),
                                    fmt::join(names, ", ")));
}

std::string_view name_of(LinkOperation operation) {
  for (const OperationName& each : kOperations) {
    if (each.operation == operation) return each.name;
  }
  return "?";
}

// "64,512,2048"
std::vector<std::uint32_t> parse_sizes(const std::string& text, bool mmio) {
  std::vector<std::uint32_t> sizes;
  const std::uint64_t most = mmio ? 64 : 1 << 20;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, end - begin);
    const auto value = base::parse_unsigned(item);
    if (!value || *value < 1 || *value > most) {
      throw base::UserError(
          fmt::format("--size: '{}' is not a number of bytes from 1 to {}", item, most));
    }
    sizes.push_back(static_cast<std::uint32_t>(*value));
    begin = end + 1;
  }
  return sizes;
}

std::vector<LinkMeasurement> parse_measurements(const po::variables_map& values) {
  LinkMeasurement one;
  one.operation = parse_operation(values["op"].as<std::string>());
  const bool mmio =
      one.operation == LinkOperation::mmio_read || one.operation == LinkOperation::mmio_write;
  one.outstanding = static_cast<std::uint32_t>(unsigned_option(values, "outstanding", 1, 4096));
  one.count = unsigned_option(values, "count", 2, 1'000'000'000);
  if (one.count <= one.outstanding) {
    throw base::UserError(
        fmt::format("--count: {} operations of which {} are open at a time; "
                    "ask for more",
                    one.count, one.outstanding));
  }
  one.window_bytes = unsigned_option(values, "window", 0, std::uint64_t{1} << 40);
  const std::string sizes = values.count("size") != 0 ? values["size"].as<std::string>()
                            : mmio                    ? "4,8,64"
                                                      : "64,128,256,512,1024,2048,4096";
  std::vector<LinkMeasurement> all;
  for (const std::uint32_t bytes : parse_sizes(sizes, mmio)) {
    all.push_back(one);
    all.back().bytes = bytes;
  }
  return all;
}

std::string gigabytes(std::uint64_t per_second) {
  const std::uint64_t thousandths = (per_second + 500'000) / 1'000'000;
  return fmt::format("{}.{:03}", thousandths / 1000, thousandths % 1000);
}
std::string nanoseconds(std::uint64_t ps) {
  const std::uint64_t tenths = (ps + 50) / 100;
  return fmt::format("{}.{}", tenths / 10, tenths % 10);
}
std::string difference(std::uint64_t measured, std::uint64_t expected) {
  if (expected == 0) return "-";
  const bool more = measured >= expected;
  const std::uint64_t apart = more ? measured - expected : expected - measured;
  const std::string share = report::percent(apart, expected);
  return share.front() == '<' || apart == 0 ? share : (more ? "+" : "-") + share;
}

void print_table(const system_::SystemConfig& config, const std::vector<LinkResult>& results) {
  const pcie::LinkConfig& link = config.link;
  const LinkMeasurement& first = results.front().measurement;
  fmt::print("{}, {} outstanding, {} operations; generation {} x{}, MPS {}, MRRS {}, RCB {}\n",
             name_of(first.operation), first.outstanding, first.count, link.generation, link.lanes,
             link.max_payload_bytes, link.max_read_request_bytes,
             link.read_completion_boundary_bytes == 0
                 ? "none"
                 : fmt::format("{}", link.read_completion_boundary_bytes));
  if (config.pcie_switch.ports != 0) {
    fmt::print("as many in each of {} behind a switch of {} ns; uplink generation {} x{}\n",
               config.pcie_switch.ports, config.pcie_switch.latency_ns, config.uplink.generation,
               config.uplink.lanes);
  }
  fmt::print("\n");
  constexpr const char* kRow =
      "{:>8} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8}  {:>9} {:>9} {:>8}\n";
  fmt::print(kRow, "", "latency", "", "", "", "", "formula", "median", "bandwidth", "formula", "");
  fmt::print(kRow, "size", "min ns", "median", "p99", "p99.9", "max", "ns", "against", "GB/s",
             "GB/s", "");
  for (const LinkResult& each : results) {
    const base::Histogram& latency = each.latency;
    const auto expected = static_cast<std::uint64_t>(each.formula_latency.count());
    fmt::print(kRow, each.measurement.bytes, nanoseconds(latency.min()),
               nanoseconds(latency.percentile(500'000)), nanoseconds(latency.percentile(990'000)),
               nanoseconds(latency.percentile(999'000)), nanoseconds(latency.max()),
               expected == 0 ? "-" : nanoseconds(expected),
               difference(latency.percentile(500'000), expected),
               gigabytes(each.bytes_per_second()),
               each.formula_bytes_per_second == 0 ? "-" : gigabytes(each.formula_bytes_per_second),
               difference(each.bytes_per_second(), each.formula_bytes_per_second));
  }
  const bool without = std::any_of(results.begin(), results.end(), [](const LinkResult& each) {
    return each.formula_bytes_per_second == 0;
  });
  if (!without) return;
  fmt::print(
      "\n-: no closed form for several pages over two links that cut them differently (MPS, MRRS, "
      "RCB)\n   or ask for less than 512 bytes at a time\n");
}

boost::json::value to_json(const system_::SystemConfig& config,
                           const std::vector<LinkResult>& results) {
  const auto ns = [](std::uint64_t ps) { return static_cast<double>(ps) / 1000; };
  boost::json::array rows;
  for (const LinkResult& each : results) {
    const base::Histogram& histogram = each.latency;
    boost::json::object latency{{"min_ns", ns(histogram.min())},
                                {"mean_ns", histogram.mean() / 1000},
                                {"max_ns", ns(histogram.max())}};
    for (const Percentile& percentile : kPercentiles) {
      latency[percentile.name] = ns(histogram.percentile(percentile.parts_per_million));
    }
    latency["formula_ns"] = ns(static_cast<std::uint64_t>(each.formula_latency.count()));
    boost::json::array shares;
    for (const std::uint64_t bytes : each.device_bytes) shares.push_back(bytes);
    rows.push_back(
        boost::json::object{{"operation", name_of(each.measurement.operation)},
                            {"size_bytes", each.measurement.bytes},
                            {"outstanding", each.measurement.outstanding},
                            {"count", histogram.count()},
                            {"latency", std::move(latency)},
                            {"device_bytes", std::move(shares)},
                            {"bandwidth_bytes_per_second", each.bytes_per_second()},
                            {"formula_bandwidth_bytes_per_second", each.formula_bytes_per_second}});
  }
  return boost::json::object{
      {"format", "nvmesim-link"},        {"format_version", 1},
      {"nvmesim_version", kVersion},     {"seed", config.seed},
      {"measurements", std::move(rows)}, {"configuration", system_::describe_config(config)}};
}

po::options_description link_options() {
  po::options_description options("Link");
  for (const Shortcut& each : kShortcuts) {
    options.add_options()(each.option, po::value<std::string>(), each.help);
  }
  options.add_options()("op", po::value<std::string>()->default_value("dma-read"),
                        "dma-read, dma-write, dma-write-read, mmio-read or mmio-write")(
      "size", po::value<std::string>(),
      "bytes of one operation; several with commas between (default: a row of usual ones)")(
      "outstanding", po::value<std::string>()->default_value("1"),
      "operations that are open at a time; of MMIO: processors at work")(
      "count", po::value<std::string>()->default_value("10000"), "operations for each size")(
      "window", po::value<std::string>()->default_value("0"),
      "bytes of host memory that addresses are drawn from (default: those of one operation)")(
      "json", po::value<std::string>(), "also write the results to this file, as JSON")(
      "no-summary", "print no table");
  return options;
}

// What would end operations otherwise than well, or is not there.
void check_measurable(const system_::SystemConfig& config) {
  for (pcie::LinkFaults faults : {config.link.faults, config.uplink.faults}) {
    faults.corrupt_ppb = 0;  // sent again
    if (faults.any()) {
      throw base::UserError(
          "link: of the faults of links only corrupt_ppb and bit errors can be measured; the "
          "others "
          "end operations");
    }
  }
  if (config.device.controllers != 1) {
    throw base::UserError(
        "device.controllers: link measures one device, or several with --devices");
  }
}

}  // namespace

int link(const Arguments& arguments) {
  po::options_description options = link_options();
  options.add(system_options()).add(trace_options());
  const auto values =
      parse(arguments, "link",
            "Measures the link, root complex and host memory of a configuration with a device\n"
            "that only moves bytes: latency of operations and payload per second, beside what\n"
            "the closed forms give. A DMA write ends when it has been handed to the link, an\n"
            "MMIO write when it has arrived. The link is the drive's, the memory the host's.\n"
            "With --devices so many share the uplink of a switch; then a DMA write ends when it\n"
            "has arrived in memory. The formula has the wires, the switch, host memory, the other\n"
            "NUMA node and the walks of the IOMMU, but no credits, tags, errors or sleep.\n"
            "No kernel maps buffers: with an IOMMU, host.iommu.mode lazy and strict are alike.",
            options);
  const system_::SystemConfig config = system_config(values, shortcut_settings(values), unread());
  check_measurable(config);
  const auto measurements = parse_measurements(values);
  std::unique_ptr<OutputFile> json;
  std::vector<std::string> taken;
  if (values.count("json") != 0) {
    taken.push_back(values["json"].as<std::string>());
    json = std::make_unique<OutputFile>(taken.back());
  }
  const auto tlp_trace = TlpTrace::from(values, taken);
  system_::LinkBench bench(config, tlp_trace ? tlp_trace->log() : pcie::TlpLog());
  const auto results = bench.run(measurements);
  if (tlp_trace) tlp_trace->commit();
  if (values.count("no-summary") == 0) print_table(config, results);
  if (json) {
    json->write(report::print_json(to_json(config, results)));
    json->commit();
  }
  const auto violations = bench.protocol_violations();
  for (const std::string& violation : violations) {
    fmt::print(stderr, "nvmesim: protocol violation: {}\n", violation);
  }
  return violations.empty() ? 0 : 1;
}

}  // namespace nvmesim::app
