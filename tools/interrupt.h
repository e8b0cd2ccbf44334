#pragma once

namespace tern::tools {

/// While one exists, the first Ctrl-C asks to stop, and the second one kills as usual.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  [[nodiscard]] bool requested() const noexcept;
};

}  // namespace tern::tools
