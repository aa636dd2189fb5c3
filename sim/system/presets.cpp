#include "sim/system/presets.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/base/config.hpp"

namespace nvmesim::system_ {
namespace {

std::string read_file(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw base::UserError(path + ": no such file");
  if (!std::filesystem::is_regular_file(status)) throw base::UserError(path + ": not a file");
  constexpr std::uintmax_t kLargest = 16 << 20;
  if (std::filesystem::file_size(path, error) > kLargest) {
    throw base::UserError(path + ": larger than 16 MiB, so not a preset");
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) throw base::UserError(path + ": cannot be read");
  return std::move(text).str();
}

}  // namespace

std::vector<std::string> preset_names(std::string_view kind) {
  std::vector<std::string> names;
  for (const PresetText& preset : preset_texts()) {
    if (preset.kind == kind) names.emplace_back(preset.name);
  }
  return names;
}

boost::json::value load_preset(std::string_view kind, std::string_view name_or_file) {
  for (const PresetText& preset : preset_texts()) {
    if (preset.kind == kind && preset.name == name_or_file) {
      return base::parse_json(preset.text, preset.name);
    }
  }
  const bool path = name_or_file.find_first_of("/.") != name_or_file.npos;
  if (path) return base::parse_json(read_file(std::string(name_or_file)), name_or_file);

  const auto names = preset_names(kind);
  const std::string near = base::nearest_key(name_or_file, names);
  throw base::UserError(fmt::format("{}: no such {}{}; known: {} (or give a JSON file by its path)",
                                    name_or_file, kind.substr(0, kind.size() - 1),
                                    near.empty() ? "" : fmt::format(", did you mean {}?", near),
                                    fmt::join(names, ", ")));
}

}  // namespace nvmesim::system_
