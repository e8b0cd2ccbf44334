#include "tests/fuzz/mutate_json.h"

#include <cctype>
#include <string>
#include <string_view>

namespace tern::fuzz {
namespace {

struct Span {
  std::size_t begin;
  std::size_t end;
};

/// Where values, keys and items (elements, or keys with their values) stand in a text.
class JsonSpans {
 public:
  explicit JsonSpans(std::string_view text) : text_(text) {
    is_json_ = read_value(0);
    skip_space();
    is_json_ = is_json_ && at_ == text_.size();
  }

  [[nodiscard]] bool is_json() const { return is_json_; }
  std::vector<Span> values;
  std::vector<Span> keys;
  std::vector<Span> items;

 private:
  static constexpr int kMaxDepth = 200;

  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool read_value(int depth) {
    skip_space();
    if (at_ == text_.size() || depth > kMaxDepth) return false;
    const std::size_t begin = at_;
    const char first = text_[at_];
    const bool read = first == '{'   ? read_items('}', depth)
                      : first == '[' ? read_items(']', depth)
                      : first == '"' ? read_string()
                                     : read_word();
    values.push_back({begin, at_});
    return read;
  }
  bool read_items(char last, int depth) {
    ++at_;
    if (take(last)) return true;
    do {
      skip_space();
      const std::size_t begin = at_;
      if (last == '}' && !read_key()) return false;
      if (!read_value(depth + 1)) return false;
      items.push_back({begin, at_});
    } while (take(','));
    return take(last);
  }
  bool read_key() {
    const std::size_t begin = at_;
    if (at_ == text_.size() || text_[at_] != '"' || !read_string()) return false;
    keys.push_back({begin, at_});
    return take(':');
  }
  bool read_string() {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '"') {
        ++at_;
        return true;
      }
    }
    at_ = text_.size();
    return false;
  }
  bool read_word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::string_view(",]}: \n\t\r").find(text_[at_]) == std::string_view::npos) ++at_;
    return at_ > begin;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool is_json_ = false;
};

/// Values at which readers go wrong, as the values of an array.
constexpr std::string_view kEdgeValues =
    R"([0,1,-1,2,64,256,65536,2147483648,4294967296,9223372036854775808,18446744073709551615,18446744073709551616,)"
    R"(0.5,-0.0,1e308,1e999,1e-320,null,true,false,"","a","\u0000","\ud83d\ude00","\ud800","F32","BPE",[],{},[0],)"
    R"([1,2],["a","b"],[[]],{"a":0}])";

std::string_view text_of(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string_view part(std::string_view text, Span span) { return text.substr(span.begin, span.end - span.begin); }

void replace(Bytes& text, Span span, std::string_view with) {
  const Bytes copy(with.begin(), with.end());  // `with` may be a part of the text
  const auto begin = text.begin() + static_cast<std::ptrdiff_t>(span.begin);
  text.erase(begin, begin + static_cast<std::ptrdiff_t>(span.end - span.begin));
  text.insert(text.begin() + static_cast<std::ptrdiff_t>(span.begin), copy.begin(), copy.end());
}

/// An item with the comma that parts it from the next or the last one.
Span with_comma(std::string_view text, Span item) {
  const auto is = [&](std::size_t at, char c) { return at < text.size() && text[at] == c; };
  if (is(item.end, ',')) return {item.begin, item.end + 1};
  if (item.begin > 0 && is(item.begin - 1, ',')) return {item.begin - 1, item.end};
  return item;
}

}  // namespace

bool mutate_json(Bytes& text, Rng& rng) {
  static const JsonSpans edges(kEdgeValues);
  const JsonSpans spans(text_of(text));
  if (!spans.is_json()) return false;
  const auto any = [&](const std::vector<Span>& of) { return of[pick(rng, of.size())]; };
  const std::size_t way = pick(rng, spans.items.empty() ? 3 : spans.keys.empty() ? 5 : 6);
  const Span value = any(spans.values);
  if (way == 0) {
    replace(text, value, part(kEdgeValues, any(edges.values)));
  } else if (way == 1) {
    replace(text, value, part(text_of(text), any(spans.values)));
  } else if (way == 2) {
    mutate_span(text, value.begin, value.end);
  } else if (way == 3) {
    replace(text, with_comma(text_of(text), any(spans.items)), "");
  } else if (way == 4) {
    const Span item = any(spans.items);
    const std::string twice = "," + std::string(part(text_of(text), any(spans.items)));
    replace(text, {item.end, item.end}, twice);
  } else {
    replace(text, any(spans.keys), part(text_of(text), any(spans.keys)));
  }
  return true;
}

}  // namespace tern::fuzz
