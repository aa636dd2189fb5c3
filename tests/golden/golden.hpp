// Approved texts. A test compares what it made with tests/golden/NAME; where they differ it leaves
// golden-received/NAME in its working directory, below build/, and fails. tests/golden/approve
// shows the difference and takes the new text over.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/catch.hpp"

namespace nvmesim::tests {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void check_golden(const std::string& name, const std::string& text) {
  const auto approved = std::filesystem::path(NVMESIM_SOURCE_DIR) / "tests/golden" / name;
  const auto received = std::filesystem::path("golden-received") / name;
  std::filesystem::remove(received);
  const bool same = std::filesystem::exists(approved) && read_text(approved) == text;
  if (!same) {
    std::filesystem::create_directories(received.parent_path());
    std::ofstream(received, std::ios::binary) << text;
  }
  INFO("if this is right: tests/golden/approve\n" << text);
  CHECK(same);
}

}  // namespace nvmesim::tests
