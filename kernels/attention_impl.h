#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/attention.h"
#include "kernels/float_group.h"

/// Attention, once, for any instruction set that has the vocabulary of float_group.h and besides
///   fma(a, b, c)        a * b + c, rounded once
///   from_i8(p)          a group of 16 bytes
///   kTileRows           rows of the largest product in registers, a power of two
///   kTileGroups         groups of sums that the registers hold
namespace tern::kernels {
namespace {

/// Calls body(0), body(1), ... body(n - 1) with constants: spelled out, so that arrays indexed by them stay in
/// registers.
template <std::size_t n, typename Body>
inline void for_constants(const Body& body) {
  [&]<std::size_t... i>(std::index_sequence<i...>) { (body(std::integral_constant<std::size_t, i>{}), ...); }
  (std::make_index_sequence<n>{});
}

template <typename Isa>
struct AttentionImpl {
  using Lanes = Group<Isa>;
  using Floats = Register<Isa>;

  static Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
    return map<Isa>([](Floats x, Floats y, Floats z) { return Isa::fma(x, y, z); }, a, b, c);
  }

  /// Factors of rows: queries, each where it is, and weights, side by side.
  template <std::size_t n_rows>
  struct Queries {
    const float* rows[n_rows];
    float operator()(std::size_t k, std::size_t row) const { return rows[row][k]; }
  };
  struct Weights {
    const float* p;
    float operator()(std::size_t k, std::size_t row) const { return p[row * kAttentionChunk + k]; }
  };

  /// Factors of lanes: group g of step k is at k * k_stride + g * group_stride, in elements.
  template <typename Element>
  struct Right {
    const Element* p;
    std::size_t k_stride;
    std::size_t group_stride;
    Lanes operator()(std::size_t k, std::size_t group) const {
      return load<Isa>(p + k * k_stride + group * group_stride, Whole{});
    }
  };

  /// n_rows * n_groups groups of sums in registers: finish(r, g, start(r, g) + sum over k < n of left(k, r) * right(k,
  /// g)), in the order of k. This is both products of attention: queries with keys, and weights with values.
  template <std::size_t n_rows, std::size_t n_groups, typename L, typename R, typename Start, typename Finish>
  static void multiply(const L& left, const R& right, std::size_t n, const Start& start, const Finish& finish) {
    Lanes sums[n_rows][n_groups];
    for_constants<n_rows>([&](auto r) { for_constants<n_groups>([&](auto g) { sums[r][g] = start(r, g); }); });
    for (std::size_t k = 0; k < n; ++k) {
      Lanes b[n_groups];
      for_constants<n_groups>([&](auto g) { b[g] = right(k, g); });
      for_constants<n_rows>([&](auto r) {
        const Lanes a = broadcast<Isa>(left(k, r));
        for_constants<n_groups>([&](auto g) { sums[r][g] = fma(a, b[g], sums[r][g]); });
      });
    }
    for_constants<n_rows>([&](auto r) { for_constants<n_groups>([&](auto g) { finish(r, g, sums[r][g]); }); });
  }

  /// Groups that a product of n_rows rows computes together.
  static constexpr std::size_t groups_for(std::size_t n_rows) {
    constexpr std::size_t kMost = 8;  // a head of 128 columns
    return Isa::kTileGroups / n_rows < kMost ? Isa::kTileGroups / n_rows : kMost;
  }

  /// Calls body(row, count) with constant counts until the rows below n are covered; the last call may go beyond n, up
  /// to a power of two, where rows are zeros.
  template <std::size_t count = Isa::kTileRows, typename Body>
  static void cover_rows(std::size_t row, std::size_t n, const Body& body) {
    for (; row + count / 2 < n; row += count) body(row, std::integral_constant<std::size_t, count>{});
    if constexpr (count > 1) cover_rows<count / 2>(row, n, body);
  }

  /// Calls body(group, count) with constant counts for groups 0 .. n - 1.
  template <std::size_t count, typename Body>
  static void cover_groups(std::size_t n, const Body& body) {
    std::size_t group = 0;
    for (; group + count <= n; group += count) body(group, std::integral_constant<std::size_t, count>{});
    for (; group < n; ++group) body(group, std::integral_constant<std::size_t, 1>{});
  }

  /// values times the scales at `index`, where there are scales.
  static Lanes scaled(const Lanes& values, const float* scales, std::size_t index) {
    return scales == nullptr ? values : values * load<Isa>(scales + index, Whole{});
  }

