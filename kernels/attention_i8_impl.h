#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention_impl.h"

/// Attention over keys and values of 8 bits, for any instruction set that has the vocabulary of attention_impl.h and a
/// struct with
///   Codes, load(p)           16 pairs of codes, from 32 bytes
///   Factors, broadcast(p)    a pair of 16-bit integers, for all lanes
///   Sums, zero()             16 lanes of 32-bit integers
///   add(sums, codes, factors)   adds both products of lane i's pair to lane i
///   to_floats(sums)          a group
///   to_i16(group, p)         16 floats in [-32767, 32767] to integers, to nearest even
///   kTileRows, kTileGroups   as in attention_impl.h
namespace tern::kernels {
namespace {

template <typename Isa, typename Pairs>
struct AttentionI8 {
  using FloatImpl = AttentionImpl<Isa>;
  using Lanes = Group<Isa>;
  using Floats = Register<Isa>;
  using Sums = typename Pairs::Sums;

  static constexpr std::size_t kPairBytes = 2 * kLanes;  // of a group of 16 lanes

  /// A tile with the integers of its rows: first their queries, then their weights.
  struct Rows {
    const AttentionTile& in;
    std::int16_t* integers;        // (kAttentionRows, stride)
    std::size_t stride;            // elements
    float values[kAttentionRows];  // real value of the product of an integer and a code of scale 1
    std::size_t n_seen;            // positions that any row sees
  };

  /// Codes of lanes: group g of pair k is at k * step + g * group_stride, in bytes.
  struct Right {
    const std::int8_t* p;
    std::size_t step;
    std::size_t group_stride;
  };

  /// What the next phase of this or the next chunk reads, asked for while this one computes.
  struct Ahead {
    const std::uint8_t* p;
    bool wanted;

    /// As many bytes as a step of a product reads.
    template <std::size_t n_groups>
    void prefetch() {
      for (std::size_t i = 0; i < n_groups * kPairBytes; i += kCacheLine) __builtin_prefetch(p + i, 0, 2);
      p += n_groups * kPairBytes;
    }
  };

  /// The larger of a and b; b where a is NaN.
  static Lanes larger(const Lanes& a, const Lanes& b) {
    return map<Isa>([](Floats x, Floats y) { return Isa::larger(x, y); }, a, b);
  }
  static Lanes smaller(const Lanes& a, const Lanes& b) {
    return map<Isa>([](Floats x, Floats y) { return Isa::smaller(x, y); }, a, b);
  }

  /// body(r, g, sum over k < n_pairs of the pairs left(r, k) * right(g, k)), for rows and groups of a tile.
  template <std::size_t n_rows, std::size_t n_groups, typename Body>
  static void for_products(const std::int16_t* left, std::size_t stride, Right right, std::size_t n_pairs, Ahead ahead,
                           const Body& body) {
    Sums sums[n_rows][n_groups];
    for_constants<n_rows>([&](auto r) { for_constants<n_groups>([&](auto g) { sums[r][g] = Pairs::zero(); }); });
    for (std::size_t k = 0; k < n_pairs; ++k) {
      if (ahead.wanted) ahead.template prefetch<n_groups>();
      typename Pairs::Codes codes[n_groups];
      for_constants<n_groups>([&](auto g) { codes[g] = Pairs::load(right.p + g * right.group_stride); });
      for_constants<n_rows>([&](auto r) {
        const typename Pairs::Factors factors = Pairs::broadcast(left + r * stride);
        for_constants<n_groups>([&](auto g) { Pairs::add(sums[r][g], codes[g], factors); });
      });
      left += 2;
      right.p += right.step;
    }
    for_constants<n_rows>(
        [&](auto r) { for_constants<n_groups>([&](auto g) { body(r, g, Pairs::to_floats(sums[r][g])); }); });
  }

  /// Integers of a query, zeros up to value_dim; returns the value of one step.
  static float round_query(const float* query, std::size_t head_dim, std::int16_t* integers) {
    Lanes largest = broadcast<Isa>(kAttentionQuantFloor);
    for_each_group(head_dim, [&](std::size_t i, auto lanes) {
      const Lanes x = load<Isa>(query + i, lanes, 0.0f);
      largest = larger(map<Isa>([](Floats v) { return xsimd::abs(v); }, x), largest);
    });
    float max = max_lane(largest);
    max = max < kMaxFloat ? max : kMaxFloat;
    const auto limit = static_cast<float>(attention_max_query(head_dim));
    const Lanes scale = broadcast<Isa>(limit / max);
    for_each_group(head_dim, [&](std::size_t i, auto lanes) {
      const auto or_zero = [](Floats v) { return xsimd::select(v == v, v, Floats(0.0f)); };
      const Lanes x = map<Isa>(or_zero, load<Isa>(query + i, lanes, 0.0f)) * scale;
      Pairs::to_i16(larger(smaller(x, broadcast<Isa>(limit)), broadcast<Isa>(-limit)), integers + i);
    });
    return max / limit;
  }

