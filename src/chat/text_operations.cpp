#include "src/chat/text_operations.h"

#include <algorithm>

#include "src/chat/operations.h"
#include "src/chat/text_search.h"

namespace tern::chat {
namespace {

constexpr std::size_t kNowhere = TextView::npos;

std::vector<Value> values(Run& run, const std::vector<TextView>& parts) {
  std::vector<Value> result;
  for (const TextView part : parts) result.push_back(run.text(part));
  return result;
}

/// Words between white space.
std::vector<TextView> split_words(Run& run, TextView text, std::size_t max_count) {
  run.step_through(text.size());
  std::vector<TextView> parts;
  for (text = strip(text, nullptr, {.right = false}); !text.empty();) {
    run.step();
    if (parts.size() == max_count) {
      parts.push_back(text);  // Python leaves the white space at its end
      break;
    }
    const auto end = std::find_if(text.begin(), text.end(), is_space);
    parts.push_back(text.substr(0, static_cast<std::size_t>(end - text.begin())));
    text = strip(text.substr(parts.back().size()), nullptr, {.right = false});
  }
  return parts;
}

std::vector<TextView> split_words_from_right(Run& run, TextView text, std::size_t max_count) {
  run.step_through(text.size());
  std::vector<TextView> parts;
  for (text = strip(text, nullptr, {.left = false}); !text.empty();) {
    run.step();
    if (parts.size() == max_count) {
      parts.push_back(text);
      break;
    }
    const auto begin = std::find_if(text.rbegin(), text.rend(), is_space);
    parts.push_back(text.substr(text.size() - static_cast<std::size_t>(begin - text.rbegin())));
    text = strip(text.substr(0, text.size() - parts.back().size()), nullptr, {.left = false});
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

void check_separator(const Run& run, const Text& separator) {
  if (separator.empty()) run.fail("expected a separator to split at, found an empty string");
}

}  // namespace

Text capitalize(TextView text) {
  Text result = lower(text);
  if (!result.empty()) result[0] = upper(result[0]);
  return result;
}

void count_strip(Run& run, TextView text, const Text* set) {
  run.step_through(text.size());
  if (set != nullptr) run.step(text.size() * set->size() / 64);
}

Text replace(Run& run, const Text& text, const Text& from, const Text& to, std::optional<std::size_t> max_count) {
  const TextSearch search(run, text, from);
  const std::size_t n_most = max_count.value_or(kNowhere);
  Text result;
  std::size_t begin = 0;
  for (std::size_t n = 0; n < n_most; ++n) {
    // An empty text is found once before every character, and at the end.
    const std::size_t look_from = from.empty() && n > 0 ? begin + 1 : begin;
    const std::size_t found = look_from > text.size() ? kNowhere : search.find(TextView(text).substr(look_from));
    if (found == kNowhere) break;
    run.step();
    const std::size_t at = look_from + found;
    run.append(result, TextView(text).substr(begin, at - begin));
    run.append(result, to);
    begin = at + from.size();
  }
  run.append(result, TextView(text).substr(begin));
  return result;
}

std::vector<Value> split(Run& run, const Text& text, const Text* separator, std::optional<std::size_t> max_count) {
  const std::size_t n_most = max_count.value_or(kNowhere);
  if (separator == nullptr) return values(run, split_words(run, text, n_most));
  check_separator(run, *separator);
  const TextSearch search(run, text, *separator);
  std::vector<TextView> parts;
  TextView rest = text;
  for (std::size_t at = 0; parts.size() < n_most && (at = search.find(rest)) != kNowhere;) {
    run.step();
    parts.push_back(rest.substr(0, at));
    rest.remove_prefix(at + separator->size());
  }
  parts.push_back(rest);
  return values(run, parts);
}

std::vector<Value> split_from_right(Run& run, const Text& text, const Text* separator,
                                    std::optional<std::size_t> max_count) {
  const std::size_t n_most = max_count.value_or(kNowhere);
  if (separator == nullptr) return values(run, split_words_from_right(run, text, n_most));
  check_separator(run, *separator);
  const TextSearch search(run, text, *separator, TextSearch::From::kRight);
  std::vector<TextView> parts;
  TextView rest = text;
  for (std::size_t at = 0; parts.size() < n_most && (at = search.find(rest)) != kNowhere;) {
    run.step();
    parts.push_back(rest.substr(at + separator->size()));
    rest = rest.substr(0, at);
  }
  parts.push_back(rest);
  std::reverse(parts.begin(), parts.end());
  return values(run, parts);
}

std::vector<TextView> split_lines(Run& run, TextView text, bool keep_ends) {
  run.step_through(text.size());
  const auto ends_line = [](Char c) {
    c = code_point(c);
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
  };
  std::vector<TextView> lines;
  while (!text.empty()) {
    run.step();
    const auto end = static_cast<std::size_t>(std::find_if(text.begin(), text.end(), ends_line) - text.begin());
    std::size_t next = std::min(end + 1, text.size());
    if (end < text.size() && CharTraits::eq(text[end], '\r') && next < text.size() &&
        CharTraits::eq(text[next], '\n')) {
      ++next;
    }
    lines.push_back(text.substr(0, keep_ends ? next : end));
    text.remove_prefix(next);
  }
  return lines;
}

}  // namespace tern::chat
