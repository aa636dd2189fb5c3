// Refuses settings that would have no effect: what the verb does not read, and what belongs to a
// part that the configuration does not have. What a user sets for one run must have an effect in
// it. A file of a drive or a host must make sense alone: what it says otherwise than the default
// has an effect there, or in the run.
#pragma once

#include <boost/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nvmesim::system_ {

struct SystemConfig;

// A parameter, or all below it, and why nothing reads it.
struct Unread {
  std::string section;
  std::string_view why;
};

// source: the option that the settings came with. Throws UserError.
void refuse_without_effect(const boost::json::value& settings, std::string_view source,
                           const SystemConfig& config, std::span<const Unread> by_verb);

// A file's settings: `alone` is the configuration without what the user set for the run, `config`
// that of the run.
void refuse_without_effect_in_file(const boost::json::value& file, std::string_view source,
                                   const SystemConfig& alone, const SystemConfig& config);

}  // namespace nvmesim::system_
