#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/float_group.h"
#include "kernels/float_rows.h"
#include "kernels/kernels.h"

/// Every float kernel, once, for any instruction set that has the vocabulary of float_group.h.
namespace tern::kernels {
namespace {

template <typename Isa>
struct FloatImpl {
  using Lanes = Group<Isa>;
  using DoubleLanes = Group<Isa, double>;
  using Floats = Register<Isa>;

  static void rms_norm(const float* x, const float* weight, std::size_t n, float eps, float* y) {
    DoubleLanes squares = broadcast<Isa>(0.0);
    for_each_group(n, [&](std::size_t i, auto part) {
      const DoubleLanes values = load_double<Isa>(x + i, part);
      squares = squares + values * values;
    });
    const double mean = sum(squares) / static_cast<double>(n);
    const DoubleLanes inverse = broadcast<Isa>(1.0 / __builtin_sqrt(mean + double{eps}));
    for_each_group(n, [&](std::size_t i, auto part) {
      const DoubleLanes normed = load_double<Isa>(x + i, part) * inverse;
      store(y + i, part, Isa::narrow(normed * load_double<Isa>(weight + i, part)));
    });
  }

  /// The largest of op(x[i]) and `least`; NaN is passed over. The order does not matter here, so four groups at a time
  /// keep the comparisons from waiting for each other.
  template <typename Op>
  static float largest(const Op& op, const float* x, std::size_t n, float least) {
    constexpr std::size_t kGroups = 4;
    Lanes best[kGroups];
    for (Lanes& lanes : best) lanes = broadcast<Isa>(least);
    // larger() keeps its second argument when the first is NaN.
    const auto keep_larger = [&](Floats v, Floats so_far) { return Isa::larger(op(v), so_far); };
    std::size_t i = 0;
    for (; i + kGroups * kLanes <= n; i += kGroups * kLanes) {
      for (std::size_t g = 0; g < kGroups; ++g) {
        best[g] = map<Isa>(keep_larger, load<Isa>(x + i + g * kLanes, Whole{}), best[g]);
      }
    }
    for_each_group(n - i, [&](std::size_t rest, auto part) {
      best[0] = map<Isa>(keep_larger, load<Isa>(x + i + rest, part, x[0]), best[0]);  // padding that changes nothing
    });
    const auto larger = [](Floats a, Floats b) { return Isa::larger(a, b); };
    return max_lane(map<Isa>(larger, map<Isa>(larger, best[0], best[1]), map<Isa>(larger, best[2], best[3])));
  }

  static double quantize(const float* x, std::size_t n, std::int8_t* q) {
    float largest = FloatImpl::largest([](Floats v) { return xsimd::abs(v); }, x, n, kQuantFloor);
    if (largest > kMaxFloat) largest = kMaxFloat;
    const DoubleLanes step_inverse = broadcast<Isa>(double{kQuantMax} / double{largest});
    const DoubleLanes shift = broadcast<Isa>(kRoundShiftDouble);
    const auto clamp = [](Floats v) {
      v = xsimd::select(v == v, v, Floats(0.0f));  // NaN counts as 0
      return Isa::larger(Isa::smaller(v, Floats(kQuantMax)), Floats(-kQuantMax));
    };
    for_each_group(n, [&](std::size_t i, auto part) {
      const DoubleLanes rounded = (load_double<Isa>(x + i, part) * step_inverse + shift) - shift;
      store(q + i, part, map<Isa>(clamp, Isa::narrow(rounded)));
    });
    return double{largest} / double{kQuantMax};
  }

  static void scale_sums(const std::int32_t* sums, std::size_t n, double scale, float* y) {
    const DoubleLanes factor = broadcast<Isa>(scale);
    for_each_group(n, [&](std::size_t i, auto part) {
      store(y + i, part, Isa::narrow(load_double<Isa>(sums + i, part) * factor));
    });
  }

  static void scale_sums_by_row(const std::int32_t* sums, std::size_t n, double scale, const float* row_scales,
                                float* y) {
    const DoubleLanes factor = broadcast<Isa>(scale);
    for_each_group(n, [&](std::size_t i, auto part) {
      const auto factors = factor * load_double<Isa>(row_scales + i, part);
      store(y + i, part, Isa::narrow(load_double<Isa>(sums + i, part) * factors));
    });
  }

  static void add_scaled_sums(const std::int32_t* sums, std::size_t n, float scale, const std::uint16_t* row_scales,
                              bool accumulate, float* y) {
    const Lanes factor = broadcast<Isa>(scale);
    const auto value = [&](std::size_t i, auto part) {
      return load_ints<Isa>(sums + i, part) * (factor * load<Isa>(row_scales + i, part));
    };
    if (accumulate) {
      for_each_group(n, [&](std::size_t i, auto part) { store(y + i, part, load<Isa>(y + i, part) + value(i, part)); });
    } else {
      for_each_group(n, [&](std::size_t i, auto part) { store(y + i, part, value(i, part)); });
    }
  }

