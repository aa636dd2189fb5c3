// nvmesim drives: the presets that can be simulated.
#include <fmt/format.h>

#include "sim/app/drive_check.hpp"
#include "sim/app/options.hpp"
#include "sim/system/presets.hpp"

namespace nvmesim::app {
namespace {

std::string text_of(const boost::json::value& preset, std::string_view key) {
  const auto* value = preset.as_object().if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

}  // namespace

int drives(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()("sources", "also say where the figures come from")(
      "check", po::value<std::string>(),
      "run a drive (a preset or a JSON file) against its published figures; status 1 if one is "
      "out of its tolerance");
  const auto values =
      parse(arguments, "drives",
            "Lists the drives for --drive and the hosts for --host. A JSON file of\n"
            "your own may name any parameter of 'nvmesim config'.",
            options);
  if (values.count("check") != 0 && values.count("sources") != 0) {
    throw base::UserError("--sources: --check prints no list; leave out one of them");
  }
  if (values.count("check") != 0) return check_drive(values["check"].as<std::string>());
  for (std::string_view kind : {"drives", "hosts"}) {
    fmt::print("{}:\n", kind);
    for (const std::string& name : system_::preset_names(kind)) {
      const auto preset = system_::load_preset(kind, name);
      fmt::print("  {:<10} {}\n", name, text_of(preset, "description"));
      const std::string sources = text_of(preset, "sources");
      if (values.count("sources") != 0 && !sources.empty())
        fmt::print("  {:<10} {}\n", "", sources);
    }
  }
  return 0;
}

}  // namespace nvmesim::app
