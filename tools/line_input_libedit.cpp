// Lines from a terminal, edited with libedit.
#include <histedit.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <memory>
#include <string>

#include "tools/line_input.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

struct Release {
  void operator()(EditLine* editor) const noexcept { el_end(editor); }
  void operator()(History* history) const noexcept { history_end(history); }
};

constexpr char kCtrlD = '\4';
constexpr char kInvisible = '\1';  // around what takes no place on the screen

/// Keys that people expect and libedit does not have.
constexpr const char* kKeys[][2] = {
    {"^R", "em-inc-search-prev"},      {"^W", "ed-delete-prev-word"}, {"\\e[1~", "ed-move-to-beg"},
    {"\\e[4~", "ed-move-to-end"},      {"\\e[H", "ed-move-to-beg"},   {"\\e[F", "ed-move-to-end"},
    {"\\e[3~", "ed-delete-next-char"}, {"\\e[1;5D", "ed-prev-word"},  {"\\e[1;5C", "em-next-word"},
};

/// libedit works with wide characters, and so needs a locale that knows UTF-8; where the user has none, C.UTF-8 does.
void use_locale() {
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
}

/// Puts what is not text, such as a colour, between kInvisible.
std::string mark_escapes(std::string_view prompt) {
  std::string marked;
  bool in_escape = false;
  for (const char c : prompt) {
    if (c == '\x1b') {
      marked += kInvisible;
      in_escape = true;
    }
    marked += c;
    if (in_escape && c == 'm') {
      marked += kInvisible;
      in_escape = false;
    }
  }
  return marked;
}

class EditedInput final : public LineInput {
 public:
  EditedInput(TerminalSignals& signals, LineHistory& history) : signals_(signals), history_(history) {
    use_locale();
    editor_.reset(el_init("tern", stdin, stderr, stderr));
    recent_.reset(history_init());
    if (!editor_ || !recent_) throw std::bad_alloc();
    HistEvent event{};
    ::history(recent_.get(), &event, H_SETSIZE, static_cast<int>(LineHistory::kMaxLines));
    for (const std::string& line : history.lines()) ::history(recent_.get(), &event, H_ENTER, line.c_str());
    set_up();
  }

  InputLine next(std::string_view prompt) override {
    prompt_ = mark_escapes(prompt);
    interrupted_ = false;
    el_set(editor_.get(), EL_PREP_TERM, 1);  // el_gets alone shows the prompt before the terminal is ready for keys
    int size = 0;
    const char* line = el_gets(editor_.get(), &size);
    if (line == nullptr || size <= 0) {
      print_to_stderr(interrupted_ ? "^C\n" : "\n");
      if (!interrupted_) return {};
      const LineInfo* typed = el_line(editor_.get());
      return {InputLine::End::kInterrupted, std::string(typed->buffer, typed->lastchar)};
    }
    InputLine result{InputLine::End::kNewline, std::string(line, static_cast<std::size_t>(size))};
    if (result.text.ends_with('\n')) result.text.pop_back();
    remember(result.text);
    return result;
  }

 private:
  void set_up() {
    EditLine* e = editor_.get();
    el_set(e, EL_CLIENTDATA, this);
    el_set(e, EL_EDITOR, "emacs");
    el_set(e, EL_SIGNAL, 0);  // TerminalSignals has them
    el_set(e, EL_HIST, ::history, recent_.get());
    el_set(e, EL_GETCFN, &EditedInput::read_character);
    el_set(e, EL_PROMPT_ESC, &EditedInput::show_prompt, kInvisible);
    for (const auto& [key, action] : kKeys) el_set(e, EL_BIND, key, action, nullptr);
    el_source(e, nullptr);  // ~/.editrc, the user's own keys
  }

  void remember(const std::string& line) {
    if (line.empty()) return;
    const bool is_new = history_.lines().empty() || history_.lines().back() != line;
    history_.add(line);
    HistEvent event{};
    if (is_new) ::history(recent_.get(), &event, H_ENTER, line.c_str());
  }

  static EditedInput& of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<EditedInput*>(self);
  }

  static char* show_prompt(EditLine* editor) { return of(editor).prompt_.data(); }

  /// One character of the terminal: 1, 0 at the end, -1 when there is none to be had.
  static int read_character(EditLine* editor, wchar_t* character) {
    EditedInput& self = of(editor);
    std::mbstate_t state{};
    while (true) {
      switch (self.signals_.wait(STDIN_FILENO)) {
        case TerminalSignals::Event::kInterrupted:
          self.interrupted_ = true;
          return -1;
        case TerminalSignals::Event::kResized:
          el_resize(editor);
          continue;
        case TerminalSignals::Event::kContinued:
          el_set(editor, EL_PREP_TERM, 1);
          el_set(editor, EL_REFRESH);
          continue;
        case TerminalSignals::Event::kReadable:
          break;
      }
      char byte = 0;
      if (::read(STDIN_FILENO, &byte, 1) != 1) return 0;  // also when the terminal went away
      // Ctrl-D typed between two lines, while the terminal collected whole lines itself, is kept as a zero (Linux).
      if (byte == 0) byte = kCtrlD;
      const std::size_t used = std::mbrtowc(character, &byte, 1, &state);
      if (used == 1) return 1;
      if (used == static_cast<std::size_t>(-1)) state = {};  // not UTF-8: left out
    }
  }

  TerminalSignals& signals_;
  LineHistory& history_;
  std::unique_ptr<History, Release> recent_;
  std::unique_ptr<EditLine, Release> editor_;
  std::string prompt_;
  bool interrupted_ = false;
};

}  // namespace

std::unique_ptr<LineInput> make_terminal_input(TerminalSignals& signals, LineHistory& history) {
  return std::make_unique<EditedInput>(signals, history);
}

}  // namespace tern::tools
