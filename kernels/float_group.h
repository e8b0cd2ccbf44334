#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <xsimd/xsimd.hpp>

#include "kernels/float_constants.h"

/// The vocabulary of the float kernels: groups of 16 virtual lanes over the registers of an instruction set.
///
/// An instruction set is a struct that names its xsimd architecture and what xsimd has no word for:
///   Arch                            xsimd's tag, e.g. xsimd::avx2
///   kDotRows, kSumGroups            how many rows / groups of 16 columns fill the registers
///   from_f16(p), to_f16(group, p)   conversion of 16 halves; to nearest even
///   to_i8(group, p)                 16 floats in [-127, 127] to bytes, to nearest even
///   widen(p), narrow(group)         a register of doubles from floats or ints; a group of doubles to floats
///   larger(a, b), smaller(a, b)     a > b ? a : b and a < b ? a : b, so b where one of them is NaN
///   divide(a, b)                    a / b, correctly rounded
///   fma(a, b, c)                    a * b + c, rounded once; attention only
///   sum(group), store_sums(groups, p)  the sum tree for one group; for kDotRows groups at once
///
/// Everything lives in an anonymous namespace: each instruction set compiles this file with its own flags, and the
/// linker must never share a function between them.
namespace tern::kernels {
namespace {

template <typename Isa, typename T = float>
using Register = xsimd::batch<T, typename Isa::Arch>;

/// 16 virtual lanes of floats or doubles; register k holds lanes k * size ... (k + 1) * size - 1.
template <typename Isa, typename T = float>
struct Group {
  static constexpr std::size_t kRegisters = kLanes / Register<Isa, T>::size;
  Register<Isa, T> r[kRegisters];
};

/// A group whose register k is make(k).
template <typename Isa, typename T = float, typename Make>
inline Group<Isa, T> make_group(const Make& make) {
  // Spelled out as a pack, not a loop: a loop over k would keep the registers in memory.
  return [&]<std::size_t... k>(std::index_sequence<k...>) { return Group<Isa, T>{{make(k)...}}; }
  (std::make_index_sequence<Group<Isa, T>::kRegisters>{});
}

/// op() on the registers of one or more groups.
template <typename Isa, typename Op, typename... Others>
inline Group<Isa> map(const Op& op, const Group<Isa>& a, const Others&... others) {
  return make_group<Isa>([&](std::size_t k) { return op(a.r[k], others.r[k]...); });
}

template <typename Isa, typename T>
inline Group<Isa, T> broadcast(T value) {
  return make_group<Isa, T>([&](std::size_t) { return Register<Isa, T>(value); });
}

template <typename Isa, typename T>
inline Group<Isa, T> operator+(const Group<Isa, T>& a, const Group<Isa, T>& b) {
  return make_group<Isa, T>([&](std::size_t k) { return a.r[k] + b.r[k]; });
}

template <typename Isa, typename T>
inline Group<Isa, T> operator-(const Group<Isa, T>& a, const Group<Isa, T>& b) {
  return make_group<Isa, T>([&](std::size_t k) { return a.r[k] - b.r[k]; });
}

template <typename Isa, typename T>
inline Group<Isa, T> operator*(const Group<Isa, T>& a, const Group<Isa, T>& b) {
  return make_group<Isa, T>([&](std::size_t k) { return a.r[k] * b.r[k]; });
}

/// Which lanes of a group an array holds: all of them, or the first n.
struct Whole {};
struct Tail {
  std::size_t n;
};

/// Calls body(i, part) for i = 0, 16, 32 ... < n.
template <typename Body>
inline void for_each_group(std::size_t n, const Body& body) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, Whole{});
  if (i < n) body(i, Tail{n - i});
}

template <typename Isa>
inline Group<Isa> load(const float* p, Whole) {
  return make_group<Isa>([&](std::size_t k) { return Register<Isa>::load_unaligned(p + k * Register<Isa>::size); });
}

template <typename Isa>
inline Group<Isa> load(const std::uint16_t* p, Whole) {
  return Isa::from_f16(p);
}

/// Floats or ints as doubles, exactly.
template <typename Isa, typename Element>
inline Group<Isa, double> load_double(const Element* p, Whole) {
  using Doubles = Register<Isa, double>;
  return make_group<Isa, double>([&](std::size_t k) { return Doubles(Isa::widen(p + k * Doubles::size)); });
}