  /// in.scratch[r][j] = scores of all positions that any row sees, in whole blocks.
  static void score(Rows& rows) {
    const AttentionTile& in = rows.in;
    for (std::size_t r = 0; r < rows_covered<Pairs::kTileRows>(in.n_rows); ++r) {
      rows.values[r] = round_query(in.queries[r], in.head_dim, rows.integers + r * rows.stride) * in.scale;
    }
    const std::size_t block_size = i8_key_dim(in.head_dim) * kLanes;  // bytes
    const auto* keys = reinterpret_cast<const std::int8_t*>(in.keys);
    const std::size_t n_blocks = (rows.n_seen + kLanes - 1) / kLanes;
    cover_rows<Pairs::kTileRows>(0, in.n_rows, [&](std::size_t row, auto n_rows) {
      cover_groups<groups_for(n_rows, Pairs::kTileGroups)>(n_blocks, [&](std::size_t block, auto n_groups) {
        const Right right{keys + block * block_size, kPairBytes, block_size};
        const Ahead values{in.values + block * kLanes * value_dim(in.head_dim), row == 0};
        for_products<n_rows, n_groups>(
            rows.integers + row * rows.stride, rows.stride, right, block_size / kPairBytes, values,
            [&](std::size_t r, std::size_t g, const Lanes& sums) {
              const std::size_t j = (block + g) * kLanes;
              store(FloatImpl::weights_of(in, row + r) + j, Whole{},
                    sums * broadcast<Isa>(rows.values[row + r]) * load<Isa>(in.key_scales + j, Whole{}));
            });
      });
    });
  }

  /// Integers of the exponentials of a row times the scales of the values; zeros for what only other rows see.
  static void round_weights(Rows& rows, std::size_t row) {
    const AttentionTile& in = rows.in;
    const float* exps = FloatImpl::weights_of(in, row);
    std::int16_t* integers = rows.integers + row * rows.stride;
    const std::size_t end = row < in.n_rows ? in.n_visible[row] : 0;
    const auto weights = [&](std::size_t j) {
      return load<Isa>(exps + j, Whole{}) * load<Isa>(in.value_scales + j, Whole{});
    };
    Lanes largest = broadcast<Isa>(kAttentionQuantFloor);
    for (std::size_t j = 0; j < end; j += kLanes) largest = larger(weights(j), largest);
    const float max = max_lane(largest);
    const auto limit = static_cast<float>(kAttentionMaxWeight);
    const Lanes scale = broadcast<Isa>(limit / max);
    for (std::size_t j = 0; j < rows.n_seen; j += kLanes) {
      // NaN as 0. The largest weight may come out a little above the limit.
      const Lanes scaled = j < end ? larger(weights(j) * scale, broadcast<Isa>(0.0f)) : broadcast<Isa>(0.0f);
      Pairs::to_i16(smaller(scaled, broadcast<Isa>(limit)), integers + j);
    }
    rows.values[row] = max / limit;
  }

  /// Results of all rows, from all positions that any row sees.
  static void mix(const Rows& rows) {
    const AttentionTile& in = rows.in;
    const std::size_t n_columns = value_dim(in.head_dim);
    const std::size_t n_pairs = (rows.n_seen + 1) / 2;
    const auto* values = reinterpret_cast<const std::int8_t*>(in.values);
    // The keys of the next chunk, if this thread takes it, lie right after those of this one.
    const std::uint8_t* next_keys = in.keys + kAttentionChunk * i8_key_dim(in.head_dim);
    cover_rows<Pairs::kTileRows>(0, in.n_rows, [&](std::size_t row, auto n_rows) {
      cover_groups<groups_for(n_rows, Pairs::kTileGroups)>(n_columns / kLanes, [&](std::size_t group, auto n_groups) {
        const Right right{values + group * kPairBytes, 2 * n_columns, kPairBytes};
        const Ahead next{next_keys + group * kPairBytes * n_pairs, row == 0 && rows.n_seen == kAttentionChunk};
        for_products<n_rows, n_groups>(rows.integers + row * rows.stride, rows.stride, right, n_pairs, next,
                                       [&](std::size_t r, std::size_t g, const Lanes& sums) {
                                         store(in.part.values + (row + r) * n_columns + (group + g) * kLanes, Whole{},
                                               sums * broadcast<Isa>(rows.values[row + r]));
                                       });
      });
    });
  }

  static void attend(const AttentionTile& in) {
    auto* integers = reinterpret_cast<std::int16_t*>(in.scratch + kAttentionRows * kAttentionChunk);
    Rows rows{in, integers, value_dim(in.head_dim), {}, in.n_visible[in.n_rows - 1]};
    score(rows);
    rows.stride = kAttentionChunk;
    for (std::size_t row = 0; row < rows_covered<Pairs::kTileRows>(in.n_rows); ++row) {
      if (row < in.n_rows && in.n_visible[row] > 0) FloatImpl::weigh(in, row);
      round_weights(rows, row);
    }
    mix(rows);
  }
};

/// The table of one instruction set.
template <typename Isa, typename Pairs>
constexpr AttentionKernels make_attention_table(const char* name, tern::kernels::Isa isa) {
  using Impl = AttentionImpl<Isa>;
  return {
      .name = name,
      .isa = isa,
      .attend_f32 = Impl::template attend<float>,
      .attend_f16 = Impl::template attend<std::uint16_t>,
      .attend_i8 = AttentionI8<Isa, Pairs>::attend,
      .merge = Impl::merge,
      .finish = Impl::finish,
  };
}

}  // namespace
}  // namespace tern::kernels
