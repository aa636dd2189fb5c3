// Builds the kernel that takes our host's place, once, into the user's cache directory: from an
// archive of Debian's linux-source package, or from a tree of the user's own, which is left as it
// is. An archive's kernel is keyed by the archive and our configuration; a tree is built again,
// incrementally, each time.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace nvmesim::bridge {

struct KernelSource {
  std::string source;  // archive or tree
  std::string work;    // the directory in the cache that holds everything made from it
  bool is_tree = false;

  std::string kernel() const { return work + "/linux"; }
};

// tree: a kernel tree. version: of linux-source, as "6.12"; without one 6.1 if it is installed,
// else the newest that is. Throws UserError that says what to install or to name.
KernelSource find_kernel_source(const std::optional<std::string>& tree,
                                const std::optional<std::string>& version);

// It has been built, and nothing has to be done. Never true for a tree.
bool kernel_is_built(const KernelSource& source);

// Builds it; `progress` gets each line that the build says. Another nvmesim that builds the same
// is waited for. Throws UserError with the build's last words if it fails.
void build_kernel(const KernelSource& source,
                  const std::function<void(const std::string&)>& progress);

}  // namespace nvmesim::bridge
