#include "tests/tools/terminal.h"

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace tern::test {
namespace {

constexpr int kPatience = 60'000;  // ms

}  // namespace

Terminal::Terminal(const Launch& launch) {
  const struct winsize size { 24, 80, 0, 0 };
  child_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
  if (child_ < 0) throw std::runtime_error("forkpty");
  if (child_ == 0) exec_tern(launch);
}

Terminal::~Terminal() {
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  ::close(terminal_);
}

void Terminal::type(std::string_view keys) {
  while (!keys.empty()) {
    const ::ssize_t n = ::write(terminal_, keys.data(), keys.size());
    if (n <= 0) throw std::runtime_error("the terminal takes no keys");
    keys.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool Terminal::shows(std::string_view text) {
  while (true) {
    const std::size_t found = shown_.find(text, seen_);
    if (found != std::string::npos) {
      seen_ = found + text.size();
      return true;
    }
    if (!read_some()) return false;
  }
}

int Terminal::finish() {
  while (read_some()) {
  }
  int status = 0;
  // One that hangs is killed, which the status then tells.
  if (::waitpid(child_, &status, WNOHANG) == 0) {
    ::usleep(500'000);
    if (::waitpid(child_, &status, WNOHANG) == 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, &status, 0);
    }
  }
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool Terminal::read_some() {
  ::pollfd waiting{terminal_, POLLIN, 0};
  if (::poll(&waiting, 1, kPatience) <= 0) return false;
  char buffer[4096];
  const ::ssize_t n = ::read(terminal_, buffer, sizeof buffer);
  if (n > 0) shown_.append(buffer, static_cast<std::size_t>(n));
  return n > 0;  // the end is an error (EIO): nobody has the other side open
}

}  // namespace tern::test
