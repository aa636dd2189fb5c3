// The walk over described structs behind config.hpp. What does not depend on the struct is in
// config.cpp; here is only what the compiler must see.
#pragma once

#include <boost/mp11.hpp>
#include <concepts>
#include <type_traits>
#include <utility>

#include "sim/base/config.hpp"

namespace nvmesim::base::config_detail {

__extension__ using Wide = __int128;

template <class T>
inline constexpr bool kIsVector = false;
template <class T, class Allocator>
inline constexpr bool kIsVector<std::vector<T, Allocator>> = true;

template <class T>
concept Struct = std::is_class_v<T> && boost::describe::has_describe_members<T>::value;
template <class T>
concept Choice = std::is_enum_v<T> && boost::describe::has_describe_enumerators<T>::value;
template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool>;

struct Limits {
  Wide minimum = 0;
  Wide maximum = 0;
};

// A value being read or listed, with its place for error messages.
struct Place {
  std::string_view source;
  std::string path;

  Place below(std::string_view key) const;
  Place below(std::size_t index) const { return below(std::to_string(index)); }
  [[noreturn]] void fail(std::string_view what) const;
};

Wide read_integer(const boost::json::value& value, const Limits& limits, const Place& place);
bool read_bool(const boost::json::value& value, const Place& place);
std::string read_string(const boost::json::value& value, const Place& place);
std::size_t read_choice(const boost::json::value& value, const std::vector<std::string>& names,
                        const Place& place);
const boost::json::object& read_object(const boost::json::value& value, const Place& place);
// Every key of `object` must be among `known`.
void refuse_unknown(const boost::json::object& object, const std::vector<std::string>& known,
                    const Place& place);
std::size_t read_index(std::string_view key, std::size_t size, const Place& place);

const ParamInfo* find_param(std::span<const ParamInfo> params, std::string_view name);
std::string range_text(const Limits& limits);
// JSON, but a text without its quotes.
std::string plain_text(const boost::json::value& value);
std::string choices_text(const std::vector<std::string>& names);
[[noreturn]] void table_bug(std::string_view path, std::string_view what);
// Every row has a member, help, and no twin.
void check_table(std::span<const ParamInfo> params, const std::vector<std::string>& members,
                 std::string_view path);

template <Struct Config>
std::span<const ParamInfo> params_of() {
  if constexpr (requires { Config::params(); }) {
    return Config::params();
  } else {
    return {};
  }
}

// Calls visit(name, member) for each described member, in order.
template <class Config, class Visit>
void for_each_member(Config& config, Visit visit) {
  using Members = boost::describe::describe_members<
      std::remove_const_t<Config>, boost::describe::mod_public | boost::describe::mod_inherited>;
  boost::mp11::mp_for_each<Members>(
      [&](auto member) { visit(std::string_view(member.name), config.*member.pointer); });
}

template <Struct Config>
std::vector<std::string> member_names(const Config& config) {
  std::vector<std::string> names;
  for_each_member(config, [&](std::string_view name, const auto&) { names.emplace_back(name); });
  return names;
}

template <Choice Enum>
std::vector<std::string> choice_names() {
  std::vector<std::string> names;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<Enum>>(
      [&](auto enumerator) { names.emplace_back(enumerator.name); });
  return names;
}

template <Choice Enum>
Enum choice_at(std::size_t wanted) {
  Enum found{};
  std::size_t index = 0;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<Enum>>([&](auto enumerator) {
    if (index++ == wanted) found = enumerator.value;
  });
  return found;
}

template <Choice Enum>
std::string choice_name(Enum value) {
  std::string name;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<Enum>>([&](auto enumerator) {
    if (enumerator.value == value) name = enumerator.name;
  });
  return name;
}

// What the type and the table allow together.
template <Integer T>
Limits limits_of(const ParamInfo* info) {
  Limits limits{std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
  if (info != nullptr) {
    if (info->minimum > limits.minimum) limits.minimum = info->minimum;
    if (info->maximum != kNoLimit && info->maximum < limits.maximum) limits.maximum = info->maximum;
  }
  return limits;
}

template <class T>
void read_value(const boost::json::value& value, T& into, const ParamInfo* info,
                const Place& place) {
  if constexpr (std::same_as<T, bool>) {
    into = read_bool(value, place);
  } else if constexpr (Integer<T>) {
    into = static_cast<T>(read_integer(value, limits_of<T>(info), place));
  } else if constexpr (std::same_as<T, std::string>) {
    into = read_string(value, place);
  } else if constexpr (Choice<T>) {
    into = choice_at<T>(read_choice(value, choice_names<T>(), place));
  } else if constexpr (kIsVector<T>) {
    if (value.is_array()) {  // replaces the default; each element starts from its own default
      into.clear();
      for (const auto& element : value.get_array()) {
        typename T::value_type item{};
        read_value(element, item, info, place.below(into.size()));
        into.push_back(std::move(item));
      }
    } else {  // {"0": ...}, as --set list.0=... makes it, changes elements of the default
      if (!value.is_object()) place.fail("a list is expected: [...]");
      for (const auto& [key, element] : value.get_object()) {
        const std::size_t index = read_index(key, into.size(), place);
        typename T::value_type item{};
        if (index < into.size()) item = into[index];
        read_value(element, item, info, place.below(index));
        if (index == into.size()) into.emplace_back();
        into[index] = std::move(item);
      }
    }
  } else {
    static_assert(Struct<T>, "this type cannot be configured; see config.hpp");
    const auto& object = read_object(value, place);
    refuse_unknown(object, member_names(into), place);
    for_each_member(into, [&](std::string_view name, auto& member) {
      if (const auto* found = object.if_contains(name)) {
        read_value(*found, member, find_param(params_of<T>(), name), place.below(name));
      }
    });
  }
}

template <class T>
boost::json::value write_value(const T& from) {
  if constexpr (std::same_as<T, bool>) {
    return boost::json::value(from);
  } else if constexpr (std::signed_integral<T>) {
    return boost::json::value(std::int64_t{from});
  } else if constexpr (std::unsigned_integral<T>) {
    return boost::json::value(std::uint64_t{from});
  } else if constexpr (std::same_as<T, std::string>) {
    return boost::json::value(from);
  } else if constexpr (Choice<T>) {
    return boost::json::value(choice_name(from));
  } else if constexpr (kIsVector<T>) {
    boost::json::array array;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const typename T::value_type element = from[i];
      array.push_back(write_value(element));
    }
    return array;
  } else {
    static_assert(Struct<T>, "this type cannot be configured; see config.hpp");
    boost::json::object object;
    for_each_member(from, [&](std::string_view name, const auto& member) {
      object.emplace(name, write_value(member));
    });
    return object;
  }
}

template <class T>
std::string range_of(const ParamInfo* info) {
  if constexpr (kIsVector<T>) {
    return range_of<typename T::value_type>(info);
  } else if constexpr (Integer<T>) {
    return range_text(limits_of<T>(info));
  } else if constexpr (std::same_as<T, bool>) {
    return "true|false";
  } else if constexpr (Choice<T>) {
    return choices_text(choice_names<T>());
  } else {
    return "";
  }
}

// True for a struct and for a list of structs: their own members are listed.
template <class T>
constexpr bool has_members() {
  if constexpr (kIsVector<T>) {
    return has_members<typename T::value_type>();
  } else {
    return Struct<T>;
  }
}

template <Struct Config>
void list_struct(const Config& config, const std::string& path, std::vector<ParamRow>& rows) {
  const auto params = params_of<Config>();
  check_table(params, member_names(config), path);
  for_each_member(config, [&](std::string_view name, const auto& member) {
    using Member = std::remove_cvref_t<decltype(member)>;
    const std::string place = path.empty() ? std::string(name) : path + "." + std::string(name);
    const ParamInfo* info = find_param(params, name);
    if constexpr (Struct<Member>) {
      if (info != nullptr) table_bug(place, "is a struct and has a row of its own");
      list_struct(member, place, rows);
    } else {
      if (info == nullptr && !has_members<Member>()) table_bug(place, "has no row");
      if (info != nullptr) {
        Member copy{};  // a value that its own range refuses is a bug of the table
        try {
          read_value(write_value(member), copy, info, Place{"default", place});
        } catch (const UserError& error) {
          table_bug(place, error.what());
        }
        rows.push_back({place, std::string(info->unit), plain_text(write_value(member)),
                        range_of<Member>(info), std::string(info->help)});
      }
      if constexpr (has_members<Member>()) {
        list_struct(typename Member::value_type{}, place + ".N", rows);
      }
    }
  });
}

}  // namespace nvmesim::base::config_detail

namespace nvmesim::base {

template <class Config>
void read_config(const boost::json::value& document, Config& config, std::string_view source) {
  config_detail::read_value(document, config, nullptr, config_detail::Place{source, ""});
}

template <class Config>
boost::json::value write_config(const Config& config) {
  return config_detail::write_value(config);
}

template <class Config>
std::vector<ParamRow> list_params(const Config& config, std::string_view prefix) {
  std::vector<ParamRow> rows;
  config_detail::list_struct(config, std::string(prefix), rows);
  return rows;
}

template <class Config>
void check_params() {
  (void)list_params<Config>();
  const boost::json::value written = write_config(Config{});
  Config again{};
  read_config(written, again, "defaults");
  NVMESIM_ASSERT(write_config(again) == written, "a configuration does not survive JSON");
}

}  // namespace nvmesim::base
