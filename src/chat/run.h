#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <ctime>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/chat/limits.h"
#include "src/chat/value.h"
#include "tern/error.h"

namespace tern::chat {

/// Throws Error(kind): "chat template, line N: ...".
[[noreturn]] void fail_at(std::size_t line, ErrorKind kind, std::string_view message);

/// One rendering: what it has used of its limits, and the values that it made.
///
/// Everything that makes values asks here, so that no template can use more time or memory than limits.h allows.
class Run {
 public:
  explicit Run(const std::tm& now) : now_(now) {}

  /// The line of the template that is being carried out.
  std::size_t line = 1;

  /// What the template asks for makes no sense: expected ..., found ....
  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_at(line, ErrorKind::kBadFile, fmt::format(format, std::forward<Args>(args)...));
  }
  /// It may make sense, but is more than tern does.
  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail_at(line, ErrorKind::kUnsupported, fmt::format(format, std::forward<Args>(args)...));
  }

  /// Counts work. Errors: Error(kUnsupported) beyond kMaxSteps.
  void step(std::size_t n = 1) {
    if ((n_steps_ += n) > kMaxSteps) refuse_steps();
  }
  /// Counts the work of going through texts or bytes of `n` characters, of which no other is made.
  void step_through(std::size_t n) { step(1 + n / 64); }
  /// Counts characters before they are made. Errors: Error(kUnsupported) beyond kMaxCharacters.
  void count_characters(std::size_t n) {
    if (n > kMaxCharacters - n_characters_) refuse_characters();
    n_characters_ += n;
  }
  void append(Text& text, TextView more) {
    count_characters(more.size());
    text += more;
  }

  [[nodiscard]] Value text(Text text);
  [[nodiscard]] Value text(TextView view) { return text(Text(view)); }
  [[nodiscard]] Value text(std::string_view ascii) { return text(from_ascii(ascii)); }
  [[nodiscard]] Value list(std::vector<Value> items, ListKind kind = ListKind::kList);
  [[nodiscard]] Value dict(std::vector<Dict::Entry> entries);
  [[nodiscard]] Value method(const Builtin& builtin, const Value& self);
  /// Lives as long as the run.
  [[nodiscard]] Namespace* make_namespace();

  [[nodiscard]] const std::tm& now() const noexcept { return now_; }

 private:
  [[noreturn]] void refuse_steps() const;
  [[noreturn]] void refuse_characters() const;
  /// One more than the deepest value's. Errors: Error(kUnsupported) beyond kMaxValueDepth.
  [[nodiscard]] std::size_t outer_depth(std::size_t inner_depth) const;

  std::tm now_;
  std::size_t n_steps_ = 0;
  std::size_t n_characters_ = 0;
  std::deque<Namespace> namespaces_;
};

}  // namespace tern::chat
