#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tern::fuzz {

/// A number in the header of a GGUF file: a count, a length, a type, a value, a dimension or an offset.
struct GgufField {
  std::size_t at;     // bytes from the file's begin
  std::size_t bytes;  // 1, 2, 4 or 8
};

/// The numbers of a header, in the order of the file, as far as they can be followed. Of a long array, the first few.
[[nodiscard]] std::vector<GgufField> gguf_fields(std::span<const std::uint8_t> file);

/// Writes the lower bytes of a value over a field.
void set_field(std::span<std::uint8_t> file, GgufField field, std::uint64_t value);
[[nodiscard]] std::uint64_t get_field(std::span<const std::uint8_t> file, GgufField field);

}  // namespace tern::fuzz
