#pragma once

// How the AMX kernel hands over sums. Included by that kernel; all names are local to the including file (see
// kernels.h).

#include "kernels/kernels.h"

namespace tern::kernels {
namespace {
namespace amx {

/// Finished sums, handed over a few tokens at a time while the tiles are busy with the next rows: results go to
/// memory that is in no cache, and waiting for it would cost a third of the time.
class Outbox {
 public:
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

}  // namespace amx
}  // namespace
}  // namespace tern::kernels
