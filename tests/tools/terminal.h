#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "tests/tools/process.h"

namespace tern::test {

/// The tern command on a terminal of its own, as a person has it.
class Terminal {
 public:
  /// Input and output paths of `launch` do not count.
  explicit Terminal(const Launch& launch);
  /// Kills tern if it still runs.
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Types keys.
  void type(std::string_view keys);
  /// Reads what is shown until it holds `text`, on from what an earlier call found. False when it does not come.
  [[nodiscard]] bool shows(std::string_view text);
  /// Reads to the end and returns the exit status, or 128 + the signal.
  [[nodiscard]] int finish();
  /// Everything that was shown so far.
  [[nodiscard]] const std::string& shown() const noexcept { return shown_; }

 private:
  /// False at the end, or when nothing came for long.
  bool read_some();

  ::pid_t child_ = -1;
  int terminal_ = -1;
  std::string shown_;
  std::size_t seen_ = 0;  // bytes of shown_ before the next thing to look for
};

}  // namespace tern::test
