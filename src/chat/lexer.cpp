#include "src/chat/lexer.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "src/base/printable.h"
#include "src/chat/run.h"

namespace tern::chat {
namespace {

constexpr std::array<std::string_view, 26> kOperators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                         "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                         ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

/// Line ends of all systems become \n, and one at the end of the template goes.
Text normalize_newlines(TextView source) {
  Text text;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += U'\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool is_name_char(Char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || (c >= 0x80 && !is_space(c));
}

class Lexer {
 public:
  explicit Lexer(Text source) : source_(std::move(source)) {}

  std::vector<TemplateToken> run() {
    while (lex_text()) {
      const Char tag = source_[at_ + 1];
      at_ += 2;
      if (!at_end() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
      if (tag == '#') {
        skip_comment();
      } else if (tag == '{') {
        lex_tag(TokenKind::kPrintBegin, TokenKind::kPrintEnd);
      } else if (!lex_raw()) {
        lex_tag(TokenKind::kBlockBegin, TokenKind::kBlockEnd);
      }
    }
    add(TokenKind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  [[nodiscard]] bool at_end() const noexcept { return at_ >= source_.size(); }
  [[nodiscard]] Char peek(std::size_t n = 0) const noexcept {
    return at_ + n < source_.size() ? source_[at_ + n] : Char{0};
  }
  [[nodiscard]] bool starts(std::string_view ascii, std::size_t at) const noexcept {
    return at + ascii.size() <= source_.size() && std::equal(ascii.begin(), ascii.end(), source_.begin() + to_diff(at));
  }
  static std::ptrdiff_t to_diff(std::size_t n) noexcept { return static_cast<std::ptrdiff_t>(n); }

  /// The line that `at_` is in; it only grows.
  std::size_t line() {
    line_ += static_cast<std::size_t>(
        std::count(source_.begin() + to_diff(counted_), source_.begin() + to_diff(std::max(at_, counted_)), U'\n'));
    counted_ = std::max(at_, counted_);
    return line_;
  }

  [[noreturn]] void fail(std::string_view message) { fail_at(line(), ErrorKind::kBadFile, message); }

  void add(TokenKind kind, std::string word, Text text = {}) {
    tokens_.push_back({kind, line(), std::move(word), std::move(text)});
  }

  void skip_spaces() {
    while (!at_end() && is_space(source_[at_])) ++at_;
  }

  /// Text up to the next tag, where `at_` then is; false at the end of the template.
  bool lex_text() {
    std::size_t open = at_;
    while ((open = source_.find(U'{', open)) != Text::npos) {
      const Char next = open + 1 < source_.size() ? source_[open + 1] : Char{0};
      if (next == '{' || next == '%' || next == '#') break;
      ++open;
    }
    if (open == Text::npos) {
      if (!at_end()) add(TokenKind::kText, {}, source_.substr(at_));
      at_ = source_.size();
      return false;
    }
    add_text(open, open + 2, source_[open + 1] == '{');
    at_ = open;
    return true;
  }

  /// Text from `at_` to a tag, without the white space that the tag takes. `sign` is where its `-` or `+` may be.
  void add_text(std::size_t end, std::size_t sign, bool is_print) {
    TextView text = TextView(source_).substr(at_, end - at_);
    const Char c = sign < source_.size() ? source_[sign] : Char{0};
    if (c == '-') {
      text = strip(text, nullptr, {.left = false});
    } else if (c != '+' && !is_print) {
      const std::size_t newline = text.rfind(U'\n');
      const bool begins_line = newline != TextView::npos || at_ == 0 || source_[at_ - 1] == '\n';
      const std::size_t last_line = newline == TextView::npos ? 0 : newline + 1;
      if (begins_line && strip(text.substr(last_line)).empty()) text = text.substr(0, last_line);
    }
    if (!text.empty()) add(TokenKind::kText, {}, Text(text));
  }

  /// Moves past the end of a block or comment, `mark`, with the white space that goes with it.
  bool skip_end(std::string_view mark) {
    const std::size_t sign = peek() == '-' || peek() == '+' ? 1 : 0;
    if (!starts(mark, at_ + sign)) return false;
    const bool strips = sign == 1 && peek() == '-';
    const bool keeps = sign == 1 && peek() == '+';
    at_ += sign + mark.size();
    if (strips) {
      skip_spaces();
    } else if (!keeps && peek() == '\n') {
      ++at_;
    }
    return true;
  }

  void skip_comment() {
    const std::size_t body = at_;
    const std::size_t end = source_.find(U"#}", at_);
    if (end == Text::npos) fail("expected the end of a comment, '#}', found none");
    const bool has_sign = end > body && (source_[end - 1] == '-' || source_[end - 1] == '+');
    at_ = has_sign ? end - 1 : end;
    skip_end("#}");
  }

  /// After `{%`: {% raw %}...{% endraw %}. False when it is another block.
  bool lex_raw() {
    const std::size_t begin = at_;
    if (!skip_word("raw")) return false;
    const bool strips = peek() == '-';
    if (strips) ++at_;
    if (!starts("%}", at_)) {
      at_ = begin;
      return false;
    }
    at_ += 2;
    if (strips) skip_spaces();
    const std::size_t body = at_;
    std::size_t end = body;
    while ((end = source_.find(U"{%", end)) != Text::npos) {
      at_ = end + 2;
      if (peek() == '-' || peek() == '+') ++at_;
      if (skip_word("endraw") && skip_end("%}")) break;
      ++end;
    }
    if (end == Text::npos) fail("expected {% endraw %}, found none");
    const std::size_t next = at_;
    at_ = body;
    add_text(end, end + 2, false);
    at_ = next;
    return true;
  }

  /// A word with white space around it.
  bool skip_word(std::string_view word) {
    skip_spaces();
    if (!starts(word, at_)) return false;
    at_ += word.size();
    skip_spaces();
    return true;
  }

  void lex_tag(TokenKind begin, TokenKind end) {
    add(begin, {});
    std::string brackets;  // that are still open
    for (;;) {
      skip_spaces();
      if (at_end()) fail("expected the end of a tag, found the end of the template");
      if (brackets.empty() && end == TokenKind::kBlockEnd && skip_end("%}")) break;
      if (brackets.empty() && end == TokenKind::kPrintEnd && skip_print_end()) break;
      lex_word(brackets);
    }
    add(end, {});
  }

  bool skip_print_end() {
    const bool strips = peek() == '-';
    if (!starts("}}", at_ + (strips ? 1 : 0))) return false;
    at_ += strips ? 3 : 2;
    if (strips) skip_spaces();
    return true;
  }

  void lex_word(std::string& brackets) {
    const Char c = source_[at_];
    if (c == '\'' || c == '"') {
      lex_string(c);
    } else if (is_digit(c)) {
      lex_number();
    } else if (is_name_char(c)) {
      const std::size_t begin = at_;
      while (!at_end() && is_name_char(source_[at_])) ++at_;
      if (at_ - begin > kMaxName) {
        fail_at(line(), ErrorKind::kUnsupported,
                fmt::format("expected names of at most {} characters, found {}", kMaxName, at_ - begin));
      }
      add(TokenKind::kName, to_utf8(TextView(source_).substr(begin, at_ - begin)));
    } else {
      lex_operator(brackets);
    }
  }

  void lex_operator(std::string& brackets) {
    for (const std::string_view op : kOperators) {
      if (!starts(op, at_)) continue;
      if (op == "(" || op == "[" || op == "{") brackets += op == "(" ? ')' : op == "[" ? ']' : '}';
      if (op == ")" || op == "]" || op == "}") {
        if (brackets.empty() || brackets.back() != op[0]) {
          fail(fmt::format("expected {}, found '{}'",
                           brackets.empty() ? "an opening bracket before" : fmt::format("'{}'", brackets.back()), op));
        }
        brackets.pop_back();
      }
      add(TokenKind::kOperator, std::string(op));
      at_ += op.size();
      return;
    }
    fail(fmt::format("expected an expression, found the character '{}'",
                     printable(to_utf8(TextView(source_).substr(at_, 1)))));
  }

  /// Digits in groups with _ between them; false when there are none.
  bool take_digits(std::string& digits) {
    if (!is_digit(peek())) return false;
    while (is_digit(peek()) || (peek() == '_' && is_digit(peek(1)))) {
      if (peek() != '_') digits += static_cast<char>(peek());
      ++at_;
    }
    return true;
  }

  void lex_number() {
    const bool after_dot = !tokens_.empty() && tokens_.back().word == ".";
    std::string digits;
    take_digits(digits);
    bool is_real = false;
    if (peek() == '.' && is_digit(peek(1)) && !after_dot) {
      is_real = true;
      digits += '.';
      ++at_;
      take_digits(digits);
    }
    const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign)) && !after_dot) {
      is_real = true;
      digits += 'e';
      if (sign == 1) digits += static_cast<char>(peek(1));
      at_ += 1 + sign;
      take_digits(digits);
    }
    if (is_name_char(peek())) {
      fail(fmt::format("expected a decimal number, found '{}{}'", digits, printable(to_utf8(source_.substr(at_, 1)))));
    }
    if (!is_real && digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos) {
      fail(fmt::format("expected an integer without leading zeros, found '{}'", digits));
    }
    add(is_real ? TokenKind::kReal : TokenKind::kInteger, std::move(digits));
  }

