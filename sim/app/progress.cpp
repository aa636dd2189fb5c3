#include "sim/app/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "sim/app/user_signals.hpp"

namespace nvmesim::app {
namespace {

constexpr std::uint64_t kEntriesBetweenLooks = 1024;

// The one thing a signal handler may touch.
volatile std::sig_atomic_t signal_seen = 0;

void on_signal(int) {
  if (signal_seen != 0) _exit(130);  // a second Ctrl-C does not wait
  signal_seen = 1;
}

}  // namespace

Progress::Progress(base::Scheduler& scheduler, std::function<State()> state,
                   std::function<void()> interrupt)
    : scheduler_(scheduler),
      state_(std::move(state)),
      interrupt_(std::move(interrupt)),
      terminal_(isatty(STDERR_FILENO) != 0) {
  signal_seen = 0;
  for (const int signal : {SIGINT, SIGTERM}) catch_unless_ignored(signal, on_signal);
  scheduler_.set_watch(base::Callback::of<&Progress::look>(this), kEntriesBetweenLooks);
}

Progress::~Progress() {
  clear();
  for (const int signal : {SIGINT, SIGTERM}) catch_unless_ignored(signal, SIG_DFL);
}

double Progress::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void Progress::look() {
  if (signal_seen != 0 && !interrupted_) {
    interrupted_ = true;
    interrupt_();
    return;
  }
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + std::chrono::milliseconds(100);
  draw();
}

void Progress::draw() {
  constexpr int kWidth = 40;
  const State state = state_();
  const int filled = static_cast<int>(state.fraction * kWidth);
  fmt::print(stderr, "\r[{:<{}}] {:3.0f} %  {} requests  {:.1f} s", std::string(filled, '#'),
             kWidth, state.fraction * 100, state.requests, elapsed());
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
  drawn_ = false;
}

}  // namespace nvmesim::app
