// nvmesim config: every parameter, or the whole configuration of a drive and host.
#include <fmt/format.h>

#include "sim/app/options.hpp"
#include "sim/base/config.hpp"
#include "sim/report/json_report.hpp"

namespace nvmesim::app {
namespace {

void print_table(const std::string& filter) {
  std::string section;
  for (const base::ParamRow& row : base::list_params<system_::SystemConfig>()) {
    if (row.path.find(filter) == row.path.npos) continue;
    const auto dot = row.path.rfind('.');
    const std::string owner = dot == row.path.npos ? "" : row.path.substr(0, dot);
    if (owner != section) fmt::print("\n{}\n", owner);
    section = owner;
    std::string value = row.default_value;
    if (!row.unit.empty()) value += " " + row.unit;
    fmt::print("  {:<32} {:<24} {:<24} {}\n",
               dot == row.path.npos ? row.path : row.path.substr(dot + 1), value, row.range,
               row.help);
  }
}

}  // namespace

int config(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()(
      "show",
      "print the configuration that the options give, as JSON for --drive and --host files")(
      "filter", po::value<std::string>()->default_value(""),
      "list only parameters whose path has this");
  options.add(system_options());
  const auto values =
      parse(arguments, "config",
            "Lists every parameter: name, default, range and what it means. Its path\n"
            "(the heading and the name) is what --set takes.",
            options);
  const system_::SystemConfig system = system_config(values);
  if (values.count("show") != 0) {
    fmt::print("{}", report::print_json(system_::describe_config(system)));
  } else {
    print_table(values["filter"].as<std::string>());
  }
  return 0;
}

}  // namespace nvmesim::app
