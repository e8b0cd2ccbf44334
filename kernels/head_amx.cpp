// The output head for AMX: `tdpbusd` multiplies 16 rows of weights with 16 tokens, 64 columns at a time, as the rows
// lie in memory. For a few tokens memory is what takes the time, and AVX-512 VNNI reads it in longer runs.
#include "kernels/block_ahead.h"
#include "kernels/dot_amx_tiles.h"
#include "kernels/head_tables.h"
#include "kernels/head_vnni512.h"

namespace tern::kernels {
namespace {

constexpr std::size_t kMinTokens = 5;  // see above; measured
constexpr std::size_t kGroup = amx::kTileTokens;

// The operand of many tokens, in groups of 16; tokens that do not exist leave their place as it is:
//
//     group        | 16 headers | columns 0-63 | columns 64-127 | ...
//     64 columns   | high | low |                     tiles of 1 KB, the planes of head_planes.h
//     tile         line l: columns 4l .. 4l + 3 of token 0, of token 1, ...
constexpr std::size_t kHeadersBytes = kGroup * sizeof(HiddenHeader);
static_assert(kHeadersBytes % 64 == 0);
constexpr std::size_t kLineCols = 4;
constexpr std::size_t kBlockBytes = 2 * amx::kTileBytes;  // of 64 columns

std::size_t group_bytes(std::size_t cols) { return kHeadersBytes + padded_cols(cols) / amx::kTileCols * kBlockBytes; }

std::size_t amx_operand_bytes(std::size_t n_tokens, std::size_t cols) {
  if (n_tokens < kMinTokens) return operand_bytes(n_tokens, cols);
  return (n_tokens + kGroup - 1) / kGroup * group_bytes(cols);
}

/// Spreads 64 bytes over the lines of a tile.
void store_token(const std::uint8_t* bytes, std::uint8_t* tile, std::size_t token) {
  for (std::size_t line = 0; line < amx::kTileCols / kLineCols; ++line) {
    std::memcpy(tile + line * amx::kLineBytes + token * kLineCols, bytes + line * kLineCols, kLineCols);
  }
}

void amx_quantize_hidden(const float* h, std::size_t cols, HeadToken token, std::uint8_t* operand) {
  if (token.count < kMinTokens) return quantize_hidden<Avx512Vnni>(h, cols, token, operand);
  constexpr std::size_t n = amx::kTileCols;
  std::uint8_t* group = operand + token.index / kGroup * group_bytes(cols);
  const std::size_t place = token.index % kGroup;
  const auto store = [&](std::size_t begin, const std::int32_t(&x)[n]) {
    std::uint8_t planes[2 * n];
    HeadPlanes::pack(x, planes);
    std::uint8_t* block = group + kHeadersBytes + begin / n * kBlockBytes;
    store_token(planes, block, place);
    store_token(planes + n, block + amx::kTileBytes, place);
  };
  const HiddenHeader header = quantize_columns<n>(h, cols, store);
  std::memcpy(group + place * sizeof header, &header, sizeof header);
}

/// Up to two tiles of rows: registers 0 to 3 hold their sums of both planes, 4 and 5 weights, 6 and 7 planes.
constexpr std::size_t kSliceRows = 2 * amx::kTileRows;

amx::TileLines lines_for(std::size_t n_rows) {
  const auto first = static_cast<std::uint8_t>(n_rows < amx::kTileRows ? n_rows : amx::kTileRows);
  const auto second =
      static_cast<std::uint8_t>(n_rows > amx::kTileRows ? n_rows - amx::kTileRows : 1);  // not used at 1
  constexpr std::uint8_t kAll = amx::kTileTokens;
  return {{first, first, second, second, first, second, kAll, kAll}};
}

template <int kSums, int kW, int kX>
inline void multiply_add_unsigned() {
  asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kW), "i"(kX));
}

template <int kSums>
inline void clear() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kSums));
}

/// The exact sums of a slice: (row, token), a plane each.
struct SliceSums {
  alignas(64) std::int32_t high[kSliceRows][kGroup];
  alignas(64) std::int32_t low[kSliceRows][kGroup];
};

