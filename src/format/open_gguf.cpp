#include "src/format/open_gguf.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "src/base/check.h"

namespace tern::format {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxParts = 65535;  // a u16 in the file
constexpr std::uint64_t kMaxTensors = std::uint64_t{1} << 31;

/// The name of a part taken to pieces: "model-00002-of-00003.gguf" is part 2 of 3 of "model".
struct PartName {
  std::string model;
  std::uint64_t number = 0;  // from 1
  std::uint64_t count = 0;

  [[nodiscard]] std::string file(std::uint64_t of_number) const {
    return fmt::format("{}-{:05}-of-{:05}.gguf", model, of_number, count);
  }
};

std::optional<std::uint64_t> five_digits(std::string_view text) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
  return whole && text.size() == 5 ? std::optional(value) : std::nullopt;
}

std::optional<PartName> parse_part_name(const std::string& name) {
  constexpr std::string_view kForm = "-00000-of-00000.gguf";
  if (name.size() <= kForm.size()) return std::nullopt;
  const std::string_view tail = std::string_view(name).substr(name.size() - kForm.size());
  const auto number = five_digits(tail.substr(1, 5));
  const auto count = five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf" || !number || !count) {
    return std::nullopt;
  }
  if (*number < 1 || *number > *count) return std::nullopt;
  return PartName{name.substr(0, name.size() - kForm.size()), *number, *count};
}

std::uint64_t part_count(const Metadata& metadata) { return metadata.integer("split.count", kMaxParts).value_or(1); }

/// Refuses a part that is not the one that its name says.
void check_part(const Metadata& metadata, std::uint64_t number, std::uint64_t count) {
  const auto check = [&](std::string_view key, std::uint64_t expected) {
    const auto found = metadata.integer(key, kMaxParts);
    if (found == expected) return;
    fail(ErrorKind::kBadFile, "{}: key '{}': expected {}, as the file's name says, found {}", metadata.source(), key,
         expected, found ? std::to_string(*found) : "none");
  };
  check("split.no", number - 1);
  check("split.count", count);
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

[[noreturn]] void refuse_missing(const fs::path& part, std::uint64_t count) {
  fail(ErrorKind::kIo, "{}: is missing: expected the {} parts of a model side by side", part.string(), count);
}

Gguf open_part(const fs::path& path, MappedFiles& files, TensorSizer tensor_size) {
  return parse_gguf(files.add(path).bytes(), path.string(), tensor_size);
}

/// Adds the tensors of all parts but the first, which `whole` is so far.
void add_other_parts(const fs::path& first, const PartName& name, MappedFiles& files, TensorSizer tensor_size,
                     Gguf& whole) {
  for (std::uint64_t number = 2; number <= name.count; ++number) {
    const fs::path path = first.parent_path() / name.file(number);
    if (!is_there(path)) refuse_missing(path, name.count);
    Gguf part = open_part(path, files, tensor_size);
    check_part(part.metadata, number, name.count);
    for (TensorInfo& tensor : part.tensors) whole.add(std::move(tensor), path.string());
  }
  const auto n_tensors = whole.metadata.integer("split.tensors.count", kMaxTensors);
  if (n_tensors && *n_tensors != whole.tensors.size()) {
    fail(ErrorKind::kBadFile, "{}: key 'split.tensors.count': expected {}, as the {} parts have together, found {}",
         first.string(), whole.tensors.size(), name.count, *n_tensors);
  }
}

}  // namespace

fs::path first_part(const fs::path& path) {
  const std::optional<PartName> name = parse_part_name(path.filename().string());
  if (!name || name->number == 1) return path;
  const fs::path first = path.parent_path() / name->file(1);
  return is_there(first) ? first : path;
}

std::vector<fs::path> all_parts(const fs::path& path) {
  const std::optional<PartName> name = parse_part_name(path.filename().string());
  if (!name) return {path};
  std::vector<fs::path> parts;
  for (std::uint64_t number = 1; number <= name->count; ++number)
    parts.push_back(path.parent_path() / name->file(number));
  return parts;
}

Gguf open_gguf(const fs::path& path, MappedFiles& files, TensorSizer tensor_size) {
  const fs::path first = first_part(path);
  const std::optional<PartName> name = parse_part_name(first.filename().string());
  Gguf gguf = open_part(first, files, tensor_size);
  const std::uint64_t count = part_count(gguf.metadata);
  if (count <= 1) return gguf;
  if (!name) {
    fail(ErrorKind::kBadFile, "{}: a part of a model split in {} files: expected a name like MODEL-00001-of-{:05}.gguf",
         path.string(), count, count);
  }
  if (name->number != 1) refuse_missing(first.parent_path() / name->file(1), count);
  check_part(gguf.metadata, 1, name->count);
  add_other_parts(first, *name, files, tensor_size, gguf);
  return gguf;
}

}  // namespace tern::format
