// Signals with which a user ends a run.
#pragma once

#include <csignal>

namespace nvmesim::app {

// One that was ignored when nvmesim was started stays so: nohup, or a job in a script's background,
// wants it that way.
inline void catch_unless_ignored(int signal, void (*handler)(int)) {
  struct sigaction before {};
  sigaction(signal, nullptr, &before);
  if ((before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

}  // namespace nvmesim::app