/// Rows `row` .. row + n_rows - 1 times one group of tokens. `has_second`: more than 16 rows.
void sum_slice(const HeadProduct& p, std::size_t row, bool has_second, const std::uint8_t* group, SliceSums& sums) {
  const std::uint8_t* rows = p.rows + row * p.stride;
  const std::uint8_t* x = group + kHeadersBytes;
  BlockAhead next_slice(rows, kSliceRows * p.stride);
  clear<0>();
  clear<1>();
  clear<2>();
  clear<3>();
  for (std::size_t c = 0; c < padded_cols(p.cols); c += amx::kTileCols, x += kBlockBytes) {
    for (std::size_t i = 0; i < kSliceRows / BlockAhead::kRuns; ++i) next_slice.fetch();
    amx::load<6>(x);
    amx::load<4>(rows + c, p.stride);
    multiply_add_unsigned<0, 4, 6>();
    amx::load<7>(x + amx::kTileBytes);
    multiply_add_unsigned<1, 4, 7>();
    if (!has_second) continue;
    amx::load<5>(rows + amx::kTileRows * p.stride + c, p.stride);
    multiply_add_unsigned<2, 5, 6>();
    multiply_add_unsigned<3, 5, 7>();
  }
  amx::store<0>(sums.high, amx::kLineBytes);
  amx::store<1>(sums.low, amx::kLineBytes);
  if (!has_second) return;
  amx::store<2>(sums.high[amx::kTileRows], amx::kLineBytes);
  amx::store<3>(sums.low[amx::kTileRows], amx::kLineBytes);
}

/// Some rows of some tokens of one group.
struct LogitsTile {
  std::size_t row, n_rows;
  std::size_t token, n_tokens;
};

/// One row's logits of 16 tokens. offsets, steps: (16)
inline __m512 logits_of(const SliceSums& sums, std::size_t row, double scale, const double* offsets,
                        const double* steps) {
  // Whole numbers below 2^53: exact.
  const auto eight = [&](std::size_t t) {
    const auto load = [&](const std::int32_t* p) {
      return _mm512_cvtepi32_pd(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
    };
    const __m512d high = _mm512_mul_pd(load(sums.high[row] + t), _mm512_set1_pd(128.0));
    const __m512d sum = _mm512_sub_pd(_mm512_add_pd(high, load(sums.low[row] + t)), _mm512_load_pd(offsets + t));
    return _mm512_cvtpd_ps(_mm512_mul_pd(sum, _mm512_mul_pd(_mm512_set1_pd(scale), _mm512_load_pd(steps + t))));
  };
  return _mm512_insertf32x8(_mm512_castps256_ps512(eight(0)), eight(8), 1);
}

void store_logits(const HeadProduct& p, const LogitsTile& tile, const std::uint8_t* group, const SliceSums& sums) {
  alignas(64) double offsets[kGroup] = {};
  alignas(64) double steps[kGroup] = {};
  for (std::size_t t = 0; t < tile.n_tokens; ++t) {
    HiddenHeader header;
    std::memcpy(&header, group + t * sizeof header, sizeof header);
    offsets[t] = static_cast<double>(header.offset);
    steps[t] = header.step;
  }
  alignas(64) float logits[kSliceRows][kGroup];
  for (std::size_t r = 0; r < tile.n_rows; ++r) {
    _mm512_store_ps(logits[r], logits_of(sums, r, p.scales[tile.row + r], offsets, steps));
  }
  for (std::size_t t = 0; t < tile.n_tokens; ++t) {
    float* y = p.y + (tile.token + t) * p.y_stride + tile.row;
    for (std::size_t r = 0; r < tile.n_rows; ++r) y[r] = logits[r][t];
  }
}

/// All rows in slices, the last of which may be shorter; all tokens pass a slice while it is near.
void amx_multiply(const HeadProduct& p) {
  if (p.n_tokens < kMinTokens) return multiply<Avx512Vnni>(p);
  SliceSums sums;
  for (std::size_t row = p.row_begin; row < p.row_end; row += kSliceRows) {
    const std::size_t n_rows = p.row_end - row < kSliceRows ? p.row_end - row : kSliceRows;
    const amx::TileRegisters registers(lines_for(n_rows));
    for (std::size_t t = 0; t < p.n_tokens; t += kGroup) {
      const std::uint8_t* group = p.operand + t / kGroup * group_bytes(p.cols);
      sum_slice(p, row, n_rows > amx::kTileRows, group, sums);
      const std::size_t n_tokens = p.n_tokens - t < kGroup ? p.n_tokens - t : kGroup;
      store_logits(p, {row, n_rows, t, n_tokens}, group, sums);
    }
  }
}

constexpr HeadKernels make_amx_table() {
  HeadKernels table = make_head_table<Avx512Vnni>("head-amx", Isa::kAmx);
  table.operand_bytes = amx_operand_bytes;
  table.quantize_hidden = amx_quantize_hidden;
  table.multiply = amx_multiply;
  return table;
}

}  // namespace

constinit const HeadKernels kHeadAmx = make_amx_table();

}  // namespace tern::kernels
