// Command-line options that several verbs share, and how a verb parses its own.
#pragma once

#include <boost/program_options.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/app/verb.hpp"
#include "sim/system/system_config.hpp"

namespace nvmesim::app {

inline constexpr std::string_view kVersion = "0.1.0";

namespace po = boost::program_options;

// --help was asked for and printed.
struct HelpShown {};

// Parses `arguments`; the positional ones are named in order, `behind` is what the usage shows
// behind the options. Prints the help of the verb and
// throws HelpShown for --help; throws UserError for what cannot be parsed or is missing.
po::variables_map parse(const Arguments& arguments, std::string_view verb, std::string_view about,
                        po::options_description options,
                        const std::vector<std::string>& positional = {},
                        std::string_view behind = {});

// --precondition, --fill, --load-state, --save-state: for verbs that run workloads.
po::options_description precondition_options();

// --drive, --host, --set, --driver, --seed.
po::options_description system_options();
// more: settings of the verb's own options, which come behind --set. unread: what the verb has no
// use for; to set it is a mistake.
system_::SystemConfig system_config(const po::variables_map& values,
                                    const std::vector<std::string>& more = {},
                                    std::vector<system_::Unread> unread = {});

// --json, --slowest and what else shapes the result.
po::options_description result_options();

// Options whose values are checked here, so that their errors name the option.
std::uint64_t unsigned_option(const po::variables_map& values, const char* name,
                              std::uint64_t minimum, std::uint64_t maximum);

}  // namespace nvmesim::app
