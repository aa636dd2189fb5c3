// nvmesim config: every parameter, or the whole configuration of a drive and host.
#include <fmt/format.h>

#include "sim/app/options.hpp"
#include "sim/base/config.hpp"
#include "sim/report/json_report.hpp"
#include "sim/system/system.hpp"

namespace nvmesim::app {
namespace {

// The value in force, and the default where it is another.
void print_table(const system_::SystemConfig& system, const std::string& filter) {
  const auto defaults = base::list_params<system_::SystemConfig>();
  const auto rows = base::list_params(system);
  std::string section;
  bool any = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const base::ParamRow& row = rows[i];
    if (row.path.find(filter) == row.path.npos) continue;
    any = true;
    const auto dot = row.path.rfind('.');
    const std::string owner = dot == row.path.npos ? "" : row.path.substr(0, dot);
    if (owner != section) fmt::print("\n{}\n", owner);
    section = owner;
    std::string value = row.value;
    if (!row.unit.empty()) value += " " + row.unit;
    if (row.value != defaults[i].value) value += fmt::format(" (not {})", defaults[i].value);
    fmt::print("  {:<32} {:<24} {:<24} {}\n",
               dot == row.path.npos ? row.path : row.path.substr(dot + 1), value, row.range,
               row.help);
  }
  if (!any) throw base::UserError(fmt::format("config: no parameter's path has '{}'", filter));
}

// The sections that a file for --drive or --host may have, or all.
boost::json::value shown(const system_::SystemConfig& system, const std::string& what) {
  const boost::json::value document = system_::describe_config(system);
  if (what == "all") return document;
  if (what != "drive" && what != "host") {
    throw base::UserError(fmt::format("config: --show '{}': drive, host or all", what));
  }
  boost::json::object part;
  for (const std::string& section : system_::preset_sections(what)) {
    part.emplace(section, document.at(section));
  }
  return part;
}

}  // namespace

int config(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()(
      "show", po::value<std::string>(),
      "drive or host: print what the options give, as a JSON file for --drive or --host; or all")(
      "filter", po::value<std::string>()->default_value(""),
      "list only parameters whose path has this");
  options.add(system_options());
  const auto values =
      parse(arguments, "config",
            "Lists every parameter: name, value (and the default where it is another), range\n"
            "and what it means. Its path (the heading and the name) is what --set takes.",
            options);
  const system_::SystemConfig system = system_config(values);
  if (values.count("show") != 0 && !values["filter"].as<std::string>().empty()) {
    throw base::UserError("--filter: --show prints whole sections; leave out one of them");
  }
  // What only the parts themselves refuse is refused here too.
  const system_::System parts(system, {});
  if (values.count("show") != 0) {
    fmt::print("{}", report::print_json(shown(system, values["show"].as<std::string>())));
  } else {
    print_table(system, values["filter"].as<std::string>());
  }
  return 0;
}

}  // namespace nvmesim::app
