#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention_impl.h"

/// Attention over keys and values of 8 bits, for any instruction set that has the vocabulary of attention_impl.h and a
/// struct with
///   Codes, load(p)             16 pairs of codes, from 32 bytes
///   Factors, broadcast(p)      a pair of 16-bit integers, for all lanes
///   Sums, zero()               16 lanes of 32-bit integers
///   add(sums, codes, factors)  adds both products of lane i's pair to lane i
///   to_floats(sums)            a group
///   to_i16(group, p)           16 floats in [-32767, 32767] to integers, to nearest even
///   kTileRows, kTileGroups     as in attention_impl.h
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

  static Lanes larger(const Lanes& a, const Lanes& b) { return FloatImpl::larger(a, b); }
  static Lanes smaller(const Lanes& a, const Lanes& b) {
    return map<Isa>([](Floats x, Floats y) { return Isa::smaller(x, y); }, a, b);
  }

  /// body(r, g, sum over k < n_pairs of the pairs left(r, k) * right(g, k)), for rows and groups of a tile.
  template <std::size_t n_rows, std::size_t n_groups, typename Body>
  static void for_products(const std::int16_t* left, std::size_t stride, Right right, std::size_t n_pairs, Ahead& asked,
                           const Body& body) {
    Sums sums[n_rows][n_groups];
    for_constants<n_rows>([&](auto r) { for_constants<n_groups>([&](auto g) { sums[r][g] = Pairs::zero(); }); });
    Ahead ahead = asked;  // in registers
    for (std::size_t k = 0; k < n_pairs; ++k) {
      ahead.prefetch<lines_of(n_groups * kPairBytes)>();
      typename Pairs::Codes codes[n_groups];
      for_constants<n_groups>([&](auto g) { codes[g] = Pairs::load(right.p + g * right.group_stride); });
      for_constants<n_rows>([&](auto r) {
        const typename Pairs::Factors factors = Pairs::broadcast(left + r * stride);
        for_constants<n_groups>([&](auto g) { Pairs::add(sums[r][g], codes[g], factors); });
      });
      left += 2;
      right.p += right.step;
    }
    asked = ahead;
    for_constants<n_rows>(
        [&](auto r) { for_constants<n_groups>([&](auto g) { body(r, g, Pairs::to_floats(sums[r][g])); }); });
  }

  /// Integers of n_rows queries, zeros up to value_dim.
  template <std::size_t n_rows>
  static void round_queries(Rows& rows, std::size_t row) {
    const std::size_t head_dim = rows.in.head_dim;
    const float* const* queries = rows.in.queries + row;
    Lanes largest[n_rows], scale[n_rows];
    for_constants<n_rows>([&](auto r) { largest[r] = broadcast<Isa>(kAttentionQuantFloor); });
    for_each_group(head_dim, [&](std::size_t i, auto lanes) {
      for_constants<n_rows>([&](auto r) {
        const Lanes x = load<Isa>(queries[r] + i, lanes, 0.0f);
        largest[r] = larger(map<Isa>([](Floats v) { return xsimd::abs(v); }, x), largest[r]);
      });
    });
    const auto limit = static_cast<float>(attention_max_query(head_dim));
    for_constants<n_rows>([&](auto r) {
      float max = max_lane(largest[r]);
      max = max < kMaxFloat ? max : kMaxFloat;
      scale[r] = broadcast<Isa>(limit / max);
      rows.values[row + r] = max / limit * rows.in.scale;
    });
    for_each_group(head_dim, [&](std::size_t i, auto lanes) {
      for_constants<n_rows>([&](auto r) {
        const auto or_zero = [](Floats v) { return xsimd::select(v == v, v, Floats(0.0f)); };
        const Lanes x = map<Isa>(or_zero, load<Isa>(queries[r] + i, lanes, 0.0f)) * scale[r];
        const Lanes bounded = larger(smaller(x, broadcast<Isa>(limit)), broadcast<Isa>(-limit));
        Pairs::to_i16(bounded, rows.integers + (row + r) * rows.stride + i);
      });
    });
  }

  /// Scores of all positions that any row sees, in whole blocks, into the place of the weights.
  static void score(Rows& rows) {
    const AttentionTile& in = rows.in;
    const std::size_t block_size = i8_key_dim(in.head_dim) * kLanes;  // bytes
    const auto* keys = reinterpret_cast<const std::int8_t*>(in.keys);
    const std::size_t n_blocks = FloatImpl::round_up(rows.n_seen) / kLanes;
    Ahead values(in.values, rows.n_seen * value_dim(in.head_dim));
    cover_rows<Pairs::kTileRows>(0, in.n_rows, [&](std::size_t row, auto n_rows) {
      round_queries<n_rows>(rows, row);
      cover_groups<groups_for(n_rows, Pairs::kTileGroups)>(n_blocks, [&](std::size_t block, auto n_groups) {
        const Right right{keys + block * block_size, kPairBytes, block_size};
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

  /// Integers of the exponentials of n_rows rows, times the scales of the values.
  template <std::size_t n_rows>
  static void round_weights(Rows& rows, std::size_t row) {
    const float* exps = FloatImpl::weights_of(rows.in, row);
    const auto weights = [&](std::size_t r, std::size_t j) {
      return load<Isa>(exps + r * kAttentionChunk + j, Whole{}) * load<Isa>(rows.in.value_scales + j, Whole{});
    };
    Lanes largest[n_rows], scale[n_rows];
    for_constants<n_rows>([&](auto r) { largest[r] = broadcast<Isa>(kAttentionQuantFloor); });
    for (std::size_t j = 0; j < rows.n_seen; j += kLanes) {
      for_constants<n_rows>([&](auto r) { largest[r] = larger(weights(r, j), largest[r]); });
    }
    constexpr auto kLimit = static_cast<float>(kAttentionMaxWeight);
    for_constants<n_rows>([&](auto r) {
      const float max = max_lane(largest[r]);
      scale[r] = broadcast<Isa>(kLimit / max);
      rows.values[row + r] = max / kLimit;
    });
    for (std::size_t j = 0; j < rows.n_seen; j += kLanes) {
      for_constants<n_rows>([&](auto r) {
        const Lanes bounded = larger(weights(r, j) * scale[r], broadcast<Isa>(0.0f));  // NaN as 0
        Pairs::to_i16(bounded, rows.integers + (row + r) * rows.stride + j);
      });
    }
  }

  /// Results of all rows, from all positions that any row sees.
  static void mix(const Rows& rows) {
    const AttentionTile& in = rows.in;
    const std::size_t n_columns = value_dim(in.head_dim);
    const std::size_t n_pairs = (rows.n_seen + 1) / 2;
    const auto* values = reinterpret_cast<const std::int8_t*>(in.values);
    // The keys of the next chunk, if there is one and this thread takes it, lie right after those of this one.
    const std::size_t chunk_size = kAttentionChunk * i8_key_dim(in.head_dim);  // bytes
    Ahead next_keys(in.keys + chunk_size, rows.n_seen == kAttentionChunk ? chunk_size : 0);
    cover_rows<Pairs::kTileRows>(0, in.n_rows, [&](std::size_t row, auto n_rows) {
      cover_groups<groups_for(n_rows, Pairs::kTileGroups)>(n_columns / kLanes, [&](std::size_t group, auto n_groups) {
        const Right right{values + group * kPairBytes, 2 * n_columns, kPairBytes};
        for_products<n_rows, n_groups>(rows.integers + row * rows.stride, rows.stride, right, n_pairs, next_keys,
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
    cover_rows<Pairs::kTileRows>(0, in.n_rows, [&](std::size_t row, auto n_rows) {
      FloatImpl::template weigh<n_rows>(in, row);
      round_weights<n_rows>(rows, row);
    });
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
