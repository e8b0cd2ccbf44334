#include "tools/input.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "tern/error.h"
#include "tools/interrupt.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using OpenFile = std::unique_ptr<std::FILE, CloseFile>;

OpenFile open_file(const std::string& path) {
  OpenFile file(std::fopen(path.c_str(), "rb"));
  if (!file) throw Error(ErrorKind::kIo, fmt::format("{}: cannot be opened: {}", path, std::strerror(errno)));
  return file;
}

void check_read(std::FILE* file, std::string_view name) {
  if (std::ferror(file) != 0) {
    if (errno == EINTR) throw Interrupted{};
    throw Error(ErrorKind::kIo, fmt::format("{}: cannot be read: {}", name, std::strerror(errno)));
  }
}

std::string read_all(std::FILE* file, std::string_view name, std::size_t max_bytes) {
  std::string text;
  char buffer[1 << 16];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file)) {
    if (n > max_bytes - text.size()) {
      throw Error(ErrorKind::kBadFile, fmt::format("{}: longer than {} bytes", name, max_bytes));
    }
    text.append(buffer, n);
  }
  check_read(file, name);
  return text;
}

constexpr std::string_view kEscapeNames = "nrt\"'\\";
constexpr std::string_view kEscapedBytes = "\n\r\t\"'\\";
static_assert(kEscapeNames.size() == kEscapedBytes.size());

/// The byte of a text that begins with \xNN, two hexadecimal digits.
std::optional<unsigned char> parse_hex_escape(std::string_view text) {
  if (text.size() < 4 || !text.starts_with("\\x")) return std::nullopt;
  unsigned char byte = 0;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + 4, byte, 16);
  if (error != std::errc{} || end != text.data() + 4) return std::nullopt;
  return byte;
}

}  // namespace

void TextSource::declare(Command& cli, const std::string& what) {
  text_ = cli.option("-p,--prompt,text", argument, what).value_name("TEXT");
  cli.option("-f,--file", file, what + " from a file, - for standard input").value_name("FILE").excludes(text_);
  cli.flag("-e,--escapes", escapes, "Turn \\n, \\t, \\xNN and their like in the text into characters");
}

bool TextSource::is_argument() const { return text_.is_given(); }

std::string TextSource::name() const {
  if (is_argument()) return "the argument";
  return file.empty() || file == "-" ? "standard input" : file;
}

std::string TextSource::read() const {
  std::string text = read_plain();
  return escapes ? interpret_escapes(text) : text;
}

std::string TextSource::read_plain() const {
  if (is_argument()) return argument;
  if (!file.empty()) return read_file(file);
  require_input();
  return read_file("-");
}

void TextSource::require_input() const {
  if (file.empty() && ::isatty(STDIN_FILENO) != 0) {
    throw Error(ErrorKind::kInvalidArgument, "no text: give it as an argument, with -f FILE, or on standard input");
  }
}

void TextSource::for_each_line(const std::function<void(std::string_view line)>& use) const {
  if (is_argument()) return use(argument);
  require_input();
  LineReader lines(file.empty() ? "-" : file);
  while (const auto line = lines.next()) use(*line);
}

LineReader::LineReader(const std::string& path)
    : path_(path == "-" ? "standard input" : path), file_(path == "-" ? stdin : open_file(path).release()) {}

LineReader::~LineReader() {
  if (file_ != stdin) std::fclose(file_);
  std::free(line_);
}

std::optional<std::string> LineReader::next() {
  const ::ssize_t size = ::getline(&line_, &capacity_, file_);
  if (size < 0) {
    check_read(file_, path_);
    return std::nullopt;
  }
  const std::string_view text(line_, static_cast<std::size_t>(size));
  return std::string(text.ends_with('\n') ? text.substr(0, text.size() - 1) : text);
}

std::optional<std::size_t> LineReader::count() const {
  std::error_code ignored;
  if (file_ == stdin || !std::filesystem::is_regular_file(path_, ignored)) return std::nullopt;
  LineReader again(path_);
  std::size_t n = 0;
  while (again.next()) ++n;
  return n;
}

std::string interpret_escapes(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    const auto named = rest.size() < 2 || rest[0] != '\\' ? std::string_view::npos : kEscapeNames.find(rest[1]);
    if (named != std::string_view::npos) {
      plain += kEscapedBytes[named];
      i += 1;
    } else if (const auto byte = parse_hex_escape(rest)) {
      plain += static_cast<char>(*byte);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string read_file(const std::string& path, std::size_t max_bytes) {
  if (path == "-") return read_all(stdin, "standard input", max_bytes);
  return read_all(open_file(path).get(), path, max_bytes);
}

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template std::optional<Token> parse_number<Token>(std::string_view text);
template std::optional<std::size_t> parse_number<std::size_t>(std::string_view text);
template std::optional<float> parse_number<float>(std::string_view text);

std::vector<Token> parse_tokens(std::string_view text) {
  std::vector<Token> tokens;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view item = text.substr(begin, end - begin);
    const auto token = parse_number<Token>(item);
    if (!token) {
      throw Error(ErrorKind::kInvalidArgument,
                  fmt::format("--tokens: expected token ids such as 1,2,3, found '{}'", one_line(item)));
    }
    tokens.push_back(*token);
    begin = end + 1;
  }
  return tokens;
}

}  // namespace tern::tools
