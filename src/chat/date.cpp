#include "src/chat/date.h"

#include <array>

#include "src/base/printable.h"

namespace tern::chat {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};

/// An element of a list of names, whatever the date says.
template <std::size_t kSize>
std::string_view name(const std::array<std::string_view, kSize>& names, int i) {
  return i >= 0 && static_cast<std::size_t>(i) < kSize ? names[static_cast<std::size_t>(i)] : "?";
}

int hour12(const std::tm& date) { return date.tm_hour % 12 == 0 ? 12 : date.tm_hour % 12; }

/// One directive; `padded` is false after %-. Empty when there is none of that letter.
std::string directive(Char letter, const std::tm& date, bool padded) {
  const auto number = [padded](int value, int width) { return fmt::format("{:0{}}", value, padded ? width : 0); };
  switch (letter) {
    case 'a':
      return std::string(name(kDays, date.tm_wday).substr(0, 3));
    case 'A':
      return std::string(name(kDays, date.tm_wday));
    case 'b':
    case 'h':
      return std::string(name(kMonths, date.tm_mon).substr(0, 3));
    case 'B':
      return std::string(name(kMonths, date.tm_mon));
    case 'd':
      return number(date.tm_mday, 2);
    case 'e':
      return padded ? fmt::format("{:2}", date.tm_mday) : number(date.tm_mday, 0);
    case 'H':
      return number(date.tm_hour, 2);
    case 'I':
      return number(hour12(date), 2);
    case 'j':
      return number(date.tm_yday + 1, 3);
    case 'm':
      return number(date.tm_mon + 1, 2);
    case 'M':
      return number(date.tm_min, 2);
    case 'p':
      return date.tm_hour < 12 ? "AM" : "PM";
    case 'S':
      return number(date.tm_sec, 2);
    case 'y':
      return number(date.tm_year % 100, 2);
    case 'Y':
      return fmt::format("{}", date.tm_year + 1900);
    case '%':
      return "%";
    default:
      return {};
  }
}

/// Directives that stand for several.
std::string_view expansion(Char letter) {
  switch (letter) {
    case 'F':
      return "%Y-%m-%d";
    case 'T':
      return "%H:%M:%S";
    case 'R':
      return "%H:%M";
    case 'D':
      return "%m/%d/%y";
    default:
      return {};
  }
}

}  // namespace

Text format_date(Run& run, const Text& format) {
  if (format.size() > kMaxDateFormat) {
    run.refuse("strftime_now: expected a format of at most {} characters, found {}", kMaxDateFormat, format.size());
  }
  run.step(format.size());
  Text result;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      result += format[i];
      continue;
    }
    const bool padded = i + 1 >= format.size() || format[i + 1] != '-';
    if (!padded) ++i;
    const Char letter = ++i < format.size() ? format[i] : Char{0};
    const std::string_view expanded = padded ? expansion(letter) : std::string_view();
    if (!expanded.empty()) {
      result += format_date(run, Text(expanded.begin(), expanded.end()));
      continue;
    }
    const std::string part = directive(letter, run.now(), padded);
    if (part.empty()) {
      run.refuse("strftime_now: expected a format that tern knows, found '{}'", printable(to_utf8(format)));
    }
    result += Text(part.begin(), part.end());
  }
  return result;
}

}  // namespace tern::chat
