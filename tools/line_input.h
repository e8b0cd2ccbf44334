#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tools/line_history.h"
#include "tools/terminal_signals.h"

namespace tern::tools {

struct InputLine {
  enum class End { kNewline, kInterrupted, kNoMore };
  End end = End::kNoMore;
  std::string text = {};  ///< without the newline; of an interrupted line what was typed, as far as that is known
};

/// Where lines come from.
class LineInput {
 public:
  virtual ~LineInput() = default;
  /// The next line. `prompt` is shown on a terminal, never elsewhere.
  ///
  /// Errors    Error(kIo)
  [[nodiscard]] virtual InputLine next(std::string_view prompt) = 0;
};

/// Standard input as it is.
[[nodiscard]] std::unique_ptr<LineInput> make_plain_input();

/// A terminal, with editing and history where the build has a library for it: line_input_libedit.cpp or
/// line_input_basic.cpp. Prompts go to standard error, so that standard output holds answers alone.
///
/// `signals` and `history` have to outlive it.
[[nodiscard]] std::unique_ptr<LineInput> make_terminal_input(TerminalSignals& signals, LineHistory& history);

}  // namespace tern::tools
