#include "tools/interrupt.h"

#include <csignal>

namespace tern::tools {
namespace {

volatile std::sig_atomic_t interrupt_requested = 0;

struct sigaction action_before {};

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupt_requested = 0;
  sigaction(SIGINT, nullptr, &action_before);
  if (action_before.sa_handler == SIG_IGN) return;  // a job in the background of a script: Ctrl-C is not meant for us
  struct sigaction action {};
  action.sa_handler = [](int) { interrupt_requested = 1; };
  // The second Ctrl-C finds the default action, which ends the process at once.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
}

InterruptGuard::~InterruptGuard() { sigaction(SIGINT, &action_before, nullptr); }

bool InterruptGuard::requested() const noexcept { return interrupt_requested != 0; }

}  // namespace tern::tools
