#include "sim/base/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <set>

namespace nvmesim::base {
namespace {

namespace json = boost::json;

// Builds a value as Boost's own parser does, and stops at a key that its object already has.
class Builder {
 public:
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  const std::string& duplicate() const { return duplicate_; }
  json::value release() { return stack_.release(); }

  bool on_document_begin(json::error_code&) {
    stack_.reset();
    return true;
  }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) {
    keys_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t size, json::error_code&) {
    keys_.pop_back();
    stack_.push_object(size);
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t size, json::error_code&) {
    stack_.push_array(size);
    return true;
  }
  bool on_key_part(json::string_view text, std::size_t, json::error_code&) {
    key_.append(text.data(), text.size());
    stack_.push_chars(text);
    return true;
  }
  bool on_key(json::string_view text, std::size_t, json::error_code& error) {
    key_.append(text.data(), text.size());
    if (!keys_.back().insert(key_).second) {
      duplicate_ = key_;
      error = json::error::exception;
      return false;
    }
    key_.clear();
    stack_.push_key(text);
    return true;
  }
  bool on_string_part(json::string_view text, std::size_t, json::error_code&) {
    stack_.push_chars(text);
    return true;
  }
  bool on_string(json::string_view text, std::size_t, json::error_code&) {
    stack_.push_string(text);
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code&) {
    stack_.push_int64(value);
    return true;
  }
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) {
    stack_.push_uint64(value);
    return true;
  }
  bool on_double(double value, json::string_view, json::error_code&) {
    stack_.push_double(value);
    return true;
  }
  bool on_bool(bool value, json::error_code&) {
    stack_.push_bool(value);
    return true;
  }
  bool on_null(json::error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  json::value_stack stack_;
  std::vector<std::set<std::string>> keys_;  // of each open object
  std::string key_;
  std::string duplicate_;
};

// "line:column" of an offset into text, both from 1.
std::string position(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto start = before.rfind('\n');
  const std::size_t column = before.size() - (start == before.npos ? 0 : start + 1) + 1;
  return fmt::format("{}:{}", line, column);
}

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto dot = path.find('.');
    parts.push_back(path.substr(0, dot));
    if (dot == path.npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

bool parse_index(std::string_view text, std::size_t& index) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  return error == std::errc{} && end == text.data() + text.size();
}

// The value of a setting. What looks like JSON must be JSON; any other word is a string.
json::value setting_value(std::string_view text) {
  if (!text.empty() && (text[0] == '{' || text[0] == '[' || text[0] == '"')) {
    return parse_json(text, "value");
  }
  try {
    json::value value = parse_json(text, "value");
    // Digits beyond 64 bits stay what was typed.
    const bool digits = text.find_first_not_of("-0123456789") == text.npos;
    if (!value.is_double() || !digits) return value;
    return json::value(json::string_view(text.data(), text.size()));
  } catch (const UserError&) {
    return json::value(json::string_view(text.data(), text.size()));
  }
}

// The place below `value` that `part` names, created if it is not there.
json::value& descend(json::value& value, std::string_view part, std::string_view setting) {
  if (part.empty()) throw UserError(fmt::format("{}: a part of the path is empty", setting));
  if (value.is_null()) value.emplace_object();
  if (auto* object = value.if_object()) return (*object)[part];
  auto* array = value.if_array();
  if (array == nullptr) {
    throw UserError(
        fmt::format("{}: what is before \"{}\" is neither an object nor a list", setting, part));
  }
  std::size_t index = 0;
  if (!parse_index(part, index) || index > array->size()) {
    throw UserError(
        fmt::format("{}: \"{}\" is no index of a list of {}", setting, part, array->size()));
  }
  if (index == array->size()) array->emplace_back(nullptr);
  return (*array)[index];
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

json::value parse_json(std::string_view text, std::string_view source) {
  json::parse_options options;
  options.allow_comments = true;
  options.allow_trailing_commas = true;
  json::basic_parser<Builder> parser(options);
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().duplicate().empty()) {
    throw UserError(fmt::format("{}:{}: the key \"{}\" is there twice", source,
                                position(text, used), parser.handler().duplicate()));
  }
  if (!error && used < text.size()) error = json::error::extra_data;
  if (error) {
    throw UserError(
        fmt::format("{}:{}: not valid JSON: {}", source, position(text, used), error.message()));
  }
  return parser.handler().release();
}

void apply_setting(json::value& document, std::string_view setting) {
  const auto equals = setting.find('=');
  if (equals == setting.npos || equals == 0) {
    throw UserError(fmt::format("'{}': a setting is path.to.key=value", setting));
  }
  json::value value = setting_value(setting.substr(equals + 1));
  json::value* place = &document;
  for (std::string_view part : split_path(setting.substr(0, equals))) {
    place = &descend(*place, part, setting);
  }
  *place = std::move(value);
}

void merge_json(json::value& base, const json::value& overlay) {
  if (!base.is_object() || !overlay.is_object()) {
    base = overlay;
    return;
  }
  for (const auto& [key, value] : overlay.get_object()) {
    if (auto* below = base.get_object().if_contains(key)) {
      merge_json(*below, value);
    } else {
      base.get_object().emplace(key, value);
    }
  }
}

std::string nearest_key(std::string_view key, const std::vector<std::string>& known) {
  const std::size_t close = std::max<std::size_t>(2, key.size() / 3);
  std::size_t least = close + 1;
  std::string nearest;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(key, candidate);
    if (distance < least && distance < std::max(key.size(), candidate.size())) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

namespace config_detail {
namespace {

std::string_view kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "true or false";
    case json::kind::int64:
    case json::kind::uint64:
      return "a number";
    case json::kind::double_:
      return "a fraction";
    case json::kind::string:
      return "a text";
    case json::kind::array:
      return "a list";
    case json::kind::object:
      return "an object";
  }
  return "something else";
}

[[noreturn]] void wrong_kind(std::string_view expected, const json::value& value,
                             const Place& place) {
  if (value.is_primitive()) {
    place.fail(fmt::format("{} is expected, not {}", expected, json::serialize(value)));
  }
  place.fail(fmt::format("{} is expected, not {}", expected, kind_name(value)));
}

}  // namespace

Place Place::below(std::string_view key) const {
  return {source, path.empty() ? std::string(key) : fmt::format("{}.{}", path, key)};
}

void Place::fail(std::string_view what) const {
  if (path.empty()) throw UserError(fmt::format("{}: {}", source, what));
  throw UserError(fmt::format("{}: {}: {}", source, path, what));
}

Wide read_integer(const json::value& value, const Limits& limits, const Place& place) {
  Wide number = 0;
  if (const auto* signed_number = value.if_int64()) {
    number = *signed_number;
  } else if (const auto* unsigned_number = value.if_uint64()) {
    number = *unsigned_number;
  } else {
    wrong_kind("a whole number", value, place);
  }
  if (number < limits.minimum || number > limits.maximum) {
    place.fail(fmt::format("{} is out of range {}", number, range_text(limits)));
  }
  return number;
}

bool read_bool(const json::value& value, const Place& place) {
  if (!value.is_bool()) wrong_kind("true or false", value, place);
  return value.get_bool();
}

std::string read_string(const json::value& value, const Place& place) {
  // --set serial_number=12345 is a text, too.
  if (value.is_int64() || value.is_uint64()) return json::serialize(value);
  if (!value.is_string()) wrong_kind("a text", value, place);
  return std::string(value.get_string());
}

std::size_t read_choice(const json::value& value, const std::vector<std::string>& names,
                        const Place& place) {
  if (!value.is_string()) {
    wrong_kind(fmt::format("one of {}", choices_text(names)), value, place);
  }
  const std::string text(value.get_string());
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) {
    place.fail(fmt::format("\"{}\" is not one of {}", text, choices_text(names)));
  }
  return static_cast<std::size_t>(found - names.begin());
}