  /// weights[r][j] = queries[r] . keys[j] * scale for all positions that any row sees, in whole blocks.
  template <typename Element>
  static void score(const AttentionTile& in) {
    const std::size_t n_blocks = (in.n_visible[in.n_rows - 1] + kLanes - 1) / kLanes;
    const std::size_t block_size = in.head_dim * kLanes;  // elements
    const Element* keys = reinterpret_cast<const Element*>(in.keys);
    const Lanes scale = broadcast<Isa>(in.scale);
    cover_rows(0, in.n_rows, [&](std::size_t row, auto rows) {
      cover_groups<groups_for(rows)>(n_blocks, [&](std::size_t block, auto groups) {
        float* to = in.weights + row * kAttentionChunk + block * kLanes;
        const auto zero = [](auto, auto) { return broadcast<Isa>(0.0f); };
        for (std::size_t d = 0; d < in.head_dim; d += kAttentionSegment) {
          Queries<rows> left;
          for_constants<rows>([&](auto r) { left.rows[r] = in.queries[row + r] + d; });
          const Right<Element> right{keys + block * block_size + d * kLanes, kLanes, block_size};
          const std::size_t n = in.head_dim - d < kAttentionSegment ? in.head_dim - d : kAttentionSegment;
          const bool last = d + n == in.head_dim;
          multiply<rows, groups>(left, right, n, zero, [&](auto r, auto g, const Lanes& sums) {
            float* place = to + r * kAttentionChunk + g * kLanes;
            const Lanes total = d == 0 ? sums : load<Isa>(place, Whole{}) + sums;
            store(place, Whole{}, last ? scaled(total * scale, in.key_scales, (block + g) * kLanes) : total);
          });
        }
      });
    });
  }

  /// exp(x) for x <= 0, as the contract says; NaN gives NaN.
  static Floats weight(Floats x) {
    using C = ExpConstants;
    using Ints = xsimd::batch<std::int32_t, typename Isa::Arch>;
    const Floats floor(kAttentionFloor);
    const Floats clamped = Isa::larger(floor, x);
    const Floats shifted = Isa::fma(clamped, Floats(C::kLog2E), Floats(kRoundShift));
    const Floats n = shifted - Floats(kRoundShift);
    const Floats r = Isa::fma(n, Floats(-C::kLn2Low), Isa::fma(n, Floats(-C::kLn2High), clamped));
    Floats p = Isa::fma(Floats(C::kP4), r, Floats(C::kP3));
    p = Isa::fma(p, r, Floats(C::kP2));
    p = Isa::fma(p, r, Floats(C::kP1));
    p = Isa::fma(p, r, Floats(C::kP0));
    const Floats exp_r_minus_1 = Isa::fma(p, r * r, r);
    const Floats exp_r = Floats(1.0f) + exp_r_minus_1;
    // n is in the low bits of `shifted`, whose other bits the shift drops: 2^n, -126 <= n <= 0.
    const Ints power = (xsimd::bitwise_cast<Ints>(shifted) << 23) + xsimd::bitwise_cast<Ints>(Floats(1.0f));
    return xsimd::select(x < floor, Floats(0.0f), exp_r * xsimd::bitwise_cast<Floats>(power));
  }

