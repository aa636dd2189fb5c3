#include "host/block/bio.hpp"

#include <array>

namespace nvmesim::host {

std::string_view to_errno(BlockStatus status) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "OK",    "EOPNOTSUPP", "ETIMEDOUT", "ENOSPC", "ENOLINK", "EREMOTEIO",
      "EBADE", "ENODATA",    "EILSEQ",    "ENOMEM", "EIO",     "EAGAIN",
  };
  return kNames[static_cast<std::size_t>(status)];
}

}  // namespace nvmesim::host
