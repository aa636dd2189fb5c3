// The options of nvmesim linux that are about the kernel, and what of them makes no sense: settings
// that nobody would read, and words for the kernel that a run sets itself.
#pragma once

#include <string>
#include <vector>

#include "sim/app/options.hpp"

namespace nvmesim::app {

po::options_description linux_options();

// Throws UserError for options and settings that would have no effect.
void refuse_idle_options(const po::variables_map& values);

// What of a configuration nobody reads when a real kernel is the host.
std::vector<system_::Unread> unread_below_a_kernel();

// What --driver and --kernel-args add to the kernel's command line: a parameter of our driver has
// the same name and syntax for the kernel. Throws UserError.
std::vector<std::string> kernel_words(const po::variables_map& values);

}  // namespace nvmesim::app
