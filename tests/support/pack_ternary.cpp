#include "tests/support/pack_ternary.h"

#include <stdexcept>
#include <string>

#include "src/base/half.h"

namespace tern::test {
namespace {

using Bytes = std::vector<std::byte>;

template <typename T>
void append(Bytes& bytes, T value) {
  const auto* first = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), first, first + sizeof value);
}

/// Calls body(first code, scale) for every block of `n` elements.
template <typename Body>
void for_each_block(const TernaryWeights& w, std::size_t n, const Body& body) {
  for (std::size_t row = 0; row < w.rows; ++row) {
    for (std::size_t col = 0; col < w.cols; col += n) body(&w.codes[row * w.cols + col], w.scale(row, col));
  }
}

/// Four codes `stride` apart, the first in the lowest bits.
std::uint8_t two_bit_byte(const std::uint8_t* codes, std::size_t stride) {
  return static_cast<std::uint8_t>(codes[0] | codes[stride] << 2 | codes[2 * stride] << 4 | codes[3 * stride] << 6);
}

/// Digits `stride` apart as one base-3 fraction of 256, rounded up.
std::uint8_t base3_byte(const std::uint8_t* codes, std::size_t stride, std::size_t n_digits) {
  unsigned value = 0;
  for (std::size_t n = 0; n < 5; ++n) value = value * 3 + (n < n_digits ? codes[n * stride] : 0u);
  return static_cast<std::uint8_t>((value * 256 + 242) / 243);
}

Bytes pack_tq2_0(const TernaryWeights& w) {
  Bytes bytes;
  for_each_block(w, 256, [&](const std::uint8_t* codes, float scale) {
    for (std::size_t i = 0; i < 64; ++i) append(bytes, two_bit_byte(codes + i / 32 * 128 + i % 32, 32));
    append(bytes, f32_to_f16(scale));
  });
  return bytes;
}

/// TQ1_0 and PTQ1_0.
template <std::size_t n>
Bytes pack_base3(const TernaryWeights& w) {
  constexpr std::size_t kWide = n / 8, kMiddle = n / 16, kLast = n / 64;
  Bytes bytes;
  for_each_block(w, n, [&](const std::uint8_t* codes, float scale) {
    for (std::size_t m = 0; m < kWide; ++m) append(bytes, base3_byte(codes + m, kWide, 5));
    codes += 5 * kWide;
    for (std::size_t m = 0; m < kMiddle; ++m) append(bytes, base3_byte(codes + m, kMiddle, 5));
    codes += 5 * kMiddle;
    for (std::size_t m = 0; m < kLast; ++m) append(bytes, base3_byte(codes + m, kLast, 4));
    append(bytes, f32_to_f16(scale));
  });
  return bytes;
}

Bytes pack_i2_s(const TernaryWeights& w) {
  Bytes bytes;
  for (std::size_t i = 0; i < w.codes.size() / 4; ++i) {
    const std::uint8_t* first = &w.codes[i / 32 * 128 + i % 32];
    append(bytes, static_cast<std::uint8_t>(first[0] << 6 | first[32] << 4 | first[64] << 2 | first[96]));
  }
  append(bytes, w.scales.front());
  bytes.resize(bytes.size() + 28);
  return bytes;
}

Bytes pack_q1_0(const TernaryWeights& w) {
  Bytes bytes;
  for_each_block(w, 128, [&](const std::uint8_t* codes, float scale) {
    append(bytes, f32_to_f16(scale));
    for (std::size_t m = 0; m < 16; ++m) {
      unsigned byte = 0;
      for (unsigned i = 0; i < 8; ++i) {
        const std::uint8_t code = codes[8 * m + i];
        if (code == 1) throw std::runtime_error("tiny model: Q1_0 has no zeros");
        byte |= code / 2u << i;
      }
      append(bytes, static_cast<std::uint8_t>(byte));
    }
  });
  return bytes;
}