const json::object& read_object(const json::value& value, const Place& place) {
  if (!value.is_object()) wrong_kind("an object", value, place);
  return value.get_object();
}

void refuse_unknown(const json::object& object, const std::vector<std::string>& known,
                    const Place& place) {
  for (const auto& [key, value] : object) {
    const std::string name(key);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string nearest = nearest_key(name, known);
    place.below(name).fail(nearest.empty()
                               ? fmt::format("unknown; known here: {}", fmt::join(known, ", "))
                               : fmt::format("unknown; did you mean \"{}\"?", nearest));
  }
}

std::size_t read_index(std::string_view key, std::size_t size, const Place& place) {
  std::size_t index = 0;
  if (!parse_index(key, index) || index > size) {
    place.fail(fmt::format("\"{}\" is no index of a list of {}", key, size));
  }
  return index;
}

const ParamInfo* find_param(std::span<const ParamInfo> params, std::string_view name) {
  for (const ParamInfo& info : params) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

std::string range_text(const Limits& limits) {
  if (limits.maximum >= std::numeric_limits<std::int64_t>::max()) {
    return fmt::format(">= {}", limits.minimum);
  }
  return fmt::format("{}..{}", limits.minimum, limits.maximum);
}

std::string plain_text(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

std::string choices_text(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, "|"));
}

void table_bug(std::string_view path, std::string_view what) {
  fail_invariant(fmt::format("parameter {}: {}", path, what).c_str(), __FILE__, __LINE__);
}

void check_table(std::span<const ParamInfo> params, const std::vector<std::string>& members,
                 std::string_view path) {
  for (const ParamInfo& info : params) {
    const auto place =
        path.empty() ? std::string(info.name) : fmt::format("{}.{}", path, info.name);
    if (std::find(members.begin(), members.end(), info.name) == members.end()) {
      table_bug(place, "a row that has no member");
    }
    if (find_param(params, info.name) != &info) table_bug(place, "has two rows");
    if (info.help.empty()) table_bug(place, "has no help");
    if (info.minimum > info.maximum) table_bug(place, "has an empty range");
  }
}

}  // namespace config_detail
}  // namespace nvmesim::base