template <typename Isa, typename Element>
inline Group<Isa, double> load_double(const Element* p, Tail tail) {
  Element padded[kLanes] = {};
  for (std::size_t i = 0; i < tail.n; ++i) padded[i] = p[i];
  return load_double<Isa>(padded, Whole{});
}

template <typename Isa, typename Element>
inline Group<Isa> load(const Element* p, Whole whole, Element) {
  return load<Isa>(p, whole);
}

/// The lanes that the array does not hold become `padding`; nothing past the array is read.
template <typename Isa, typename Element>
inline Group<Isa> load(const Element* p, Tail tail, Element padding = 0) {
  Element padded[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) padded[i] = padding;
  for (std::size_t i = 0; i < tail.n; ++i) padded[i] = p[i];
  return load<Isa>(padded, Whole{});
}

/// Integers as floats, to nearest even.
template <typename Isa>
inline Group<Isa> load_ints(const std::int32_t* p, Whole) {
  using Ints = Register<Isa, std::int32_t>;
  return make_group<Isa>([&](std::size_t k) { return xsimd::to_float(Ints::load_unaligned(p + k * Ints::size)); });
}

template <typename Isa>
inline Group<Isa> load_ints(const std::int32_t* p, Tail tail) {
  std::int32_t padded[kLanes] = {};
  for (std::size_t i = 0; i < tail.n; ++i) padded[i] = p[i];
  return load_ints<Isa>(padded, Whole{});
}

template <typename Isa>
inline void store(float* p, Whole, const Group<Isa>& group) {
  [&]<std::size_t... k>(std::index_sequence<k...>) { (group.r[k].store_unaligned(p + k * Register<Isa>::size), ...); }
  (std::make_index_sequence<Group<Isa>::kRegisters>{});
}

template <typename Isa>
inline void store(std::uint16_t* p, Whole, const Group<Isa>& group) {
  Isa::to_f16(group, p);
}

template <typename Isa>
inline void store(std::int8_t* p, Whole, const Group<Isa>& group) {
  Isa::to_i8(group, p);
}

template <typename Isa, typename Element>
inline void store(Element* p, Tail tail, const Group<Isa>& group) {
  Element padded[kLanes];
  store(padded, Whole{}, group);
  for (std::size_t i = 0; i < tail.n; ++i) p[i] = padded[i];
}

/// The sum tree of doubles; for floats see Isa::sum().
template <typename Isa>
inline double sum(const Group<Isa, double>& group) {
  double lanes[kLanes];
  for (std::size_t k = 0; k < Group<Isa, double>::kRegisters; ++k) {
    group.r[k].store_unaligned(lanes + k * Register<Isa, double>::size);
  }
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

/// The largest lane.
template <typename Isa>
inline float max_lane(const Group<Isa>& group) {
  float lanes[kLanes];
  store(lanes, Whole{}, group);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) lanes[i] = lanes[i + half] > lanes[i] ? lanes[i + half] : lanes[i];
  }
  return lanes[0];
}

/// exp, see ExpConstants. NaN gives NaN: larger() and smaller() return their second argument then.
template <typename Isa>
inline Register<Isa> exp(Register<Isa> x) {
  using C = ExpConstants;
  using Floats = Register<Isa>;
  using Ints = xsimd::batch<std::int32_t, typename Isa::Arch>;
  x = Isa::smaller(Floats(C::kMax), Isa::larger(Floats(C::kMin), x));
  const Floats shifted = x * Floats(C::kLog2E) + Floats(kRoundShift);
  const Floats n = shifted - Floats(kRoundShift);
  const Floats r = (x - n * Floats(C::kLn2High)) - n * Floats(C::kLn2Low);
  Floats p = Floats(C::kP4) * r + Floats(C::kP3);
  p = p * r + Floats(C::kP2);
  p = p * r + Floats(C::kP1);
  p = p * r + Floats(C::kP0);
  const Floats exp_r = Floats(1.0f) + (r + p * (r * r));
  // 2^n in two steps: n reaches from -150 to 128, and the exponents of a float only from -126 to 127.
  const Ints exponent = xsimd::bitwise_cast<Ints>(shifted) - xsimd::bitwise_cast<Ints>(Floats(kRoundShift));
  const Ints half = exponent >> 1;
  const auto power_of_two = [](Ints e) { return xsimd::bitwise_cast<Floats>((e + Ints(127)) << 23); };
  return exp_r * power_of_two(half) * power_of_two(exponent - half);
}

}  // namespace
}  // namespace tern::kernels
