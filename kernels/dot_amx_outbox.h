#pragma once

// How the AMX kernel hands over sums. Included by that kernel; all names are local to the including file (see
// kernels.h).

#include "kernels/scaled_sums.h"

namespace tern::kernels {
namespace {
namespace amx {

/// Finished sums, handed over a few tokens at a time while the tiles are busy with the next rows: results go to
/// memory that is in no cache, and waiting for it would cost a third of the time.
class Outbox {
 public:
  /// In steps as long as a span is multiplied.
  static constexpr bool kEveryTurn = false;
  static constexpr std::size_t kBuffers = 2;

  explicit Outbox(const TernaryProduct& product) : product_(product), token_(product.token_end) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox() { hand_over(product_.token_end); }

  /// Takes sums of the product's tokens, (n_tokens, n_rows) with `stride` from token to token, once it has handed over
  /// what it had.
  void put(const std::int32_t* sums, std::size_t stride, std::size_t row, std::size_t n_rows) {
    hand_over(product_.token_end);
    sums_ = sums;
    stride_ = stride;
    row_ = row;
    n_rows_ = n_rows < product_.row_end - row ? n_rows : product_.row_end - row;
    token_ = product_.token_begin;
  }
  /// Up to `n` tokens.
  void hand_over(std::size_t n) {
    for (; n > 0 && token_ < product_.token_end; --n, ++token_, sums_ += stride_) {
      product_.sink.take(product_.sink.context, token_, row_, n_rows_, sums_);
    }
  }

 private:
  const TernaryProduct& product_;
  const std::int32_t* sums_ = nullptr;
  std::size_t stride_ = 0, row_ = 0, n_rows_ = 0, token_;
};

/// Sums of one block of columns after the other, scaled and added to totals of kRows rows a few tokens at a time while
/// the tiles are busy. What is put in waits until the next is: memory written by a tile register cannot be read before
/// it has reached the cache, and waiting for that would stop both.
template <std::size_t kRows>
class ScaledOutbox {
 public:
  static constexpr bool kEveryTurn = true;
  static constexpr std::size_t kBuffers = 3;  // of sums: those in the making, those that wait, those handed over

  /// totals: (n_tokens, kRows)
  ScaledOutbox(const TernaryProduct& product, const BlockScales& scales, float* totals)
      : product_(product), scales_(scales), totals_(totals) {
    for (float& x : none_) x = kNoTotal;
  }
  ScaledOutbox(const ScaledOutbox&) = delete;
  ScaledOutbox& operator=(const ScaledOutbox&) = delete;
  ~ScaledOutbox() {
    start(Sums{});
    hand_over(current_.n);
  }

  /// Sums of a block of columns, (n, kRows), of the rows from `row` and the tokens from `token` on.
  struct Sums {
    const std::int32_t* sums;
    std::size_t row, block, token, n;
  };
  void put(const Sums& sums) { start(sums); }

  /// Up to `n` tokens.
  void hand_over(std::size_t n) {
    if (n > current_.n) n = current_.n;
    if (n == 0) return;
    add(n);
    if (copies_) copy(n);
    current_.sums += n * kRows;
    current_.token += n;
    current_.n -= n;
    from_ += n * from_stride_;
    to_ += n * to_stride_;
  }

 private:
  static constexpr std::size_t kTokensAhead = 4;  // of results that are asked for, which are in no cache

  /// Hands over all of the current sums, then begins with those that waited.
  void start(const Sums& next) {
    hand_over(current_.n);
    current_ = waiting_;
    waiting_ = next;
    if (current_.n == 0) return;
    const bool is_first = current_.block == 0;
    const bool is_last = current_.block + 1 == product_.n_col_blocks;
    const bool is_whole = scales_.n_rows - current_.row >= kRows;
    float* totals = totals_ + (current_.token - product_.token_begin) * kRows;
    float* y = scales_.y + current_.token * scales_.stride + current_.row;
    row_scales_ = row_scales_at(scales_, current_.block, current_.row, padded_);
    from_ = is_first ? none_ : totals;
    from_stride_ = is_first ? 0 : kRows;
    to_ = is_last && is_whole ? y : totals;
    to_stride_ = is_last && is_whole ? scales_.stride : kRows;
    copies_ = is_last && !is_whole;
  }

  void add(std::size_t n) const {
    constexpr std::size_t kLanes = kRows / FloatLanes::kSize;
    const double* steps = scales_.steps + current_.block * product_.n_tokens + current_.token;
    const std::int32_t* sums = current_.sums;
    const float* from = from_;
    float* to = to_;
    const std::size_t from_stride = from_stride_;
    const std::size_t to_stride = to_stride_;
    FloatLanes scales[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) scales[i] = FloatLanes::of_halves(row_scales_ + i * FloatLanes::kSize);
    for (std::size_t t = 0; t < n; ++t, sums += kRows, from += from_stride, to += to_stride) {
      const FloatLanes step = FloatLanes::all(static_cast<float>(steps[t]));
#pragma GCC unroll 4
      for (std::size_t i = 0; i < kLanes; ++i) {
        const std::size_t at = i * FloatLanes::kSize;
        __builtin_prefetch(to + kTokensAhead * to_stride + at, 1);
        const FloatLanes value = FloatLanes::of_ints(sums + at) * (step * scales[i]);
        (FloatLanes::load(from + at) + value).store(to + at);
      }
    }
  }
  /// Of rows that are fewer than kRows.
  void copy(std::size_t n) const {
    for (std::size_t t = 0; t < n; ++t) {
      std::memcpy(scales_.y + (current_.token + t) * scales_.stride + current_.row, to_ + t * to_stride_,
                  (scales_.n_rows - current_.row) * sizeof *to_);
    }
  }

  const TernaryProduct& product_;
  const BlockScales& scales_;
  float* totals_;
  Sums current_ = {};
  Sums waiting_ = {};
  // Of the current sums, where they are scaled and added.
  const std::uint16_t* row_scales_ = nullptr;
  const float* from_ = nullptr;
  float* to_ = nullptr;
  std::size_t from_stride_ = 0, to_stride_ = 0;
  bool copies_ = false;
  std::uint16_t padded_[kRows] = {};
  alignas(64) float none_[kRows];
};

}  // namespace amx
}  // namespace
}  // namespace tern::kernels
