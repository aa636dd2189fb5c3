// Refuses settings that would have no effect: what the verb does not read, and what belongs to a
// part that the configuration does not have. Only what a user sets for one run is looked at; files
// of drives and hosts may describe parts that are not in use.
#pragma once

#include <boost/json.hpp>
#include <span>
#include <string_view>

namespace nvmesim::system_ {

struct SystemConfig;

// A parameter, or all below it, and why nothing reads it.
struct Unread {
  std::string_view section;
  std::string_view why;
};

// source: the option that the settings came with. Throws UserError.
void refuse_without_effect(const boost::json::value& settings, std::string_view source,
                           const SystemConfig& config, std::span<const Unread> by_verb);

}  // namespace nvmesim::system_
