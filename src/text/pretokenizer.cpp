#include "src/text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <limits>
#include <new>
#include <string>

#include "src/base/check.h"
#include "src/text/utf8.h"

namespace tern::text {
namespace {

// Unicode's White_Space. PCRE2's own \s has U+180E as well, which lost the property in Unicode 6.3.
constexpr std::string_view kSpaces =
    R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// Stands in for a byte that is not UTF-8: a control character, one byte long as well, so that offsets stay.
constexpr char kInvalidByte = '\x01';

std::string error_text(int code) {
  std::array<PCRE2_UCHAR8, 256> buffer{};
  pcre2_get_error_message_8(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

/// Puts kSpaces in the place of \s and \S.
std::string expand_spaces(std::string_view pattern) {
  std::string expanded;
  bool in_brackets = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '[') in_brackets = true;
    if (c == ']') in_brackets = false;
    if (c != '\\') {
      expanded += c;
      continue;
    }
    const char escaped = pattern[++i];
    if (escaped != 's' && escaped != 'S') {
      expanded += {'\\', escaped};
    } else if (in_brackets) {
      TERN_DCHECK(escaped == 's');  // PCRE2 has no complement of a class within a class
      expanded += kSpaces;
    } else {
      expanded += fmt::format("[{}{}]", escaped == 'S' ? "^" : "", kSpaces);
    }
  }
  return expanded;
}

struct FreeMatch {
  void operator()(pcre2_match_data_8* data) const noexcept { pcre2_match_data_free_8(data); }
  void operator()(pcre2_match_context_8* context) const noexcept { pcre2_match_context_free_8(context); }
};

/// What a search needs besides the pattern; one per thread of work.
class Matcher {
 public:
  Matcher() : data_(pcre2_match_data_create_8(1, nullptr)), context_(pcre2_match_context_create_8(nullptr)) {
    if (data_ == nullptr || context_ == nullptr) throw std::bad_alloc();
    // The patterns are linear, so a limit on steps would only refuse long texts.
    pcre2_set_match_limit_8(context_.get(), std::numeric_limits<std::uint32_t>::max());
  }

  /// The first match at or after `begin`; empty, at the text's end, when there is none. Requires well-formed UTF-8.
  [[nodiscard]] std::string_view find(const pcre2_code_8* code, std::string_view text, std::size_t begin) {
    const auto* subject = reinterpret_cast<PCRE2_SPTR8>(text.data());
    const auto search = [&](std::uint32_t options) {
      return pcre2_match_8(code, subject, text.size(), begin, PCRE2_NO_UTF_CHECK | options, data_.get(),
                           context_.get());
    };
    int result = search(0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = search(PCRE2_NO_JIT);
    if (result == PCRE2_ERROR_NOMATCH) return text.substr(text.size());
    if (result < 0) fail(ErrorKind::kUnsupported, "pre-tokenizer: PCRE2 gave up: {}", error_text(result));
    const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer_8(data_.get());
    TERN_DCHECK(offsets[0] < offsets[1]);
    return text.substr(offsets[0], offsets[1] - offsets[0]);
  }

 private:
  std::unique_ptr<pcre2_match_data_8, FreeMatch> data_;
  std::unique_ptr<pcre2_match_context_8, FreeMatch> context_;
};

/// Appends the matches within `piece` and the gaps between them.
void split_piece(Matcher& matcher, const pcre2_code_8* code, std::string_view piece,
                 std::vector<std::string_view>& pieces) {
  std::size_t begin = 0;
  while (begin < piece.size()) {
    const std::string_view match = matcher.find(code, piece, begin);
    const auto match_begin = static_cast<std::size_t>(match.data() - piece.data());
    if (match_begin > begin) pieces.push_back(piece.substr(begin, match_begin - begin));
    if (!match.empty()) pieces.push_back(match);
    begin = match_begin + match.size();
  }
}

/// `text` with every byte that is not UTF-8 replaced; empty when there is nothing to replace.
std::string replace_invalid(std::string_view text) {
  std::string replaced;
  std::size_t length = 0;
  for (std::size_t i = 0; i < text.size(); i += length) {
    length = utf8_sequence_length(text, i);
    if (length != 0) continue;
    if (replaced.empty()) replaced = text;
    replaced[i] = kInvalidByte;
    length = 1;
  }
  return replaced;
}

}  // namespace

void Pretokenizer::FreeCode::operator()(pcre2_real_code_8* code) const noexcept { pcre2_code_free_8(code); }

Pretokenizer::Pretokenizer(std::span<const std::string_view> patterns) {
  for (const std::string_view pattern : patterns) {
    const std::string expanded = expand_spaces(pattern);
    int error = 0;
    PCRE2_SIZE error_offset = 0;
    pcre2_code_8* code = pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(expanded.data()), expanded.size(),
                                         PCRE2_UTF | PCRE2_UCP, &error, &error_offset, nullptr);
    if (code == nullptr) {
      fail(ErrorKind::kUnsupported, "pre-tokenizer: PCRE2 refuses the pattern {}: {}", expanded, error_text(error));
    }
    codes_.emplace_back(code);
    pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE);  // where it cannot compile, the interpreter matches the same
  }
}

std::vector<std::string_view> Pretokenizer::split(std::string_view text) const {
  const std::string replaced = replace_invalid(text);
  Matcher matcher;
  std::vector<std::string_view> pieces = {replaced.empty() ? text : replaced};
  for (const auto& code : codes_) {
    std::vector<std::string_view> finer;
    for (const std::string_view piece : pieces) split_piece(matcher, code.get(), piece, finer);
    pieces = std::move(finer);
  }
  const char* begin = replaced.empty() ? text.data() : replaced.data();
  for (std::string_view& piece : pieces) {
    piece = text.substr(static_cast<std::size_t>(piece.data() - begin), piece.size());
  }
  return pieces;
}

}  // namespace tern::text
