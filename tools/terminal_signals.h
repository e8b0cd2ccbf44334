#pragma once

namespace tern::tools {

/// While one exists, Ctrl-C is an event that the program handles, and so are a new size of the terminal and going on
/// after Ctrl-Z. At most one exists.
///
/// Events reach wait() through a pipe that the signal handler writes to: that works whichever thread the signal hits,
/// and none is lost between a look and a wait.
class TerminalSignals {
 public:
  enum class Event { kReadable, kInterrupted, kResized, kContinued };

  TerminalSignals();
  ~TerminalSignals();
  TerminalSignals(const TerminalSignals&) = delete;
  TerminalSignals& operator=(const TerminalSignals&) = delete;

  /// Waits until `file` can be read or something else happens.
  [[nodiscard]] Event wait(int file);
  /// Whether Ctrl-C was pressed since forget(), for who does not wait.
  [[nodiscard]] bool interrupted() const noexcept;
  /// Forgets what happened so far.
  void forget();
};

}  // namespace tern::tools
