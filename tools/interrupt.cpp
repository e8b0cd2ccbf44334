#include "tools/interrupt.h"

#include <csignal>
#include <iterator>

namespace tern::tools {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

// A handler reaches nothing but globals.
volatile std::sig_atomic_t signal_seen = 0;
struct sigaction actions_before[std::size(kSignals)];

}  // namespace

InterruptGuard::InterruptGuard() {
  signal_seen = 0;
  struct sigaction action {};
  action.sa_handler = [](int signal) { signal_seen = signal; };
  // The second one finds the default action, which ends the process at once.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], nullptr, &actions_before[i]);
    // A job in the background of a script, or under nohup: the signal is not meant for us.
    if (actions_before[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &actions_before[i], nullptr);
}

bool InterruptGuard::requested() const noexcept { return signal_seen != 0; }

void InterruptGuard::stop_if_requested() const {
  if (requested()) throw Interrupted{};
}

int InterruptGuard::status() noexcept { return 128 + signal_seen; }

}  // namespace tern::tools
