// nvmesim linux: runs a command under an unmodified Linux kernel whose NVMe drive is simulated.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "sim/app/linux_break.hpp"
#include "sim/app/linux_options.hpp"
#include "sim/app/linux_results.hpp"
#include "sim/app/linux_run.hpp"
#include "sim/app/options.hpp"
#include "sim/app/output_file.hpp"
#include "sim/bridge/kernel_build.hpp"
#include "sim/system/linux_system.hpp"

namespace nvmesim::app {
namespace {

// 2026-01-01, so that files of the machine are not from the kernel's future.
constexpr std::uint64_t kDateNs = 1'767'225'600ull * 1'000'000'000;
constexpr unsigned kUsualBuildLines = 950;

// The build's progress, in place on a terminal, else now and then.
class BuildProgress {
 public:
  explicit BuildProgress(const bridge::KernelSource& source) {
    fmt::print(stderr, "nvmesim: building the kernel from {} in {} ({})\n", source.source,
               source.work,
               source.is_tree ? "what has changed in it; all of it takes a few minutes"
                              : "a few minutes, once");
  }
  ~BuildProgress() {
    if (terminal_) fmt::print(stderr, "\r\033[K");
  }
  void operator()(const std::string& line) {
    ++lines_;
    if (!terminal_) {
      if (lines_ % 200 == 0) fmt::print(stderr, "nvmesim: {} files built\n", lines_);
      return;
    }
    const auto percent = std::min(99u, lines_ * 100 / kUsualBuildLines);
    fmt::print(stderr, "\r\033[K{:3} %  {}", percent, line.substr(0, 60));
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  unsigned lines_ = 0;
};

std::optional<std::string> optional(const po::variables_map& values, const char* name) {
  if (values.count(name) == 0) return std::nullopt;
  return values[name].as<std::string>();
}

// The kernel to run; built if that has to be done.
std::string prepared_kernel(const po::variables_map& values) {
  if (const auto kernel = optional(values, "kernel")) {
    std::error_code error;
    if (access(kernel->c_str(), X_OK) != 0 || !std::filesystem::is_regular_file(*kernel, error)) {
      throw base::UserError(fmt::format("--kernel: '{}' is no program", *kernel));
    }
    return std::filesystem::absolute(*kernel);
  }
  const auto source =
      bridge::find_kernel_source(optional(values, "linux-tree"), optional(values, "linux-version"));
  if (!bridge::kernel_is_built(source)) {
    BuildProgress progress(source);
    bridge::build_kernel(source, [&](const std::string& line) { progress(line); });
  }
  return source.kernel();
}

LinuxRunOptions run_options(const po::variables_map& values, Arguments command) {
  LinuxRunOptions options;
  options.terminal = command.empty() || values.count("tty") != 0;
  if (options.terminal && (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)) {
    throw base::UserError("linux: no terminal; give a command: nvmesim linux -- CMD ARGS");
  }
  if (command.empty()) command = {access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh"};
  options.command = std::move(command);
  options.kernel_messages = values.count("dmesg") != 0;
  options.memory_mib = unsigned_option(values, "memory", 64, 65536);
  options.kernel_arguments = kernel_words(values);
  if (options.terminal && values.count("stdin") != 0) {
    throw base::UserError("--stdin: the command gets the terminal");
  }
  options.kernel = prepared_kernel(values);
  if (values.count("stdin") != 0) options.standard_input = read_standard_input();
  return options;
}

std::vector<LinuxBreak> breaks(const po::variables_map& values) {
  std::vector<LinuxBreak> list;
  if (values.count("gdb") != 0) list.emplace_back("start");
  if (values.count("break") != 0) {
    for (const auto& text : values["break"].as<std::vector<std::string>>()) list.emplace_back(text);
  }
  return list;
}

// What ran, for the results.
boost::json::object describe(const LinuxRunOptions& options) {
  std::ifstream file(options.kernel, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  boost::json::object facts;
  facts["kind"] = "linux";
  facts["kernel"] = options.kernel;
  facts["kernel_bytes"] = bytes.size();
  facts["kernel_crc32"] = fmt::format("{:08x}", crc.checksum());
  facts["kernel_arguments"] =
      boost::json::array(options.kernel_arguments.begin(), options.kernel_arguments.end());
  facts["memory_mib"] = options.memory_mib;
  facts["command"] = boost::json::array(options.command.begin(), options.command.end());
  return facts;
}

// The wire trace's file and the breakpoints that watch the wire and the kernel.
class Watch {
 public:
  explicit Watch(const po::variables_map& values) : breaks_(breaks(values)) {
    if (const auto path = optional(values, "trace-wire")) {
      trace_ = std::make_unique<OutputFile>(*path);
    }
    doorbells_ = values.count("doorbells") != 0;
    if (doorbells_ && !trace_ && breaks_.empty()) {
      throw base::UserError("--doorbells: without --trace-wire or --break nothing shows them");
    }
  }

  system_::HardwareHooks hooks() {
    system_::HardwareHooks hooks;
    const bool wire = std::any_of(breaks_.begin(), breaks_.end(),
                                  [](const LinuxBreak& one) { return one.watches_wire(); });
    if (trace_ || wire) hooks.wire_trace = [this](std::string_view line) { this->line(line); };
    hooks.wire_options.doorbells = doorbells_;
    return hooks;
  }

  void attach(system_::LinuxSystem& system, LinuxRun& run) {
    if (breaks_.empty()) return;
    system.host().function.set_watch(
        [this, &system, &run](bridge::PcidevOp op, const bridge::PcidevHeader& header) {
          for (LinuxBreak& one : breaks_) {
            if (one.at_access(op, header)) {
              run.hold_for_debugger(one.text(), system.scheduler().now());
            }
          }
        });
    system.host().set_before_run([this, &system, &run] {
      for (LinuxBreak& one : breaks_) {
        if (one.at_time(system.scheduler().now())) {
          run.hold_for_debugger(one.text(), system.scheduler().now());
        }
      }
      if (hit_.empty()) return;
      run.hold_for_debugger(hit_, system.scheduler().now());
      hit_.clear();
    });
  }

  void commit() {
    if (trace_) trace_->commit();
  }

 private:
  void line(std::string_view text) {
    if (trace_) {
      trace_->write(text);
      trace_->write("\n");
    }
    for (const LinuxBreak& one : breaks_) {
      if (one.at_wire(text)) hit_ = std::string(text);
    }
  }

  std::vector<LinuxBreak> breaks_;
  std::unique_ptr<OutputFile> trace_;
  bool doorbells_ = false;
  std::string hit_;  // a line of the wire at which the kernel is to be held when it runs next
};

// Files that no output may replace.
std::vector<std::string> taken_files(const po::variables_map& values) {
  std::vector<std::string> taken;
  for (const char* name : {"drive", "host", "kernel", "trace-wire"}) {
    if (values.count(name) != 0) taken.push_back(values[name].as<std::string>());
  }
  return taken;
}

// The exit status, with what the checkers of simulation.check_protocol found.
int checked(system_::LinuxSystem& system, int status) {
  const std::vector<std::string> violations = system.protocol_violations();
  for (const std::string& violation : violations) {
    fmt::print(stderr, "nvmesim: protocol violation: {}\n", violation);
  }
  return violations.empty() || status != 0 ? status : 1;
}

int run_command(const po::variables_map& values, Arguments command) {
  const system_::SystemConfig config = system_config(values, {}, unread_below_a_kernel());
  Watch watch(values);
  LinuxResults results(values, taken_files(values));
  LinuxRunOptions run_with = run_options(values, std::move(command));
  run_with.seed = config.seed;
  system_::LinuxOptions kernel;
  kernel.memory_bytes = run_with.memory_mib * base::kMiB;
  kernel.free_running = !run_with.terminal;
  kernel.date_ns = kDateNs;
  results.attach(kernel);
  LinuxResults::End end;
  if (results.wanted()) end.workload = describe(run_with);
  system_::LinuxSystem system(config, kernel, watch.hooks());
  results.begin(system);
  // Late: until its keeper runs, nobody would remove its directory.
  LinuxRun run(std::move(run_with));
  system.listen(run.time_socket(), run.pci_socket());
  watch.attach(system, run);
  run.start();
  std::string broken;
  try {
    if (!system.run(run)) broken = "the kernel sleeps, and nothing will wake it";
  } catch (const bridge::PeerError& error) {
    broken = error.what();
    run.ended_soon();
  }
  end.exit_status = run.finish(broken);
  end.partial = run.failure();
  watch.commit();
  results.write(end);
  return checked(system, end.exit_status);
}

}  // namespace

int linux_kernel(const Arguments& all) {
  const auto dashes = std::find(all.begin(), all.end(), "--");
  Arguments command(dashes == all.end() ? dashes : dashes + 1, all.end());
  po::options_description options = linux_options();
  options.add(system_options()).add(linux_result_options());
  const auto values = parse(
      {all.begin(), dashes}, "linux",
      "Boots an unmodified Linux kernel (User-Mode Linux) whose NVMe drive is the simulated\n"
      "one, in simulated time, and runs CMD in it as root. It sees this machine's files; what\n"
      "it writes stays in memory and is gone afterwards. Its output and exit status are\n"
      "passed on. Without CMD: a shell. The kernel is built once, from linux-source.\n\n"
      "--driver and --kernel-args go to the kernel. Exit status: that of CMD; else 1 if CMD or\n"
      "the kernel did not come to its end, 2 for wrong use, 128 and the signal's number if it was\n"
      "interrupted; one line says what happened.",
      options, {}, " -- CMD ARGS");
  refuse_idle_options(values);
  if (values.count("prepare") != 0) {
    if (dashes != all.end()) throw base::UserError("--prepare: it runs no command");
    fmt::print("{}\n", prepared_kernel(values));
    return 0;
  }
  return run_command(values, std::move(command));
}

}  // namespace nvmesim::app
