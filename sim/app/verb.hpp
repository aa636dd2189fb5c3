// A verb of the nvmesim command: one row here, one file in this folder.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nvmesim::app {

using Arguments = std::vector<std::string>;

struct Verb {
  std::string_view name;
  std::string_view usage;                  // what follows the name
  std::string_view summary;                // one line
  int (*run)(const Arguments& arguments);  // returns the exit status; throws UserError
};

std::span<const Verb> verbs();

// The whole command: finds the verb, runs it, turns errors into one line on standard error.
// Exit status: 0 success, 1 a failed check, 2 a user's mistake.
int nvmesim(const Arguments& arguments);
inline constexpr int kMistake = 2;
// Prints the first line of `text` as an error; returns kMistake.
int user_mistake(std::string_view text);

int replay(const Arguments& arguments);
int run(const Arguments& arguments);
int probe(const Arguments& arguments);
int compare(const Arguments& arguments);
int drives(const Arguments& arguments);
int config(const Arguments& arguments);
int link(const Arguments& arguments);
int linux_kernel(const Arguments& arguments);

}  // namespace nvmesim::app
