#include "sim/system/effects.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sim/system/absent_parts.hpp"
#include "sim/system/system_config.hpp"

namespace nvmesim::system_ {
namespace {

bool lies_in(std::string_view path, std::string_view section) {
  return path.starts_with(section) &&
         (path.size() == section.size() || path[section.size()] == '.');
}

const Unread* find(const std::vector<Unread>& list, std::string_view path) {
  const auto found = std::find_if(list.begin(), list.end(),
                                  [&](const Unread& each) { return lies_in(path, each.section); });
  return found == list.end() ? nullptr : &*found;
}

// Calls `look(path)` for each setting below `value`, lists as a whole.
template <class Look>
void walk(const boost::json::value& value, const std::string& path, const Look& look) {
  if (!value.is_object()) {
    look(path);
    return;
  }
  for (const auto& [key, below] : value.get_object()) {
    walk(below, path.empty() ? std::string(key) : fmt::format("{}.{}", path, std::string(key)),
         look);
  }
}

[[noreturn]] void refuse(std::string_view source, const std::string& path, std::string_view why) {
  throw base::UserError(fmt::format("{}: {} has no effect: {}", source, path, why));
}

// What is at a path; null where there is nothing.
const boost::json::value* at_path(const boost::json::value& document, std::string_view path) {
  const boost::json::value* value = &document;
  while (value != nullptr && !path.empty()) {
    const std::string_view key = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(path.size(), key.size() + 1));
    value = value->is_object() ? value->get_object().if_contains(key) : nullptr;
  }
  return value;
}

}  // namespace

void refuse_without_effect(const boost::json::value& settings, std::string_view source,
                           const SystemConfig& config, std::span<const Unread> by_verb) {
  std::vector<Unread> unread(by_verb.begin(), by_verb.end());
  const std::vector<Unread> absent = absent_parts(config);
  unread.insert(unread.end(), absent.begin(), absent.end());
  walk(settings, "", [&](const std::string& path) {
    const Unread* found = find(unread, path);
    if (found != nullptr) refuse(source, path, found->why);
  });
}

void refuse_without_effect_in_file(const boost::json::value& file, std::string_view source,
                                   const SystemConfig& alone, const SystemConfig& config) {
  const std::vector<Unread> absent_alone = absent_parts(alone);
  const std::vector<Unread> absent = absent_parts(config);
  const boost::json::value defaults = base::write_config(SystemConfig{});
  walk(file, "", [&](const std::string& path) {
    const Unread* found = find(absent_alone, path);
    if (found == nullptr || find(absent, path) == nullptr) return;
    // As the configuration has it: a file may write a value in more than one way.
    const boost::json::value* usual = at_path(defaults, path);
    const boost::json::value ours = base::write_config(alone);
    const boost::json::value* value = at_path(ours, path);
    if (usual != nullptr && value != nullptr && *usual == *value) return;
    refuse(source, path, found->why);
  });
}

}  // namespace nvmesim::system_
