#pragma once

#include <cstddef>
#include <cstdint>

#include "src/base/half.h"
#include "src/format/byte_reader.h"

namespace tern::weights {

/// TensorCodec::read_scales of types whose blocks of `elements` weights, `bytes` long, hold one f16 scale at
/// `scale_at`.
template <std::size_t elements, std::size_t bytes, std::size_t scale_at>
void read_block_scales(const std::byte* tensor, std::size_t /*n_elements*/, std::size_t row, std::size_t cols,
                       float* scales) {
  static_assert(scale_at + sizeof(std::uint16_t) <= bytes);
  const std::size_t n_blocks = cols / elements;
  const std::byte* block = tensor + row * n_blocks * bytes;
  for (std::size_t b = 0; b < n_blocks; ++b, block += bytes) {
    scales[b] = f16_to_f32(format::load<std::uint16_t>(block + scale_at));
  }
}

}  // namespace tern::weights
