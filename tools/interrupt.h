#pragma once

namespace tern::tools {

/// Thrown when Ctrl-C, or a signal like it, ended a command that has nothing more to say; see InterruptGuard::status().
struct Interrupted {};

/// While one exists, the first Ctrl-C asks to stop, and the second one kills as usual; so do SIGTERM, which batch
/// systems and containers send, and SIGHUP. A system call that waits returns with EINTR.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  [[nodiscard]] bool requested() const noexcept;
  /// Throws Interrupted when it was requested.
  void stop_if_requested() const;
  /// The exit status of who stops because of it, as shells count it: 128 and the last signal. Also when the guard is
  /// gone, until the next one.
  [[nodiscard]] static int status() noexcept;
};

}  // namespace tern::tools
