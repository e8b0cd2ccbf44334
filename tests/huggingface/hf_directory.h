#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/format/gguf.h"

namespace tern::test {

/// How a directory holds the ternary layers.
enum class HfForm { kPackedMultiply, kPackedDivide, kMastersBf16, kMastersF16, kMastersF32, kExactBf16 };

/// A tensor of a safetensors file.
struct HfTensor {
  std::string name;
  std::string dtype;
  std::vector<std::size_t> shape;  // slowest first
  std::vector<std::byte> data;
};

/// A safetensors file; `n_spaces` at the end of its header move the data.
[[nodiscard]] std::vector<std::byte> safetensors_file(const std::vector<HfTensor>& tensors, std::size_t n_spaces = 0);
/// The same with any header.
[[nodiscard]] std::vector<std::byte> safetensors_file(std::string_view header, std::string_view data);

/// A tokenizer.json that says what tokenizer.ggml.* keys say; for SentencePiece, merges are derived from the scores.
/// `merges_as_lists`: ["a", "b"] instead of "a b".
[[nodiscard]] std::string tokenizer_json(const format::Metadata& metadata, bool merges_as_lists = false);
/// The same as SentencePiece's tokenizer.model.
[[nodiscard]] std::string sentencepiece_model(const format::Metadata& metadata);

/// JSON text with one member replaced or added; `path` is "a/b/0/c". An empty value removes the member.
[[nodiscard]] std::string with_member(std::string_view json, std::string_view path, std::string_view value);

/// The files of a directory that says what a parsed GGUF file says, by name. Its ternary layers have to have one scale
/// each, unless they become exact floats; packed, they keep it rounded to bf16.
using HfFiles = std::map<std::string, std::string>;
[[nodiscard]] HfFiles hf_files(const format::Gguf& model, HfForm form);
/// The same with the tensors in two files and an index.
[[nodiscard]] HfFiles sharded(const HfFiles& files);

/// A directory that lives as long as this object.
class HfDirectory {
 public:
  explicit HfDirectory(const HfFiles& files);
  ~HfDirectory() { std::filesystem::remove_all(path_); }
  HfDirectory(const HfDirectory&) = delete;
  HfDirectory& operator=(const HfDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tern::test