/// Q2_0 and PQ2_0.
template <std::size_t n>
Bytes pack_q2_0(const TernaryWeights& w) {
  Bytes bytes;
  for_each_block(w, n, [&](const std::uint8_t* codes, float scale) {
    append(bytes, f32_to_f16(scale));
    for (std::size_t m = 0; m < n / 4; ++m) append(bytes, two_bit_byte(codes + 4 * m, 1));
  });
  return bytes;
}

Bytes pack_iq1_bn(const TernaryWeights& w) {
  // The first digit counts least, the fifth most.
  const auto byte_of = [](const std::uint8_t* codes, std::size_t stride, std::size_t n) {
    unsigned value = 0;
    for (std::size_t i = n; i-- > 0;) value = value * 3 + codes[i * stride];
    return static_cast<std::uint8_t>((value * 256 + 242) / 243);
  };
  Bytes bytes;
  for (std::size_t row = 0; row < w.rows; ++row) {
    append(bytes, f32_to_f16(w.scale(row, 0)));
    for (std::size_t col = 0; col < w.cols; col += 64) {
      const std::uint8_t* codes = &w.codes[row * w.cols + col];
      for (std::size_t i = 0; i < 12; ++i) append(bytes, byte_of(codes + i / 3 * 16 + i % 3 * 5, 1, 5));
      append(bytes, byte_of(codes + 15, 16, 4));
    }
  }
  return bytes;
}

Bytes pack_iq2_bn(const TernaryWeights& w) {
  Bytes bytes;
  for (std::size_t row = 0; row < w.rows; ++row) {
    append(bytes, w.scale(row, 0));
    for (std::size_t i = 0; i < w.cols / 4; ++i) {
      append(bytes, two_bit_byte(&w.codes[row * w.cols + i / 16 * 64 + i % 16], 16));
    }
  }
  return bytes;
}

Bytes pack_iq2_bn_r4(const TernaryWeights& w) {
  Bytes bytes;
  for (std::size_t row = 0; row < w.rows; row += 4) {
    for (std::size_t r = 0; r < 4; ++r) append(bytes, w.scale(row + r, 0));
    for (std::size_t col = 0; col < w.cols; col += 16) {
      for (std::size_t i = 0; i < 16; ++i) {
        append(bytes, two_bit_byte(&w.codes[(row + i / 4) * w.cols + col + i % 4], 4));
      }
    }
  }
  return bytes;
}

Bytes pack_f16(const TernaryWeights& w) {
  Bytes bytes;
  for (std::size_t row = 0; row < w.rows; ++row) {
    for (std::size_t col = 0; col < w.cols; ++col) {
      append(bytes, f32_to_f16(static_cast<float>(w.code(row, col) - 1) * w.scale(row, col)));
    }
  }
  return bytes;
}

constexpr TernaryPacking kPackings[] = {
    {"TQ1_0", 34, 256, pack_base3<256>},   {"TQ2_0", 35, 256, pack_tq2_0},        {"I2_S", 36, 0, pack_i2_s},
    {"Q1_0", 41, 128, pack_q1_0},          {"Q2_0", 42, 64, pack_q2_0<64>},       {"Q2_0_128", 42, 128, pack_q2_0<128>},
    {"IQ1_BN", 134, 0, pack_iq1_bn},       {"IQ2_BN", 135, 0, pack_iq2_bn},       {"PQ2_0", 142, 128, pack_q2_0<128>},
    {"PTQ1_0", 143, 128, pack_base3<128>}, {"IQ2_BN_R4", 335, 0, pack_iq2_bn_r4}, {"F16", 1, 256, pack_f16}};

}  // namespace

const TernaryPacking& find_packing(std::string_view name) {
  for (const TernaryPacking& packing : kPackings) {
    if (packing.name == name) return packing;
  }
  throw std::runtime_error("tiny model: unknown type " + std::string(name));
}

}  // namespace tern::test
