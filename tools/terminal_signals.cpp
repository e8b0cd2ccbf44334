#include "tools/terminal_signals.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>

#include "tern/error.h"

namespace tern::tools {
namespace {

constexpr int kSignals[] = {SIGINT, SIGWINCH, SIGCONT};

// A handler reaches nothing but globals.
volatile std::sig_atomic_t interrupt_seen = 0;
int event_pipe[2] = {-1, -1};
struct sigaction actions_before[std::size(kSignals)];

void on_signal(int signal) {
  const int error = errno;
  if (signal == SIGINT) interrupt_seen = 1;
  const auto byte = static_cast<unsigned char>(signal);
  static_cast<void>(::write(event_pipe[1], &byte, 1) < 0);  // a full pipe wakes the reader as well
  errno = error;
}

TerminalSignals::Event event_of(unsigned char signal) {
  if (signal == SIGINT) return TerminalSignals::Event::kInterrupted;
  return signal == SIGWINCH ? TerminalSignals::Event::kResized : TerminalSignals::Event::kContinued;
}

}  // namespace

TerminalSignals::TerminalSignals() {
  if (::pipe2(event_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
    throw Error(ErrorKind::kIo, fmt::format("a pipe cannot be made: {}", std::strerror(errno)));
  }
  interrupt_seen = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &actions_before[i]);
}

TerminalSignals::~TerminalSignals() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &actions_before[i], nullptr);
  for (int& end : event_pipe) {
    ::close(end);
    end = -1;
  }
}

TerminalSignals::Event TerminalSignals::wait(int file) {
  while (true) {
    ::pollfd waiting[] = {{event_pipe[0], POLLIN, 0}, {file, POLLIN, 0}};
    if (::poll(waiting, 2, -1) < 0 && errno != EINTR) return Event::kReadable;  // reading will say what is wrong
    unsigned char signal = 0;
    if (::read(event_pipe[0], &signal, 1) == 1) return event_of(signal);
    if (waiting[1].revents != 0) return Event::kReadable;
  }
}

bool TerminalSignals::interrupted() const noexcept { return interrupt_seen != 0; }

void TerminalSignals::forget() {
  char bytes[64];
  while (::read(event_pipe[0], bytes, sizeof bytes) > 0) {
  }
  interrupt_seen = 0;
}

}  // namespace tern::tools
