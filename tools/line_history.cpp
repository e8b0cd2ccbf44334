#include "tools/line_history.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <utility>

#include "tern/error.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxBytes = 1 << 20;  // of the file, read from its end
constexpr ::mode_t kOwnerOnly = 0600;

/// The end of a file, whole lines only.
std::string read_end(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) return {};
  const bool is_cut = size > kMaxBytes;
  if (is_cut) file.seekg(-static_cast<std::streamoff>(kMaxBytes), std::ios::end);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (is_cut) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
  return text;
}

}  // namespace

LineHistory::LineHistory(fs::path file) : file_(std::move(file)) {
  if (!file_.empty()) read();
}

void LineHistory::read() {
  std::error_code ignored;
  if (fs::exists(file_, ignored) && !fs::is_regular_file(file_, ignored)) return file_.clear();
  const std::string text = read_end(file_);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines_.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const bool has_too_much = lines_.size() > kMaxLines || fs::file_size(file_, ignored) > text.size();
  if (text.empty() || !has_too_much) return;
  lines_.erase(lines_.begin(), lines_.end() - static_cast<std::ptrdiff_t>(std::min(lines_.size(), kMaxLines)));
  std::string shorter;
  for (const std::string& line : lines_) shorter += line + "\n";
  try {
    OutputFile file(file_.string(), kOwnerOnly);
    file.write(std::as_bytes(std::span(shorter)));
    file.commit();
  } catch (const Error&) {
    // It stays long.
  }
}

void LineHistory::add(std::string_view line) {
  if (line.empty() || (!lines_.empty() && lines_.back() == line)) return;
  lines_.emplace_back(line);
  if (file_.empty()) return;
  std::error_code ignored;
  fs::create_directories(file_.parent_path(), ignored);
  const int file = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kOwnerOnly);
  if (file < 0) return;
  const std::string text = lines_.back() + "\n";
  // One write appends the line whole, whoever else appends.
  static_cast<void>(::fchmod(file, kOwnerOnly) == 0 && ::write(file, text.data(), text.size()) >= 0);
  ::close(file);
}

fs::path history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && fs::path(state).is_absolute()) return fs::path(state) / "tern" / "history";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return fs::path(home) / ".local" / "state" / "tern" / "history";
}

}  // namespace tern::tools
