#include "sim/app/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "sim/base/config.hpp"
#include "sim/base/parse.hpp"

namespace nvmesim::app {

namespace {

// No option and no argument means anything by an empty value, but for a filter that lets all pass.
void refuse_empty(const po::variables_map& values, const po::options_description& options,
                  const std::vector<std::string>& positional) {
  for (const auto& option : options.options()) {
    const std::string& name = option->long_name();
    const bool flag = option->semantic()->max_tokens() == 0;
    if (flag || name == "filter" || values.count(name) == 0) continue;
    const auto* text = boost::any_cast<std::string>(&values[name].value());
    if (text == nullptr || !text->empty()) continue;
    const bool argument = std::find(positional.begin(), positional.end(), name) != positional.end();
    throw base::UserError(fmt::format("{}{}: is empty", argument ? "" : "--", name));
  }
}

}  // namespace

po::variables_map parse(const Arguments& arguments, std::string_view verb, std::string_view about,
                        po::options_description options, const std::vector<std::string>& positional,
                        std::string_view behind) {
  options.add_options()("help,h", "show this help");
  po::options_description all;
  all.add(options);
  po::positional_options_description order;
  for (const std::string& name : positional) {
    all.add_options()(name.c_str(), po::value<std::string>());
    order.add(name.c_str(), 1);
  }
  po::variables_map values;
  try {
    // No guessing: an abbreviated option would change its meaning when another one is added.
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(arguments).options(all).positional(order).style(style).run(),
              values);
    po::notify(values);
  } catch (const po::too_many_positional_options_error&) {
    throw base::UserError(
        fmt::format("{}: too many arguments; see 'nvmesim {} --help'", verb, verb));
  } catch (const po::unknown_option& error) {
    std::vector<std::string> known;
    for (const auto& option : options.options()) known.push_back(option->long_name());
    std::string name = error.get_option_name();
    const std::string given =
        std::find(arguments.begin(), arguments.end(), name) != arguments.end() ? name : "--" + name;
    name.erase(0, name.find_first_not_of('-'));
    const std::string near = base::nearest_key(name, known);
    throw base::UserError(
        fmt::format("{}: unknown option {}{}", verb, given,
                    near.empty() ? "" : fmt::format("; did you mean --{}?", near)));
  } catch (const po::error& error) {
    throw base::UserError(fmt::format("{}: {}", verb, error.what()));
  }
  if (values.count("help") != 0) {
    std::ostringstream text;
    text << options;
    std::string usage;
    for (const std::string& name : positional) usage += " " + name;
    fmt::print("usage: nvmesim {}{} [options]{}\n\n{}\n\n{}", verb, usage, behind, about,
               text.str());
    throw HelpShown{};
  }
  for (const std::string& name : positional) {
    if (values.count(name) == 0) {
      throw base::UserError(
          fmt::format("{}: {} is missing; see 'nvmesim {} --help'", verb, name, verb));
    }
  }
  refuse_empty(values, all, positional);
  return values;
}

namespace {

// "90%" or "90".
std::uint64_t fill_percent(const std::string& text) {
  std::string_view digits = text;
  if (digits.ends_with('%')) digits.remove_suffix(1);
  const auto value = base::parse_unsigned(digits);
  if (!value || *value > 100) {
    throw base::UserError(fmt::format("--fill: '{}' is not a share from 0% to 100%", text));
  }
  return *value;
}

// --precondition and --fill as settings, in front of the user's own.
void add_precondition(const po::variables_map& values, std::vector<std::string>& settings) {
  if (values.count("precondition") == 0 && values.count("fill") == 0) return;
  if (values.count("load-state") != 0) {
    throw base::UserError(
        "--load-state: it is the state of the drive; leave out --precondition "
        "and --fill");
  }
  const std::uint64_t fill =
      values.count("fill") != 0 ? fill_percent(values["fill"].as<std::string>()) : 100;
  for (std::string_view medium : {"ftl", "xpoint"}) {
    settings.push_back(fmt::format("device.media.{}.prefill_percent={}", medium, fill));
  }
  if (values.count("precondition") == 0) return;
  const std::string& kind = values["precondition"].as<std::string>();
  if (kind != "random" && kind != "sequential") {
    throw base::UserError(
        fmt::format("--precondition: '{}' is neither random nor sequential", kind));
  }
  settings.push_back("device.media.ftl.precondition=" + kind);
}

}  // namespace

po::options_description precondition_options() {
  po::options_description options("State of the drive at the start");
  options.add_options()(
      "precondition", po::value<std::string>(),
      "random or sequential: the drive was overwritten so until its steady state")(
      "fill", po::value<std::string>(),
      "share of the drive, from its beginning, that holds data (100% with --precondition)")(
      "load-state", po::value<std::string>(), "the drive begins as --save-state left it")(
      "save-state", po::value<std::string>(),
      "write the state of the drive to this file after a run that ended well");
  return options;
}

po::options_description system_options() {
  po::options_description options("System");
  options.add_options()("drive", po::value<std::string>()->default_value("p5510"),
                        "the drive: a preset ('nvmesim drives') or a JSON file")(
      "host", po::value<std::string>()->default_value("default"),
      "the host: a preset or a JSON file")(
      "set", po::value<std::vector<std::string>>()->composing(),
      "path.to.key=value: change a parameter ('nvmesim config' lists them); repeatable")(
      "driver", po::value<std::vector<std::string>>()->composing(),
      "nvme.PARAMETER=value: a module parameter of the driver; repeatable")(
      "seed", po::value<std::string>(), "seed of every random draw (default 1)");
  return options;
}

system_::SystemConfig system_config(const po::variables_map& values,
                                    const std::vector<std::string>& more,
                                    std::vector<system_::Unread> unread) {
  system_::ConfigRequest request;
  request.unread = std::move(unread);
  request.drive = values["drive"].as<std::string>();
  request.host = values["host"].as<std::string>();
  add_precondition(values, request.settings);
  if (values.count("set") != 0) {
    const auto& settings = values["set"].as<std::vector<std::string>>();
    request.settings.insert(request.settings.end(), settings.begin(), settings.end());
  }
  request.settings.insert(request.settings.end(), more.begin(), more.end());
  if (values.count("driver") != 0) {
    request.driver_settings = values["driver"].as<std::vector<std::string>>();
  }
  if (values.count("seed") != 0) {
    request.seed = unsigned_option(values, "seed", 0, std::numeric_limits<std::int64_t>::max());
  }
  return system_::load_config(request);
}

po::options_description result_options() {
  po::options_description options("Results");
  options.add_options()("json", po::value<std::string>(),
                        "also write the results to this file, as JSON")(
      "slowest", po::value<std::string>()->default_value("0"),
      "show this many of the slowest requests, with their stages")("no-summary",
                                                                   "print no text summary");
  return options;
}

std::uint64_t unsigned_option(const po::variables_map& values, const char* name,
                              std::uint64_t minimum, std::uint64_t maximum) {
  const std::string& text = values[name].as<std::string>();
  const auto value = base::parse_unsigned(text);
  if (!value || *value < minimum || *value > maximum) {
    throw base::UserError(
        fmt::format("--{}: '{}' is not a number from {} to {}", name, text, minimum, maximum));
  }
  return *value;
}

}  // namespace nvmesim::app
