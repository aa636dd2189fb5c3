#include "sim/app/tlp_trace.hpp"

#include <utility>

namespace nvmesim::app {
namespace {

constexpr std::size_t kWriteBytes = 1 << 16;

}  // namespace

po::options_description trace_options() {
  po::options_description options("Traces");
  options.add_options()("trace-tlp", po::value<std::string>(),
                        "write every packet of the PCIe link to this file, one line each");
  return options;
}

std::unique_ptr<TlpTrace> TlpTrace::from(const po::variables_map& values,
                                         const std::vector<std::string>& taken) {
  if (values.count("trace-tlp") == 0) return nullptr;
  return std::make_unique<TlpTrace>(values["trace-tlp"].as<std::string>(), taken);
}

pcie::TlpLog TlpTrace::log() {
  return [this](const pcie::TlpRecord& record) {
    lines_ += pcie::to_line(record);
    lines_ += '\n';
    if (lines_.size() < kWriteBytes) return;
    file_.write(lines_);
    lines_.clear();
  };
}

void TlpTrace::commit() {
  file_.write(lines_);
  file_.commit();
}

}  // namespace nvmesim::app
