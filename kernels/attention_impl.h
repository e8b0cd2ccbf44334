#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"
#include "kernels/attention_tiles.h"
#include "kernels/float_group.h"

/// Attention over floats and halves, once, for any instruction set that has the vocabulary of float_group.h and besides
///   fma(a, b, c)        a * b + c, rounded once
///   kTileRows           rows of the largest product in registers, a power of two
///   kTileGroups         groups of sums that the registers hold
namespace tern::kernels {
namespace {

template <typename Isa>
struct AttentionImpl {
  using Lanes = Group<Isa>;
  using Floats = Register<Isa>;

  static Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
    return map<Isa>([](Floats x, Floats y, Floats z) { return Isa::fma(x, y, z); }, a, b, c);
  }

  /// The larger of a and b; b where a is NaN.
  static Lanes larger(const Lanes& a, const Lanes& b) {
    return map<Isa>([](Floats x, Floats y) { return Isa::larger(x, y); }, a, b);
  }

  static constexpr std::size_t round_up(std::size_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

  /// Factors of rows: factor k of a row is at k * kStep + row * kRowStride.
  struct Queries {
    static constexpr std::size_t kStep = kAttentionRows;
    static constexpr std::size_t kRowStride = 1;
    const float* p;
  };
  struct Weights {
    static constexpr std::size_t kStep = 1;
    static constexpr std::size_t kRowStride = kAttentionChunk;
    const float* p;
  };

  /// Factors of lanes: group g of factor k is at k * step + g * group_stride, in elements.
  template <typename Element>
  struct Right {
    const Element* p;
    std::size_t step;
    std::size_t group_stride;
  };

  /// (rows, groups of 16) of sums in memory.
  struct Sums {
    float* p;
    std::size_t row_stride;
  };

  /// sums[r][g] += sum over k < n of left(k, r) * right(k, g), the products added up in the order of k. This is both
  /// products of attention: queries with keys, and weights with values.
  template <std::size_t n_rows, std::size_t n_groups, typename L, typename Element>
  static void add_products(L left, Right<Element> right, std::size_t n, Ahead& asked, Sums sums) {
    Lanes segment[n_rows][n_groups];
    for_constants<n_rows>(
        [&](auto r) { for_constants<n_groups>([&](auto g) { segment[r][g] = broadcast<Isa>(0.0f); }); });
    Ahead ahead = asked;  // in registers
    for (std::size_t k = 0; k < n; ++k) {
      // Not for floats: those of a prompt were just widened into the cache.
      if constexpr (sizeof(Element) < sizeof(float)) {
        ahead.prefetch<lines_of(n_groups * kLanes * sizeof(Element))>();
      }
      Lanes b[n_groups];
      for_constants<n_groups>([&](auto g) { b[g] = load<Isa>(right.p + g * right.group_stride, Whole{}); });
      for_constants<n_rows>([&](auto r) {
        const Lanes a = broadcast<Isa>(left.p[r * L::kRowStride]);
        for_constants<n_groups>([&](auto g) { segment[r][g] = fma(a, b[g], segment[r][g]); });
      });
      left.p += L::kStep;
      right.p += right.step;
    }
    asked = ahead;
    for_constants<n_rows>([&](auto r) {
      for_constants<n_groups>([&](auto g) {
        float* sum = sums.p + r * sums.row_stride + g * kLanes;
        store(sum, Whole{}, load<Isa>(sum, Whole{}) + segment[r][g]);
      });
    });
  }

  static float* weights_of(const AttentionTile& in, std::size_t row) { return in.scratch + row * kAttentionChunk; }

  static void fill_zeros(float* p, std::size_t n) {
    for (std::size_t i = 0; i < n; i += kLanes) store(p + i, Whole{}, broadcast<Isa>(0.0f));
  }

  /// weights[r][j] = queries[r] . keys[j] for all positions that any row sees, in whole blocks.
  template <typename Element>
  static void score(const AttentionTile& in) {
    const std::size_t n_blocks = round_up(in.n_visible[in.n_rows - 1]) / kLanes;
    const std::size_t block_size = in.head_dim * kLanes;  // elements
    const Element* keys = reinterpret_cast<const Element*>(in.keys);
    Ahead values(in.values, in.n_visible[in.n_rows - 1] * value_dim(in.head_dim) * sizeof(Element));
    for (std::size_t r = 0; r < rows_covered<Isa::kTileRows>(in.n_rows); ++r) {
      fill_zeros(weights_of(in, r), n_blocks * kLanes);
    }
    for (std::size_t d = 0; d < in.head_dim; d += kAttentionSegment) {
      const std::size_t n = in.head_dim - d < kAttentionSegment ? in.head_dim - d : kAttentionSegment;
      float queries[kAttentionSegment * kAttentionRows];  // (n, kAttentionRows)
      for (std::size_t k = 0; k < n; ++k) {
        for (std::size_t r = 0; r < kAttentionRows; ++r) queries[k * kAttentionRows + r] = in.queries[r][d + k];
      }
      cover_rows<Isa::kTileRows>(0, in.n_rows, [&](std::size_t row, auto rows) {
        cover_groups<groups_for(rows, Isa::kTileGroups)>(n_blocks, [&](std::size_t block, auto groups) {
          const std::size_t at = block * block_size + d * kLanes;
          add_products<rows, groups>(Queries{queries + row}, Right<Element>{keys + at, kLanes, block_size}, n, values,
                                     Sums{weights_of(in, row) + block * kLanes, kAttentionChunk});
        });
      });
    }
  }

  static void scale_scores(const AttentionTile& in, std::size_t row, std::size_t n_rows) {
    const std::size_t end = round_up(in.n_visible[in.n_rows - 1]);
    for (std::size_t r = row; r < row + n_rows; ++r) {
      float* scores = weights_of(in, r);
      for (std::size_t i = 0; i < end; i += kLanes) {
        store(scores + i, Whole{}, load<Isa>(scores + i, Whole{}) * broadcast<Isa>(in.scale));
      }
    }
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

  /// Gives scores n .. end - 1 the weight 0.
  static void hide_from(std::size_t n, std::size_t end, float* scores) {
    for (; n < end && n % kLanes != 0; ++n) scores[n] = -__builtin_inff();
    for (; n < end; n += kLanes) store(scores + n, Whole{}, broadcast<Isa>(-__builtin_inff()));
  }

  /// Gives scores 0 .. n - 1 the weight 0.
  static void hide_before(std::size_t n, float* scores) {
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(scores + i, Whole{}, broadcast<Isa>(-__builtin_inff()));
    for (; i < n; ++i) scores[i] = -__builtin_inff();
  }

  /// Scores of n_rows rows to weights, exp(score - max), for all positions that any row sees, in whole blocks; what a
  /// row does not see gets 0. Side by side, since a row alone would wait for its maximum and its sum.
  template <std::size_t n_rows>
  static void weigh(const AttentionTile& in, std::size_t row) {
    const std::size_t end = round_up(in.n_visible[in.n_rows - 1]);
    float* weights = weights_of(in, row);
    Lanes best[n_rows], sums[n_rows];
    for_constants<n_rows>([&](auto r) {
      hide_from(row + r < in.n_rows ? in.n_visible[row + r] : end, end, weights_of(in, row + r));
      if (in.n_hidden != nullptr && row + r < in.n_rows) hide_before(in.n_hidden[row + r], weights_of(in, row + r));
      best[r] = broadcast<Isa>(-__builtin_inff());
      sums[r] = broadcast<Isa>(0.0f);
    });
    for (std::size_t i = 0; i < end; i += kLanes) {
      for_constants<n_rows>(
          [&](auto r) { best[r] = larger(load<Isa>(weights + r * kAttentionChunk + i, Whole{}), best[r]); });
    }
    for_constants<n_rows>([&](auto r) {
      in.part.max[row + r] = max_lane(best[r]);
      best[r] = broadcast<Isa>(in.part.max[row + r]);
    });
    for (std::size_t i = 0; i < end; i += kLanes) {
      for_constants<n_rows>([&](auto r) {
        float* scores = weights + r * kAttentionChunk + i;
        const Lanes exps = map<Isa>(weight, load<Isa>(scores, Whole{}) - best[r]);
        sums[r] = sums[r] + exps;
        store(scores, Whole{}, exps);
      });
    }
    for_constants<n_rows>([&](auto r) { in.part.sum[row + r] = Isa::sum(sums[r]); });
  }

  /// values[r][d] = sum over j of weights[r][j] * values[j][d]. Segments that all rows see whole are read once for all
  /// of them; what only later rows see follows row by row, so that no row ever touches what it may not see.
  template <typename Element>
  static void mix(const AttentionTile& in) {
    const std::size_t n_columns = value_dim(in.head_dim);
    const std::size_t n_first = in.n_visible[0];
    const bool all_alike = n_first == in.n_visible[in.n_rows - 1];
    const std::size_t n_shared = all_alike ? n_first : n_first / kAttentionSegment * kAttentionSegment;
    fill_zeros(in.part.values, rows_covered<Isa::kTileRows>(in.n_rows) * n_columns);
    // The keys of the next head, which this thread often takes next, lie right after those of this one.
    const std::size_t chunk_bytes = kAttentionChunk * in.head_dim * sizeof(Element);
    Ahead next_keys(in.keys + chunk_bytes, in.n_visible[in.n_rows - 1] == kAttentionChunk ? chunk_bytes : 0);
    for (std::size_t j = 0; j < n_shared; j += kAttentionSegment) {
      const std::size_t end = n_shared - j < kAttentionSegment ? n_shared : j + kAttentionSegment;
      cover_rows<Isa::kTileRows>(
          0, in.n_rows, [&](std::size_t row, auto rows) { mix_segment<Element, rows>(in, row, j, end, next_keys); });
    }
    if (all_alike) return;
    for (std::size_t row = 0; row < in.n_rows; ++row) {
      const std::size_t n = in.n_visible[row];
      for (std::size_t j = n_shared; j < n; j += kAttentionSegment) {
        mix_segment<Element, 1>(in, row, j, n - j < kAttentionSegment ? n : j + kAttentionSegment, next_keys);
      }
    }
  }

  /// Positions begin .. end - 1 of mix(), of one segment, for n_rows rows.
  template <typename Element, std::size_t n_rows>
  static void mix_segment(const AttentionTile& in, std::size_t row, std::size_t begin, std::size_t end, Ahead& ahead) {
    const std::size_t n_columns = value_dim(in.head_dim);
    const Element* values = reinterpret_cast<const Element*>(in.values) + begin * n_columns;
    cover_groups<groups_for(n_rows, Isa::kTileGroups)>(n_columns / kLanes, [&](std::size_t group, auto groups) {
      const Weights left{weights_of(in, row) + begin};
      add_products<n_rows, groups>(left, Right<Element>{values + group * kLanes, n_columns, kLanes}, end - begin, ahead,
                                   Sums{in.part.values + row * n_columns + group * kLanes, n_columns});
    });
  }

  template <typename Element>
  static void attend(const AttentionTile& in) {
    score<Element>(in);
    cover_rows<Isa::kTileRows>(0, in.n_rows, [&](std::size_t row, auto n_rows) {
      scale_scores(in, row, n_rows);
      weigh<n_rows>(in, row);
    });
    mix<Element>(in);
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

}  // namespace
}  // namespace tern::kernels
