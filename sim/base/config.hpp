// Configuration: plain structs, described by Boost.Describe, read from JSON with comments.
//
// A config struct declares its members with defaults, BOOST_DESCRIBE_STRUCT(Name, (), (members)),
// and a table with one row per member that is not itself a struct:
//
//   struct LinkConfig {
//     std::uint32_t lanes = 4;
//     std::uint32_t propagation_ns = 10;
//     static std::span<const base::ParamInfo> params();  // {"lanes", "lanes", 1, 16, "..."}
//   };
//   BOOST_DESCRIBE_STRUCT(LinkConfig, (), (lanes, propagation_ns))
//
// Members may be: bool, unsigned and signed integers, std::string, enums described by
// BOOST_DESCRIBE_ENUM (written in JSON as the enumerator's name), config structs, and
// std::vector of any of these. Units are in the names (_ns, _us, _bytes, _mhz).
// Unknown keys, duplicate keys, wrong types and values out of range are UserErrors that name
// "file: path.to.key" and, for an unknown key, the nearest known one.
#pragma once

#include <boost/describe.hpp>
#include <boost/json.hpp>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/assert.hpp"

namespace nvmesim::base {

inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

// What `nvmesim config` prints about a parameter. For strings and enums minimum and maximum are 0.
struct ParamInfo {
  std::string_view name;
  std::string_view unit;  // "" for a pure number or a choice
  std::int64_t minimum = 0;
  std::int64_t maximum = 0;
  std::string_view help;
};

// Parses JSON with // and /* */ comments and trailing commas; refuses duplicate keys.
// `source` names the text in errors. Throws UserError.
boost::json::value parse_json(std::string_view text, std::string_view source);

// "path.to.key=value" onto a document. The value is JSON, or a bare word taken as a string.
// Objects on the way are created; a number in the path is an index into a list (the next free one
// appends). Where the document has no list yet, read_config() changes that element of the default.
void apply_setting(boost::json::value& document, std::string_view setting);

// Objects are merged key by key, everything else is replaced.
void merge_json(boost::json::value& base, const boost::json::value& overlay);

// The key among `known` with the least edit distance to `key`; empty if none is close.
std::string nearest_key(std::string_view key, const std::vector<std::string>& known);

// One parameter of a described struct, with its place in the tree.
struct ParamRow {
  std::string path;  // "link.lanes"; elements of a list of structs: "namespaces.N.blocks"
  std::string unit;
  std::string value;
  std::string range;
  std::string help;
};

// Overwrites the members that `document` names; a list replaces the whole default list, its
// elements start from their own defaults. `source` names the document in errors. Throws UserError.
template <class Config>
void read_config(const boost::json::value& document, Config& config, std::string_view source);

// The whole struct as JSON, members in the order of their description.
template <class Config>
boost::json::value write_config(const Config& config);

// Every parameter below Config, in order, with its value in `config`.
template <class Config>
std::vector<ParamRow> list_params(const Config& config = {}, std::string_view prefix = "");

// Calls `build`; a UserError of a part that names its own keys gets the part's place in front.
template <class Build>
decltype(auto) with_path(std::string_view path, Build&& build) {
  try {
    return build();
  } catch (const UserError& error) {
    throw UserError(std::string(path) + "." + error.what());
  }
}

// For the tests of each room: ends with a ModelBug if a member of Config (or of a struct in it) has
// no row, a row no member, a default is out of its range, or the whole does not survive JSON.
template <class Config>
void check_params();

}  // namespace nvmesim::base

#include "sim/base/config_impl.hpp"
