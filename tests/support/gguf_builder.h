#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "src/format/gguf.h"

namespace tern::test {

/// Writes GGUF files in memory, valid ones and, through the public fields, broken ones.
///
/// Example
///   GgufBuilder builder;
///   builder.add("general.architecture", "llama").add("llama.block_count", 2u).add("general.strings", {"a", "b"});
///   builder.add_tensor("t", 0, {4, 2}, std::vector<float>(8, 1.0f));  // type F32, 2 rows of 4 columns
///   const std::vector<std::byte> file = builder.build();
class GgufBuilder {
 public:
  /// A tensor of the directory. What build() writes about it can be falsified before.
  struct Tensor {
    std::string name;
    std::uint32_t type = 0;
    std::vector<std::uint64_t> dims;  // dims[0] varies fastest
    std::uint64_t offset = 0;         // from the data's begin
    std::vector<std::byte> data;
  };

  std::uint32_t version = 3;
  std::uint64_t alignment = 32;  // of the data; add("general.alignment", ...) tells the reader
  std::uint64_t extra_keys = 0;  // added to the count in the header
  std::uint64_t extra_tensors = 0;
  std::vector<Tensor> tensors;

  // --- metadata ------------------------------------------------------------------------------------------------
  template <typename T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  GgufBuilder& add(std::string_view key, T value) {
    return add_raw(key, value_type<T>(), bytes_of(value));
  }
  GgufBuilder& add(std::string_view key, std::string_view value) {
    return add_raw(key, format::ValueType::kString, bytes_of(value));
  }
  GgufBuilder& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  /// An array of numbers or strings.
  template <typename T>
  GgufBuilder& add(std::string_view key, const std::vector<T>& values) {
    std::vector<std::byte> value = bytes_of(static_cast<std::uint32_t>(value_type<T>()));
    append(value, bytes_of(static_cast<std::uint64_t>(values.size())));
    for (const auto& element : values) append(value, bytes_of(static_cast<Stored<T>>(element)));
    return add_raw(key, format::ValueType::kArray, value);
  }
  GgufBuilder& add(std::string_view key, std::initializer_list<const char*> values) {
    return add(key, std::vector<std::string>(values.begin(), values.end()));
  }
  /// Any value type with any bytes.
  GgufBuilder& add_raw(std::string_view key, format::ValueType type, std::span<const std::byte> value) {
    std::vector<std::byte> record = bytes_of(key);
    append(record, bytes_of(static_cast<std::uint32_t>(type)));
    append(record, value);
    keys_.push_back({std::string(key), std::move(record)});
    return *this;
  }
  /// Takes back every value of a key.
  GgufBuilder& remove(std::string_view key) {
    std::erase_if(keys_, [&](const Key& added) { return added.name == key; });
    return *this;
  }

  // --- tensors -------------------------------------------------------------------------------------------------
  /// Appends a tensor behind the last one. `dims`: columns first.
  template <typename T>
  GgufBuilder& add_tensor(std::string_view name, std::uint32_t type, std::vector<std::uint64_t> dims,
                          const std::vector<T>& data) {
    const auto bytes = std::as_bytes(std::span(data));
    std::uint64_t offset = 0;
    if (!tensors.empty()) offset = padded(tensors.back().offset + tensors.back().data.size());
    tensors.push_back({std::string(name), type, std::move(dims), offset, {bytes.begin(), bytes.end()}});
    return *this;
  }

  // --- the file ------------------------------------------------------------------------------------------------
  /// Header, keys and directory, up to the data's begin.
  [[nodiscard]] std::vector<std::byte> build_header() const {
    std::vector<std::byte> file = bytes_of(std::uint32_t{0x46554747});  // "GGUF"
    append(file, bytes_of(version));
    append(file, bytes_of(static_cast<std::uint64_t>(tensors.size()) + extra_tensors));
    append(file, bytes_of(static_cast<std::uint64_t>(keys_.size()) + extra_keys));
    for (const Key& key : keys_) append(file, key.record);
    for (const Tensor& tensor : tensors) {
      append(file, bytes_of(std::string_view(tensor.name)));
      append(file, bytes_of(static_cast<std::uint32_t>(tensor.dims.size())));
      for (const std::uint64_t dim : tensor.dims) append(file, bytes_of(dim));
      append(file, bytes_of(tensor.type));
      append(file, bytes_of(tensor.offset));
    }
    return file;
  }
  /// The whole file; the last tensor is not padded.
  [[nodiscard]] std::vector<std::byte> build() const {
    std::vector<std::byte> file = build_header();
    const std::uint64_t data_begin = padded(file.size());
    std::uint64_t far = std::uint64_t{1} << 20;  // an offset beyond this was falsified by a test
    for (const Tensor& tensor : tensors) far += 2 * tensor.data.size();
    for (const Tensor& tensor : tensors) {
      if (tensor.offset > far) continue;
      const std::uint64_t begin = data_begin + tensor.offset;
      if (file.size() < begin + tensor.data.size()) file.resize(begin + tensor.data.size());
      std::copy(tensor.data.begin(), tensor.data.end(), file.begin() + static_cast<std::ptrdiff_t>(begin));
    }
    return file;
  }

 private:
  template <typename T>
  using Stored = std::conditional_t<std::is_arithmetic_v<T>, T, std::string_view>;

  template <typename T>
  [[nodiscard]] static constexpr format::ValueType value_type() {
    using format::ValueType;
    if constexpr (!std::is_arithmetic_v<T>) return ValueType::kString;
    if constexpr (std::is_same_v<T, bool>) return ValueType::kBool;
    if constexpr (std::is_floating_point_v<T>) return sizeof(T) == 4 ? ValueType::kF32 : ValueType::kF64;
    constexpr bool is_signed = std::is_signed_v<T>;
    switch (sizeof(T)) {
      case 1:
        return is_signed ? ValueType::kI8 : ValueType::kU8;
      case 2:
        return is_signed ? ValueType::kI16 : ValueType::kU16;
      case 4:
        return is_signed ? ValueType::kI32 : ValueType::kU32;
      default:
        return is_signed ? ValueType::kI64 : ValueType::kU64;
    }
  }

  template <typename T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  [[nodiscard]] static std::vector<std::byte> bytes_of(T value) {
    std::vector<std::byte> bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }
  [[nodiscard]] static std::vector<std::byte> bytes_of(std::string_view text) {
    std::vector<std::byte> bytes = bytes_of(static_cast<std::uint64_t>(text.size()));
    append(bytes, std::as_bytes(std::span(text)));
    return bytes;
  }
  static void append(std::vector<std::byte>& to, std::span<const std::byte> more) {
    to.insert(to.end(), more.begin(), more.end());
  }
  [[nodiscard]] std::uint64_t padded(std::uint64_t bytes) const {
    return (bytes + alignment - 1) / alignment * alignment;
  }

  struct Key {
    std::string name;
    std::vector<std::byte> record;  // name, type and value as in the file
  };
  std::vector<Key> keys_;
};

}  // namespace tern::test
