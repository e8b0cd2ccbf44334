// I2_S: two bits a weight, one scale for the whole tensor.
//
//   0      n / 4 bytes of codes: the tensor's n elements, row after row, in blocks
//   n / 4  f32 scale; value = (code - 1) * scale
//   + 4    28 bytes that mean nothing
//
// A block holds 4 * lanes elements in `lanes` bytes. Byte m of a block:
//
//   bits  7 6        5 4              3 2                  1 0
//         element m  element lanes+m  element 2 * lanes+m  element 3 * lanes+m
//
// with 32 lanes in files written on x86 and by the Python converters, 16 in those written by tools built for ARM; a
// file does not say which. Blocks follow the flat stream of elements, so a row may begin inside one.

#include <algorithm>

#include "src/format/byte_reader.h"
#include "src/weights/codecs.h"
#include "src/weights/two_bit.h"

namespace tern::weights {
namespace {

constexpr std::size_t kTailBytes = 32;  // the scale and what follows it

std::uint64_t tensor_bytes(std::uint64_t n_elements) { return n_elements / 4 + kTailBytes; }

/// A row that begins and ends with a block.
template <std::size_t kLanes>
bool unpack_whole_blocks(const std::uint8_t* bytes, std::size_t cols, std::uint8_t* codes) {
  std::uint8_t threes = 0;
  for (std::size_t c = 0; c < cols; c += 4 * kLanes) {
    threes |= spread_codes<BitOrder::kHighFirst, kLanes>(bytes + c / 4, codes + c);
  }
  return threes == 0;
}

/// Any row: runs of elements that share a bit position.
template <std::size_t kLanes>
bool unpack_runs(const std::uint8_t* bytes, std::size_t first, std::size_t cols, std::uint8_t* codes) {
  std::uint8_t threes = 0;
  for (std::size_t done = 0; done < cols;) {
    const std::size_t element = first + done;  // in the whole tensor
    const std::size_t lane = element % kLanes;
    const std::size_t shift = 6 - 2 * (element / kLanes % 4);
    const std::size_t run = std::min(kLanes - lane, cols - done);
    const std::uint8_t* from = bytes + element / (4 * kLanes) * kLanes + lane;
    for (std::size_t i = 0; i < run; ++i) {
      const auto code = static_cast<std::uint8_t>(from[i] >> shift & 3);
      threes |= static_cast<std::uint8_t>(code & code >> 1);
      codes[done + i] = code;
    }
    done += run;
  }
  return threes == 0;
}

template <std::size_t kLanes>
bool unpack_row(const std::byte* tensor, std::size_t row, std::size_t cols, std::uint8_t* codes) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(tensor);
  if (cols % (4 * kLanes) == 0) return unpack_whole_blocks<kLanes>(bytes + row * (cols / 4), cols, codes);
  return unpack_runs<kLanes>(bytes, row * cols, cols, codes);
}

void read_scale(const std::byte* tensor, std::size_t n_elements, std::size_t, std::size_t, float* scale) {
  *scale = format::load<float>(tensor + n_elements / 4);
}

template <std::size_t kLanes>
void pack_row(const std::uint8_t* codes, const float* /*scales*/, std::size_t cols, std::byte* row) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(row);
  for (std::size_t c = 0; c < cols; c += 4 * kLanes) {
    gather_codes<BitOrder::kHighFirst, kLanes>(codes + c, bytes + c / 4);
  }
}

std::vector<std::byte> pack_tail(float scale) {
  std::vector<std::byte> tail(kTailBytes);
  format::store(tail.data(), scale);
  return tail;
}

template <std::size_t kLanes>
constexpr TensorCodec make_codec() {
  return {.name = "I2_S",
          .gguf_type = 36,
          .block_elements = 4 * kLanes,
          .block_bytes = kLanes,
          .tensor_bytes = tensor_bytes,
          .unpack_row = unpack_row<kLanes>,
          .scale_elements = 0,
          .read_scales = read_scale,
          .pack_row = pack_row<kLanes>,
          .pack_tail = pack_tail};
}

}  // namespace

constexpr TensorCodec kI2s = make_codec<32>();
constexpr TensorCodec kI2s64 = make_codec<16>();

}  // namespace tern::weights
