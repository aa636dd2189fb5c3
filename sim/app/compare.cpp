// nvmesim compare: two JSON results side by side.
#include "sim/report/compare.hpp"

#include <fmt/format.h>

#include "sim/app/options.hpp"

namespace nvmesim::app {

int compare(const Arguments& arguments) {
  po::options_description options("Options");
  options.add_options()(
      "fail-if", po::value<std::vector<std::string>>()->composing(),
      "a condition such as 'read.p99_ns > +5%'; exit status 1 if it holds; repeatable");
  const auto values =
      parse(arguments, "compare",
            "Prints what differs in the configuration of two results, then what changed in their\n"
            "values. A condition is PATH OP LIMIT: 'read.p99_ns > +5%' compares the change of B\n"
            "against A, 'write.iops < 90000' the value of B.",
            options, {"A.json", "B.json"});
  std::vector<std::string> conditions;
  if (values.count("fail-if") != 0) {
    conditions = values["fail-if"].as<std::vector<std::string>>();
  }
  const auto comparison =
      report::compare(report::read_report(values["A.json"].as<std::string>()),
                      report::read_report(values["B.json"].as<std::string>()), conditions);
  fmt::print("{}", comparison.text);
  return comparison.exit_status();
}

}  // namespace nvmesim::app