  static void add(const float* x, std::size_t n, float* y) {
    for_each_group(
        n, [&](std::size_t i, auto part) { store(y + i, part, load<Isa>(y + i, part) + load<Isa>(x + i, part)); });
  }

  static void scale(float s, std::size_t n, float* y) {
    const Lanes factor = broadcast<Isa>(s);
    for_each_group(n, [&](std::size_t i, auto part) { store(y + i, part, load<Isa>(y + i, part) * factor); });
  }

  static void silu_mul(const float* gate, const float* up, std::size_t n, float* y) {
    const auto silu_times = [](Floats z, Floats u) { return Isa::divide(z, Floats(1.0f) + exp<Isa>(-z)) * u; };
    for_each_group(n, [&](std::size_t i, auto part) {
      store(y + i, part, map<Isa>(silu_times, load<Isa>(gate + i, part), load<Isa>(up + i, part)));
    });
  }

  static void gelu_mul(const float* gate, const float* up, std::size_t n, float* y) {
    using C = GeluConstants;
    const auto gelu_times = [](Floats z, Floats u) {
      const Floats t = z * (Floats(C::kLinear) + Floats(C::kCubic) * (z * z));
      return Isa::divide(z, Floats(1.0f) + exp<Isa>(-t)) * u;
    };
    for_each_group(n, [&](std::size_t i, auto part) {
      store(y + i, part, map<Isa>(gelu_times, load<Isa>(gate + i, part), load<Isa>(up + i, part)));
    });
  }

  static void relu2_mul(const float* gate, const float* up, std::size_t n, float* y) {
    const auto relu2_times = [](Floats z, Floats u) {
      const Floats positive = Isa::larger(Floats(0.0f), z);  // NaN stays
      return positive * positive * u;
    };
    for_each_group(n, [&](std::size_t i, auto part) {
      store(y + i, part, map<Isa>(relu2_times, load<Isa>(gate + i, part), load<Isa>(up + i, part)));
    });
  }

  static void rope_neox(float* x, const float* cos, const float* sin, std::size_t n) {
    const std::size_t half = n / 2;
    for_each_group(half, [&](std::size_t i, auto part) {
      const Lanes a = load<Isa>(x + i, part);
      const Lanes b = load<Isa>(x + half + i, part);
      const Lanes c = load<Isa>(cos + i, part);
      const Lanes s = load<Isa>(sin + i, part);
      store(x + i, part, a * c - b * s);
      store(x + half + i, part, a * s + b * c);
    });
  }

  /// Elements of a pair lie side by side; a plain loop, since a head has a few hundred elements at most.
  static void rope_norm(float* x, const float* cos, const float* sin, std::size_t n) {
    for (std::size_t i = 0; i < n / 2; ++i) {
      const float a = x[2 * i];
      const float b = x[2 * i + 1];
      x[2 * i] = a * cos[i] - b * sin[i];
      x[2 * i + 1] = a * sin[i] + b * cos[i];
    }
  }

  /// y = x, of another type: halves to floats or floats to halves.
  template <typename From, typename To>
  static void convert(const From* x, std::size_t n, To* y) {
    for_each_group(n, [&](std::size_t i, auto part) { store(y + i, part, load<Isa>(x + i, part)); });
  }
};

/// The table of one instruction set.
template <typename Isa>
constexpr FloatKernels make_float_table(const char* name, tern::kernels::Isa isa) {
  using Impl = FloatImpl<Isa>;
  return {
      .name = name,
      .isa = isa,
      .rms_norm = Impl::rms_norm,
      .quantize = Impl::quantize,
      .scale_sums = Impl::scale_sums,
      .scale_sums_by_row = Impl::scale_sums_by_row,
      .add_scaled_sums = Impl::add_scaled_sums,
      .add = Impl::add,
      .scale = Impl::scale,
      .silu_mul = Impl::silu_mul,
      .gelu_mul = Impl::gelu_mul,
      .relu2_mul = Impl::relu2_mul,
      .rope_neox = Impl::rope_neox,
      .rope_norm = Impl::rope_norm,
      .f16_to_f32 = Impl::template convert<std::uint16_t, float>,
      .f32_to_f16 = Impl::template convert<float, std::uint16_t>,
      .dot_rows_f32 = dot_rows<Isa, float>,
      .dot_rows_f16 = dot_rows<Isa, std::uint16_t>,
  };
}

}  // namespace
}  // namespace tern::kernels