  /// Gives the lanes past the first n of a group of scores the weight 0.
  static void hide_from(std::size_t n, float* scores) {
    static constexpr float kIndex[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const Floats end(static_cast<float>(n));
    const auto hide = [&](Floats score, Floats index) {
      return xsimd::select(index < end, score, Floats(-__builtin_inff()));
    };
    store(scores, Whole{}, map<Isa>(hide, load<Isa>(scores, Whole{}), load<Isa>(kIndex, Whole{})));
  }

  /// Scores of a row to weights: exp(score - max), times the scale of the position's values if they have one.
  static void weigh(const AttentionTile& in, std::size_t row) {
    const std::size_t n = in.n_visible[row];
    const std::size_t end = (n + kLanes - 1) / kLanes * kLanes;
    float* weights = in.weights + row * kAttentionChunk;
    if (n % kLanes != 0) hide_from(n % kLanes, weights + end - kLanes);
    Lanes best = broadcast<Isa>(-__builtin_inff());
    for (std::size_t i = 0; i < end; i += kLanes) {
      best = map<Isa>([](Floats v, Floats so_far) { return Isa::larger(v, so_far); }, load<Isa>(weights + i, Whole{}),
                      best);
    }
    in.part.max[row] = max_lane(best);
    const Lanes largest = broadcast<Isa>(in.part.max[row]);
    Lanes sums = broadcast<Isa>(0.0f);
    for (std::size_t i = 0; i < end; i += kLanes) {
      const Lanes exps = map<Isa>(weight, load<Isa>(weights + i, Whole{}) - largest);
      sums = sums + exps;
      store(weights + i, Whole{}, scaled(exps, in.value_scales, i));
    }
    in.part.sum[row] = Isa::sum(sums);
  }

  /// values[r][d] = sum over j of weights[r][j] * values[j][d]. Positions that all rows see are read once for all of
  /// them; the few that only later rows see follow row by row, so that no row ever touches what it may not see.
  template <typename Element>
  static void mix(const AttentionTile& in) {
    const std::size_t n_columns = value_dim(in.head_dim);
    const std::size_t n_shared = in.n_visible[0];
    const Element* values = reinterpret_cast<const Element*>(in.values);
    const auto accumulate = [&](std::size_t row, auto rows, std::size_t begin, std::size_t end, const auto& start) {
      cover_groups<groups_for(rows)>(n_columns / kLanes, [&](std::size_t group, auto groups) {
        const Weights left{in.weights + row * kAttentionChunk + begin};
        const Right<Element> right{values + begin * n_columns + group * kLanes, n_columns, kLanes};
        float* to = in.part.values + row * n_columns + group * kLanes;
        multiply<rows, groups>(
            left, right, end - begin, [&](auto r, auto g) { return start(to + r * n_columns + g * kLanes); },
            [&](auto r, auto g, const Lanes& sums) { store(to + r * n_columns + g * kLanes, Whole{}, sums); });
      });
    };
    cover_rows(0, in.n_rows, [&](std::size_t row, auto rows) {
      accumulate(row, rows, 0, n_shared, [](const float*) { return broadcast<Isa>(0.0f); });
    });
    for (std::size_t row = 1; row < in.n_rows; ++row) {
      if (in.n_visible[row] == n_shared) continue;
      accumulate(row, std::integral_constant<std::size_t, 1>{}, n_shared, in.n_visible[row],
                 [](const float* sums) { return load<Isa>(sums, Whole{}); });
    }
  }

  template <typename Element>
  static void attend(const AttentionTile& in) {
    score<Element>(in);
    for (std::size_t row = 0; row < in.n_rows; ++row) weigh(in, row);
    mix<Element>(in);
  }

  static void widen_i8(const std::int8_t* codes, std::size_t n, float* y) {
    for (std::size_t i = 0; i < n; i += kLanes) store(y + i, Whole{}, load<Isa>(codes + i, Whole{}));
  }

  /// weight(x - max) of one number.
  static float weight_of(float x, float max) {
    float lanes[kLanes];
    store(lanes, Whole{}, map<Isa>(weight, broadcast<Isa>(x - max)));
    return lanes[0];
  }

  static void merge(const AttentionPart& from, std::size_t row, std::size_t head_dim, const AttentionPart& into) {
    const float max = from.max[row] > into.max[row] ? from.max[row] : into.max[row];
    const float from_share = weight_of(from.max[row], max);
    const float into_share = weight_of(into.max[row], max);
    into.max[row] = max;
    into.sum[row] = from.sum[row] * from_share + into.sum[row] * into_share;
    const std::size_t n_columns = value_dim(head_dim);
    const float* x = from.values + row * n_columns;
    float* y = into.values + row * n_columns;
    for (std::size_t i = 0; i < n_columns; i += kLanes) {
      store(y + i, Whole{},
            load<Isa>(x + i, Whole{}) * broadcast<Isa>(from_share) +
                load<Isa>(y + i, Whole{}) * broadcast<Isa>(into_share));
    }
  }

  static void finish(const AttentionPart& part, std::size_t row, std::size_t head_dim, float* y) {
    const auto divide = [](Floats a, Floats b) { return Isa::divide(a, b); };  // rounds once
    const Lanes sum = broadcast<Isa>(part.sum[row]);
    const float* values = part.values + row * value_dim(head_dim);
    for_each_group(head_dim, [&](std::size_t i, auto lanes) {
      store(y + i, lanes, map<Isa>(divide, load<Isa>(values + i, Whole{}), sum));
    });
  }
};

/// The table of one instruction set.
template <typename Isa>
constexpr AttentionKernels make_attention_table(const char* name, tern::kernels::Isa isa) {
  using Impl = AttentionImpl<Isa>;
  return {
      .name = name,
      .isa = isa,
      .attend_f32 = Impl::template attend<float>,
      .attend_f16 = Impl::template attend<std::uint16_t>,
      .attend_i8 = Impl::template attend<std::int8_t>,
      .widen_i8 = Impl::widen_i8,
      .merge = Impl::merge,
      .finish = Impl::finish,
  };
}

}  // namespace
}  // namespace tern::kernels
