#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "src/format/gguf.h"
#include "src/weights/codec.h"

/// Reads everything that a GGUF file offers, so that a sanitizer sees every byte that the parser let through.
namespace tern::test {

/// Sums what was read, so that no read can be optimised away.
struct Consumed {
  std::size_t n_rows = 0;
  double sum = 0;
};

inline void consume_value(const format::Value& value, Consumed& consumed) {
  struct {
    Consumed& consumed;
    void operator()(std::string_view text) const {
      for (const char c : text) consumed.sum += c;
    }
    void operator()(const format::StringArray& strings) const {
      for (const std::string_view text : strings) (*this)(text);
    }
    void operator()(const format::NumberArray& numbers) const {
      const bool whole = numbers.element != format::ValueType::kF32 && numbers.element != format::ValueType::kF64;
      for (std::size_t i = 0; i < numbers.count; ++i) {
        consumed.sum += numbers.number(i);
        if (whole) consumed.sum += static_cast<double>(numbers.integer(i));
      }
    }
    void operator()(std::uint64_t number) const { consumed.sum += static_cast<double>(number); }
    void operator()(std::int64_t number) const { consumed.sum += static_cast<double>(number); }
    void operator()(double number) const { consumed.sum += number; }
    void operator()(bool flag) const { consumed.sum += flag ? 1 : 0; }
  } read{consumed};
  std::visit(read, value);
}

/// Decodes every row of a tensor.
inline void consume_tensor(const format::TensorInfo& tensor, const weights::TensorCodec& codec, Consumed& consumed) {
  const auto cols = static_cast<std::size_t>(tensor.cols());
  const auto n_rows = static_cast<std::size_t>(tensor.n_elements / cols);
  std::vector<std::uint8_t> codes(codec.is_ternary() ? cols : 0);
  std::vector<float> values(cols);
  for (std::size_t row = 0; row < n_rows; ++row, ++consumed.n_rows) {
    if (codec.is_ternary()) {
      if (codec.unpack_row(tensor.data.data(), row, cols, codes.data()))
        consumed.sum += *std::max_element(codes.begin(), codes.end());
      codec.read_scales(tensor.data.data(), static_cast<std::size_t>(tensor.n_elements), row, cols, values.data());
    }
    codec.read_row(tensor.data.data(), static_cast<std::size_t>(tensor.n_elements), row, cols, values.data());
    consumed.sum += values[0];
  }
}

inline Consumed consume_gguf(std::span<const std::byte> file) {
  Consumed consumed;
  const format::Gguf gguf = format::parse_gguf(file, "file", weights::tensor_size);
  for (const auto& [key, value] : gguf.metadata.entries()) {
    consume_value(key, consumed);
    consume_value(value, consumed);
  }
  for (const format::TensorInfo& tensor : gguf.tensors) {
    const weights::TensorCodec& codec = *weights::find_codec(tensor.type);
    consume_tensor(tensor, codec, consumed);
    if (codec.gguf_type == weights::i2s_64_codec().gguf_type) {
      consume_tensor(tensor, weights::i2s_64_codec(), consumed);
    }
  }
  return consumed;
}

}  // namespace tern::test
