// Presets of drives and hosts: JSON texts compiled into the program from sim/system/drives and
// sim/system/hosts. A preset names only what differs from the defaults of SystemConfig.
#pragma once

#include <boost/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nvmesim::system_ {

struct PresetText {
  std::string_view kind;  // "drives" or "hosts"
  std::string_view name;
  std::string_view text;
};

// Every preset that was compiled in, in order of kind and name.
std::span<const PresetText> preset_texts();

// The names of one kind.
std::vector<std::string> preset_names(std::string_view kind);

// A preset by name, or a JSON file by path: a drive is `NAME` or anything that looks like a path.
// Throws UserError that names the nearest preset, or what is wrong with the file.
boost::json::value load_preset(std::string_view kind, std::string_view name_or_file);

}  // namespace nvmesim::system_
