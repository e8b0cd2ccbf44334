// Lines from a terminal with the editing that the terminal itself has: for builds without libedit.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tern/error.h"
#include "tools/line_input.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

class BasicInput final : public LineInput {
 public:
  explicit BasicInput(TerminalSignals& signals) : signals_(signals) {}

  InputLine next(std::string_view prompt) override {
    print_to_stderr(prompt);
    while (true) {
      const std::size_t newline = held_.find('\n');
      if (newline != std::string::npos) {
        InputLine line{InputLine::End::kNewline, held_.substr(0, newline)};
        held_.erase(0, newline + 1);
        return line;
      }
      const TerminalSignals::Event event = signals_.wait(STDIN_FILENO);
      if (event == TerminalSignals::Event::kInterrupted) {
        held_.clear();
        return {InputLine::End::kInterrupted};
      }
      if (event == TerminalSignals::Event::kReadable && !read_some()) return last_line();
    }
  }

 private:
  /// What is left when no more comes.
  InputLine last_line() {
    if (held_.empty()) return {};
    return {InputLine::End::kNewline, std::exchange(held_, {})};
  }

  /// False at the end.
  bool read_some() {
    char buffer[4096];
    const ::ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno != EINTR && errno != EIO) {  // EIO: the terminal went away
      throw Error(ErrorKind::kIo, fmt::format("standard input: cannot be read: {}", std::strerror(errno)));
    }
    if (n > 0) held_.append(buffer, static_cast<std::size_t>(n));
    return n > 0 || (n < 0 && errno == EINTR);
  }

  TerminalSignals& signals_;
  std::string held_;  // read, but not handed out
};

}  // namespace

std::unique_ptr<LineInput> make_terminal_input(TerminalSignals& signals, LineHistory& /*history*/) {
  return std::make_unique<BasicInput>(signals);
}

}  // namespace tern::tools
