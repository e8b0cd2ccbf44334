#include "tern/metadata.h"

#include <fmt/core.h>

#include <algorithm>

#include "src/base/check.h"
#include "src/base/printable.h"
#include "src/engine/model_source.h"

namespace tern {
namespace {

constexpr std::size_t kShownChars = 100;   // of a text
constexpr std::size_t kShownElements = 8;  // of an array

std::string shorten(std::string_view text) {
  const std::string shown = printable(text, kShownChars);
  return shown.ends_with("...") ? fmt::format("{} ({} bytes)", shown, text.size()) : shown;
}

/// "[a, b, ...] (count)".
template <typename Show>
std::string list(std::size_t count, const Show& show) {
  std::string text = "[";
  for (std::size_t i = 0; i < std::min(count, kShownElements); ++i) text += (i > 0 ? ", " : "") + show(i);
  return text + (count > kShownElements ? fmt::format(", ...] ({})", count) : "]");
}

/// Type and value of a key, in words.
struct Describe {
  MetadataEntry& entry;

  void operator()(std::uint64_t value) const { set("unsigned", fmt::format("{}", value)); }
  void operator()(std::int64_t value) const { set("integer", fmt::format("{}", value)); }
  void operator()(double value) const { set("number", fmt::format("{}", value)); }
  void operator()(bool value) const { set("bool", value ? "true" : "false"); }
  void operator()(std::string_view value) const { set("string", shorten(value)); }
  void operator()(const format::NumberArray& values) const {
    set(fmt::format("array of {}", to_string(values.element)),
        list(values.count, [&](std::size_t i) { return fmt::format("{}", values.number(i)); }));
  }
  void operator()(const format::StringArray& values) const {
    set("array of string",
        list(values.size(), [&](std::size_t i) { return fmt::format("\"{}\"", shorten(values[i])); }));
  }
  void set(std::string type, std::string value) const {
    entry.type = std::move(type);
    entry.value = std::move(value);
  }
};

}  // namespace

std::vector<MetadataEntry> read_metadata(const std::filesystem::path& path) {
  return or_out_of_memory("the keys of this model", [&] {
    MappedFiles files;
    const format::Gguf gguf = engine::open_keys(path, files);
    std::vector<MetadataEntry> entries;
    for (const auto& [key, value] : gguf.metadata.entries()) {
      MetadataEntry& entry = entries.emplace_back();
      entry.key = printable(key);
      std::visit(Describe{entry}, value);
    }
    return entries;
  });
}

}  // namespace tern
