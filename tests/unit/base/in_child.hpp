// Runs one simulation in a process of its own and returns the text it made: SystemC elaborates once
// per process, so a test that compares runs forks one child for each. What the child throws comes
// back as the text "threw: ...".
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <string>

namespace nvmesim::test {

template <class Simulation>
std::string in_child(Simulation simulation) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child < 0) return "no child";
  if (child == 0) {
    std::string text;
    try {
      text = simulation();
    } catch (const std::exception& error) {
      text = std::string("threw: ") + error.what();
    }
    std::size_t written = 0;
    while (written < text.size()) {
      const auto count = write(ends[1], text.data() + written, text.size() - written);
      if (count <= 0) break;
      written += static_cast<std::size_t>(count);
    }
    _exit(written == text.size() ? 0 : 1);
  }
  close(ends[1]);
  std::string text;
  char part[4096];
  for (ssize_t count; (count = read(ends[0], part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) text += " [the child died]";
  return text;
}

}  // namespace nvmesim::test
