#include "sim/app/linux_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "sim/base/config.hpp"

namespace nvmesim::app {
namespace {

// What a run sets itself: another value would break it, or make it say what is not so.
void refuse_own_word(const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  for (const std::string_view own :
       {"mem", "root", "rootfstype", "rootflags", "ro", "rw", "init", "initrd", "rdinit", "umid",
        "uml_dir", "virtio_uml.device", "earlyprintk", "keep_bootcon", "console", "panic", "--"}) {
    if (name != own) continue;
    throw base::UserError(fmt::format("--kernel-args: '{}' is nvmesim's own{}", word,
                                      own == "mem" ? "; use --memory" : ""));
  }
  for (const std::string_view own : {"time-travel", "con", "ssl"}) {
    const std::string_view rest = std::string_view(name).substr(std::min(own.size(), name.size()));
    const bool numbered = rest.find_first_not_of("0123456789") == rest.npos;
    if (!name.starts_with(own) || (own != "time-travel" && !numbered)) continue;
    throw base::UserError(fmt::format("--kernel-args: '{}' is nvmesim's own", word));
  }
}

// Our own driver is not there; parameters of the kernel's have an option of their own.
void refuse_driver_settings(const po::variables_map& values) {
  if (values.count("set") == 0) return;
  for (const std::string& setting : values["set"].as<std::vector<std::string>>()) {
    const std::string key = setting.substr(0, setting.find('='));
    if (key != "driver" && !key.starts_with("driver.")) continue;
    throw base::UserError(
        fmt::format("--set {}: a real kernel is the host, and does not read it; its own parameters "
                    "go by --driver or --kernel-args",
                    key));
  }
}

// Of two ways to name the kernel one would be forgotten.
void refuse_two_kernels(const po::variables_map& values) {
  const char* first = nullptr;
  for (const char* name : {"kernel", "linux-tree", "linux-version"}) {
    if (values.count(name) == 0) continue;
    if (first != nullptr) {
      throw base::UserError(fmt::format("--{} and --{}: give one of them", first, name));
    }
    first = name;
  }
}

}  // namespace

po::options_description linux_options() {
  po::options_description options("Kernel");
  options.add_options()("prepare", "only build the kernel, if the cache lacks it")(
      "linux-tree", po::value<std::string>(),
      "build this kernel tree, incrementally, instead of Debian's linux-source")(
      "linux-version", po::value<std::string>(),
      "which linux-source to build (default 6.1, else the newest that is installed)")(
      "kernel", po::value<std::string>(), "a User-Mode Linux kernel that is built already")(
      "kernel-args", po::value<std::vector<std::string>>()->composing(),
      "more words for the kernel's command line (nvme.poll_queues=1); repeatable")(
      "memory", po::value<std::string>()->default_value("512"), "MiB of memory of the kernel")(
      "dmesg", "show the kernel's messages on standard error")(
      "stdin",
      "the command gets standard input, which is read to its end before the kernel starts")(
      "tty", "the command gets the terminal; a shell always does")(
      "trace-wire", po::value<std::string>(),
      "write register accesses, admin commands and interrupts to this file")(
      "doorbells", "with --trace-wire: doorbell writes too")(
      "gdb", "hold the kernel at its first access to the drive until a debugger has it")(
      "break", po::value<std::vector<std::string>>()->composing(),
      "hold it there for the debugger: 'reg CC write', 'wire TEXT', 'time 12ms', 'start'; "
      "repeatable");
  return options;
}

void refuse_idle_options(const po::variables_map& values) {
  refuse_two_kernels(values);
  refuse_driver_settings(values);
}

std::vector<system_::Unread> unread_below_a_kernel() {
  constexpr std::string_view kWhy = "a real kernel is the host, and does not read it";
  std::vector<system_::Unread> unread{{"simulation.hang_after_ms", kWhy}};
  for (const base::ParamRow& row : base::list_params<host::HostConfig>({}, "host")) {
    const bool of_the_machine = row.path == "host.memory_read_latency_ns" ||
                                row.path == "host.memory_read_ns_per_kib" ||
                                row.path == "host.aspm";
    if (of_the_machine) continue;
    const bool memory = row.path == "host.memory_bytes";
    unread.push_back({row.path, memory ? "a real kernel is the host; use --memory" : kWhy});
  }
  return unread;
}

std::vector<std::string> kernel_words(const po::variables_map& values) {
  std::vector<std::string> list;
  for (const char* name : {"driver", "kernel-args"}) {
    if (values.count(name) == 0) continue;
    for (const auto& words : values[name].as<std::vector<std::string>>()) {
      std::istringstream stream(words);
      for (std::string word; stream >> word;) {
        refuse_own_word(word);
        list.push_back(word);
      }
    }
  }
  return list;
}

}  // namespace nvmesim::app
