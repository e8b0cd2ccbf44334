#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/weights/ternary_matrix.h"
#include "tests/support/consume_gguf.h"
#include "tests/support/plain_layout.h"

namespace tern::test {

/// Reads bytes as a tensor of four rows, with one codec, in every way that the engine does.
///
/// The first byte chooses the codec, the second the number of columns; the rest is the tensor's data, repeated from
/// its begin when there is too little. Throws tern::Error when the tensor is refused.
inline Consumed consume_codec(std::span<const std::byte> input) {
  Consumed consumed;
  if (input.size() < 3) return consumed;
  const auto codecs = weights::all_codecs();
  const std::size_t choice = std::to_integer<std::size_t>(input[0]) % (codecs.size() + 1);
  const weights::TensorCodec& codec = choice == codecs.size() ? weights::i2s_64_codec() : *codecs[choice];
  // Odd counts of half blocks: an I2_S row then begins inside a block.
  const std::uint64_t unit = codec.tensor_bytes != nullptr ? codec.block_elements / 2 : codec.block_elements;
  const std::uint64_t cols = unit * (1 + std::to_integer<std::uint64_t>(input[1]) % 5);

  format::TensorInfo tensor;
  tensor.name = "t";
  tensor.type = codec.gguf_type;
  constexpr std::size_t kRows = 4;
  tensor.dims = {cols, kRows, 1, 1};
  tensor.n_dims = 2;
  tensor.n_elements = kRows * cols;
  const std::uint64_t bytes =
      codec.tensor_bytes != nullptr ? codec.tensor_bytes(tensor.n_elements) : kRows * codec.row_bytes(cols);
  std::vector<std::byte> data(bytes);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = input[2 + i % (input.size() - 2)];
  tensor.data = data;

  consume_tensor(tensor, codec, consumed);
  if (!codec.is_ternary()) return consumed;
  weights::ScalePlan plan = weights::plan_scales("file", tensor, codec);
  std::vector<std::uint8_t> memory(weights::packed_bytes(kPlainLayout, kRows, cols, plan));
  const auto matrix = weights::make_ternary_matrix(kPlainLayout, kRows, cols, std::move(plan), memory);
  std::vector<std::uint8_t> scratch(weights::pack_scratch_bytes(matrix));
  if (!weights::pack_rows(tensor, codec, 0, kRows, matrix, scratch)) consumed.sum += memory[0];
  return consumed;
}

}  // namespace tern::test
