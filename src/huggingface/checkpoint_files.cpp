#include "src/huggingface/checkpoint_files.h"

#include <iterator>
#include <map>
#include <utility>

#include "src/base/printable.h"

namespace tern::huggingface {
namespace {

constexpr const char* kWhole = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

/// Refuses a name that could lead out of the directory.
void check_plain_name(const Field& field, std::string_view name) {
  const bool plain = !name.empty() && name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos &&
                     name != "." && name != "..";
  if (!plain) field.refuse(ErrorKind::kBadFile, "the name of a file in the same directory");
}

std::vector<StoredTensor> read_file(const DirectoryReader& directory, const std::string& name) {
  const MappedFile& file = directory.files.add(directory.path / name);
  return parse_safetensors(file.bytes(), directory.source(name), directory.arena);
}

std::vector<StoredTensor> read_indexed(const DirectoryReader& directory) {
  const JsonFile index = directory.read_json(kIndex).value();
  const Field map = index.field()["weight_map"];
  if (map.members().empty()) map.refuse(ErrorKind::kBadFile, "an object of tensors and the files that hold them");
  std::map<std::string, std::map<std::string_view, bool>> files;  // tensors of each, and whether they were found
  for (std::size_t i = 0; i < map.members().size(); ++i) {
    const auto file = map.at(i).text();
    check_plain_name(map.at(i), file.value_or(""));
    files[std::string(*file)].emplace(map.members()[i].key, false);
  }
  std::vector<StoredTensor> tensors;
  for (auto& [name, expected] : files) {
    if (!directory.has(name)) {
      fail(ErrorKind::kIo, "{}: is missing: {} expects {} tensors there", directory.source(name), index.source,
           expected.size());
    }
    for (StoredTensor& tensor : read_file(directory, name)) {
      const auto found = expected.find(tensor.name);
      if (found == expected.end()) continue;
      found->second = true;
      tensors.push_back(std::move(tensor));
    }
    for (const auto& [tensor, found] : expected) {
      if (found) continue;
      fail(ErrorKind::kBadFile, "{}: tensor {} is missing: {} expects it there", directory.source(name),
           printable(tensor), index.source);
    }
  }
  return tensors;
}

}  // namespace

bool DirectoryReader::has(const std::string& name) const {
  std::error_code ignored;
  return std::filesystem::exists(path / name, ignored);
}

std::string_view DirectoryReader::read(const std::string& name) const {
  const std::span<const std::byte> bytes = files.add(path / name).bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::optional<JsonFile> DirectoryReader::read_json(const std::string& name) const {
  if (!has(name)) return std::nullopt;
  JsonFile file{source(name), {}};
  file.root = parse_json(read(name), file.source, arena);
  return file;
}

std::vector<StoredTensor> read_tensors(const DirectoryReader& directory) {
  if (directory.has(kWhole)) return read_file(directory, kWhole);
  if (directory.has(kIndex)) return read_indexed(directory);
  fail(ErrorKind::kUnsupported, "{}: expected {} or {} in this directory, found neither", directory.path.string(),
       kWhole, kIndex);
}

}  // namespace tern::huggingface
