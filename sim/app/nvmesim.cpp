#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <system_error>

#include "sim/app/options.hpp"
#include "sim/app/verb.hpp"
#include "sim/base/config.hpp"
#include "sim/base/systemc.hpp"

namespace nvmesim::app {
namespace {

constexpr Verb kVerbs[] = {
    {"replay", "TRACE", "replay a recorded block trace (blktrace text, fio iolog)", replay},
    {"run", "JOB.fio", "run a fio job file", run},
    {"probe", "", "load the driver and show what it found, like dmesg and nvme list", probe},
    {"compare", "A.json B.json", "compare two results; fail on conditions", compare},
    {"drives", "", "list the drives that can be simulated", drives},
    {"config", "", "list every parameter, or print a drive's whole configuration", config},
    {"link", "", "measure the PCIe link alone: latency and bandwidth beside the formula", link},
    {"linux", "-- CMD ARGS", "run a command under an unmodified Linux kernel on the drive",
     linux_kernel},
};

std::string help() {
  std::string text = "nvmesim: a full-system NVMe simulator\n\nusage: nvmesim VERB ...\n\n";
  for (const Verb& verb : kVerbs) {
    text += fmt::format("  {:<24} {}\n", fmt::format("{} {}", verb.name, verb.usage), verb.summary);
  }
  text +=
      "\n'nvmesim VERB --help' explains a verb. Exit status: 0 success, 1 a failed check,\n"
      "2 wrong use or input, 70 an error of nvmesim itself, 130 interrupted twice.\n";
  return text;
}

const Verb& find_verb(std::string_view name) {
  std::vector<std::string> known;
  for (const Verb& verb : kVerbs) {
    if (verb.name == name) return verb;
    known.emplace_back(verb.name);
  }
  const std::string near = base::nearest_key(name, known);
  throw base::UserError(fmt::format("'{}': no such verb{}; 'nvmesim --help' lists them", name,
                                    near.empty() ? "" : fmt::format(", did you mean {}?", near)));
}

int dispatch(const Arguments& arguments) {
  if (arguments.empty()) throw base::UserError("no verb given; 'nvmesim --help' lists them");
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    fmt::print("{}", help());
    return 0;
  }
  if (name == "--version") {
    fmt::print("nvmesim {}\n", kVersion);
    return 0;
  }
  try {
    return find_verb(name).run({arguments.begin() + 1, arguments.end()});
  } catch (const HelpShown&) {
    return 0;
  }
}

// A full disk or a closed pipe shows at the latest here.
void flush_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw std::system_error(errno, std::generic_category());
  }
}

// An error's first line: SystemC adds lines of its own.
std::string one_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

std::span<const Verb> verbs() {
  return kVerbs;
}

int user_mistake(std::string_view text) {
  fmt::print(stderr, "nvmesim: {}\n", one_line(text));
  return kMistake;
}

int nvmesim(const Arguments& arguments) {
  try {
    const int status = dispatch(arguments);
    flush_output();
    return status;
  } catch (const base::UserError& error) {
    return user_mistake(error.what());
  } catch (const std::system_error& error) {  // what fmt throws when it cannot print
    fmt::print(stderr, "nvmesim: standard output: cannot be written: {}\n",
               std::strerror(error.code().value()));
    return kMistake;
  } catch (const sc_core::sc_report& report) {
    fmt::print(stderr, "nvmesim: internal error: {}\n", one_line(report.what()));
  } catch (const std::exception& error) {
    fmt::print(stderr, "nvmesim: internal error: {}\n", one_line(error.what()));
  }
  return 70;  // EX_SOFTWARE: neither the user's mistake nor a failed check
}

}  // namespace nvmesim::app