  void lex_string(Char quote) {
    Text text;
    const std::size_t begin_line = line();
    for (++at_;;) {
      if (at_end()) fail_at(begin_line, ErrorKind::kBadFile, "expected the end of a string, found none");
      const Char c = source_[at_++];
      if (c == quote) break;
      if (c == '\\') {
        lex_escape(text);
      } else {
        text += c;
      }
    }
    add(TokenKind::kString, {}, std::move(text));
  }

  /// After a backslash. What Python does not know stays, backslash included.
  void lex_escape(Text& text) {
    constexpr std::string_view kLetters = "\\'\"abfnrtv";
    constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    const Char c = peek();
    ++at_;
    if (c == '\n') return;
    const std::size_t at = c < 0x80 ? kLetters.find(static_cast<char>(c)) : std::string_view::npos;
    if (at != std::string_view::npos) {
      text += static_cast<Char>(kMeanings[at]);
    } else if (c >= '0' && c <= '7') {
      --at_;
      text += take_code(8, 3);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const std::size_t n_digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      const std::size_t begin = at_;
      const Char code = take_code(16, n_digits);
      if (at_ != begin + n_digits || code >= kBadByte || (code >= 0xD800 && code < 0xE000)) {
        fail(fmt::format("expected a code point of {} hexadecimal digits after \\{}", n_digits, static_cast<char>(c)));
      }
      text += code;
    } else {
      text += U'\\';
      --at_;  // goes on as an ordinary character
    }
  }

  /// A number of at most `max_digits`.
  Char take_code(Char base, std::size_t max_digits) {
    Char code = 0;
    for (std::size_t i = 0; i < max_digits; ++i) {
      const Char c = lower(peek());
      const Char digit = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : base;
      if (digit >= base) break;
      code = code * base + digit;
      ++at_;
    }
    return code;
  }

  Text source_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t counted_ = 0;  // up to where line_ has counted
  std::vector<TemplateToken> tokens_;
};

}  // namespace

std::vector<TemplateToken> lex(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    fail_at(1, ErrorKind::kUnsupported,
            fmt::format("expected a template of at most {} bytes, found {}", kMaxTemplateBytes, source.size()));
  }
  return Lexer(normalize_newlines(from_utf8(source))).run();
}

std::string describe(const TemplateToken& token) {
  switch (token.kind) {
    case TokenKind::kText:
      return "text";
    case TokenKind::kPrintBegin:
      return "'{{'";
    case TokenKind::kPrintEnd:
      return "'}}'";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kString:
      return fmt::format("the string '{}'", printable(to_utf8(token.text)));
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return fmt::format("'{}'", printable(token.word));
  }
}

}  // namespace tern::chat
