// Bytes as lower-case hexadecimal digits, as the saved state of a drive has them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nvmesim::device {

std::string to_hex(std::span<const std::byte> bytes);
// Nothing for text that is not one.
std::optional<std::vector<std::byte>> from_hex(std::string_view text);

}  // namespace nvmesim::device
