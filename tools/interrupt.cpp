#include "tools/interrupt.h"

#include <csignal>

namespace tern::tools {
namespace {

volatile std::sig_atomic_t interrupt_requested = 0;

void set_action(void (*handler)(int), unsigned flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(flags);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupt_requested = 0;
  // SA_RESETHAND: the second Ctrl-C finds the default action, which ends the process at once.
  set_action([](int) { interrupt_requested = 1; }, SA_RESETHAND);
}

InterruptGuard::~InterruptGuard() { set_action(SIG_DFL, 0); }

bool InterruptGuard::requested() const noexcept { return interrupt_requested != 0; }

}  // namespace tern::tools
