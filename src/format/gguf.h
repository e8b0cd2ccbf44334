#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "src/base/arena.h"
#include "src/base/text_hash.h"
#include "tern/error.h"

namespace tern::format {

/// Value types of GGUF metadata, with the file's own numbers.
enum class ValueType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

[[nodiscard]] std::string_view to_string(ValueType type) noexcept;

/// An array of numbers, still in the file's bytes.
struct NumberArray {
  ValueType element = ValueType::kU8;
  std::size_t count = 0;
  std::span<const std::byte> bytes;  // count elements, little-endian, not aligned

  /// Element i of an integer or bool array. Requires i < count.
  [[nodiscard]] std::int64_t integer(std::size_t i) const noexcept;
  /// Element i of any array, as a double. Requires i < count.
  [[nodiscard]] double number(std::size_t i) const noexcept;
};

/// Strings point into the parsed bytes.
using StringArray = std::vector<std::string_view>;
using Value = std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, NumberArray, StringArray>;

/// The key-value half of a GGUF file with typed, range-checked access.
///
/// Every getter: absent key -> nullopt (or empty); a key with another type or out of range -> Error(kBadFile) that
/// names file, key, expected and found. Numbers convert between integer types when the value fits.
class Metadata {
 public:
  explicit Metadata(std::string source) : source_(std::move(source)) {}

  [[nodiscard]] bool contains(std::string_view key) const { return find(key) != nullptr; }
  /// Whether the key is there and holds several numbers, for the few keys that may hold one or several.
  [[nodiscard]] bool holds_numbers(std::string_view key) const;
  [[nodiscard]] std::optional<std::uint64_t> integer(std::string_view key, std::uint64_t max) const;
  [[nodiscard]] std::optional<double> number(std::string_view key) const;  // finite
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  [[nodiscard]] std::optional<std::string_view> string(std::string_view key) const;
  [[nodiscard]] const StringArray* strings(std::string_view key) const;  // nullptr when absent
  [[nodiscard]] const NumberArray* numbers(std::string_view key) const;  // nullptr when absent

  /// For listings: (key, value) in file order.
  [[nodiscard]] const std::vector<std::pair<std::string_view, Value>>& entries() const noexcept { return entries_; }
  /// Name of the file in messages.
  [[nodiscard]] const std::string& source() const noexcept { return source_; }

  /// Appends; Error(kBadFile) on a duplicate key. `stored`: its type in the file; without one, what others expect of
  /// such a value: 32 bits for numbers that fit in them.
  void add(std::string_view key, Value value, std::optional<ValueType> stored = std::nullopt);
  /// How entry i is stored in a file. Requires i < entries().size().
  [[nodiscard]] ValueType stored_type(std::size_t i) const noexcept { return stored_types_[i]; }

 private:
  [[nodiscard]] const Value* find(std::string_view key) const;
  std::string source_;
  std::vector<std::pair<std::string_view, Value>> entries_;
  std::vector<ValueType> stored_types_;  // one for each of them
  std::unordered_map<std::string_view, std::size_t, TextHash> index_;
};

/// One tensor of the directory. The span is inside the file; its length is what type and shape imply, but for tensors
/// that are converted.
struct TensorInfo {
  std::string_view name;
  std::uint32_t type = 0;                         // GGUF type id, known to tern::weights::find_codec
  std::array<std::uint64_t, 4> dims{1, 1, 1, 1};  // dims[0] varies fastest (cols), dims[1] = rows
  std::uint32_t n_dims = 0;
  std::uint64_t n_elements = 0;
  std::span<const std::byte> data;

  /// Set when `data` hold the weights in another form, named here: makes the bytes that `type` implies of them. May be
  /// called by several threads. Error(kBadFile) for contents that are not of that form.
  std::function<std::vector<std::byte>(const TensorInfo&)> convert = {};
  std::string_view stored_as = {};

  [[nodiscard]] std::uint64_t cols() const noexcept { return dims[0]; }
  [[nodiscard]] std::uint64_t rows() const noexcept { return dims[1]; }
};

/// A tensor in the form that its type says.
struct OwnForm {
  TensorInfo tensor;
  std::vector<std::byte> converted;

  explicit OwnForm(const TensorInfo& stored) : tensor(stored) {
    if (tensor.convert) tensor.data = converted = tensor.convert(stored);
  }
  OwnForm(const OwnForm&) = delete;
  OwnForm& operator=(const OwnForm&) = delete;
};

/// Another type that files give the same number.
struct OtherType {
  std::uint32_t type = 0;  // that find_codec() knows it by
  std::uint64_t bytes = 0;
  std::string_view meanings;  // both, for a message
};

/// Size in bytes of a tensor of this type, or an explanation why there is none.
/// Given by the weights layer, so that the container knows nothing about formats.
struct TensorSize {
  std::optional<std::uint64_t> bytes;
  std::optional<OtherType> other;            // set when the number has two meanings and the shape fits both
  std::string error;                         // set when bytes is empty, e.g. "unknown tensor type 99"
  ErrorKind kind = ErrorKind::kUnsupported;  // of that error
};
using TensorSizer = TensorSize (*)(std::uint32_t type, std::uint64_t cols, std::uint64_t n_elements);

/// A model as GGUF describes one, by its keys, tensor names and types, wherever it came from. Views into its files,
/// which must outlive it.
struct Gguf {
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  Metadata metadata;
  std::vector<TensorInfo> tensors;

  /// nullptr when there is none.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;
  /// Error(kBadFile) that names `file` when there is a tensor of this name.
  void add(TensorInfo tensor, const std::string& file);

  std::unordered_map<std::string_view, std::size_t, TextHash> tensor_index;  // name -> position in tensors
  Arena arena;                                                               // what is viewed into and lies in no file
};

/// Bytes of which the offsets of a file with these keys are multiples.
/// Errors    Error(kBadFile): no power of two, or out of range
[[nodiscard]] std::uint64_t read_alignment(const Metadata& metadata);

/// Parses a GGUF file (version 2 or 3, little-endian), or a part of a split one.
///
/// The bytes are not trusted: every count, length and offset is checked before use.
///
/// Errors    Error(kBadFile): truncated, contradictory, over a limit; Error(kUnsupported): version, byte order,
///           unknown tensor or value type. The message names `source`, and the key or tensor.
/// Source    ggml's GGUF specification, version 3
[[nodiscard]] Gguf parse_gguf(std::span<const std::byte> file, std::string source, TensorSizer tensor_size);

}  // namespace tern::format
