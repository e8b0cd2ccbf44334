#pragma once

#include <cstddef>
#include <cstdint>

/// The contract between the engine and its kernels: plain pointers and sizes, nothing that allocates or throws.
///
/// A kernel file is compiled with the flags of its instruction set, so it includes headers of kernels/, intrinsics,
/// (for floats) xsimd, and of the standard library only what leaves no symbols; everything it defines but its table is
/// in an anonymous namespace or static. A test looks at its symbols. See CONTRIBUTING.md, "House rules".
namespace tern::kernels {

/// Instruction sets, weakest first. Each includes the one it extends, see parent_of() in dispatch.h.
enum class Isa : std::uint8_t {
  kScalar,      ///< plain C++
  kBaseline,    ///< what the compiler may assume: SSE2 on x86-64, NEON on AArch64
  kDotprod,     ///< AArch64: NEON with sdot
  kI8mm,        ///< AArch64: kDotprod with smmla
  kAvx2,        ///< AVX2, FMA and F16C
  kAvxVnni,     ///< kAvx2 with AVX-VNNI
  kAvx512,      ///< kAvx2 with AVX-512 F, BW, DQ, VL
  kAvx512Vnni,  ///< kAvx512 with VNNI
  kAvx512Vbmi,  ///< kAvx512Vnni with VBMI
  kAmx,         ///< kAvx512Vbmi with AMX-INT8
};
inline constexpr Isa kAllIsas[] = {Isa::kScalar,  Isa::kBaseline, Isa::kDotprod,    Isa::kI8mm,       Isa::kAvx2,
                                   Isa::kAvxVnni, Isa::kAvx512,   Isa::kAvx512Vnni, Isa::kAvx512Vbmi, Isa::kAmx};

/// How a ternary matrix lies in memory: blocks of `row_block` rows, one after the other.
///
/// Codes are 0, 1, 2 for -1, 0, +1. Rows and columns that fill up a block are zeros (code 1).
struct TernaryLayout {
  const char* name;
  double bits_per_weight;
  std::size_t row_block;  ///< rows packed together; threads share a matrix in multiples of it

  /// Bytes of one block of rows; a multiple of 64.
  std::size_t (*block_bytes)(std::size_t cols);
  /// Packs `n_rows` <= row_block rows of codes, (n_rows, cols) with `stride` bytes from row to row, into one block.
  void (*pack)(const std::uint8_t* codes, std::size_t stride, std::size_t n_rows, std::size_t cols,
               std::uint8_t* block);
};

/// Where the sums of a product go: a kernel hands them over while they are still in its cache.
struct SumSink {
  /// sums: (n_rows) of token `token`, rows `row` on. Called once for every row and token of a product, in runs of any
  /// length, in any order, from the thread that computes.
  void (*take)(void* context, std::size_t token, std::size_t row, std::size_t n_rows, const std::int32_t* sums);
  void* context;
};

/// One product of a packed matrix with quantized activations: y[t][r] = sum over c of W[r][c] * x[t][c], exact.
struct TernaryProduct {
  const std::uint8_t* weights;  ///< of all blocks of columns; 64-byte aligned, 64 readable bytes or more past its end
  const std::uint8_t* operand;  ///< what prepare() made of x; 64-byte aligned
  std::size_t n_tokens;         ///< of the operand
  std::size_t cols;
  std::size_t row_begin;    ///< a multiple of row_block
  std::size_t row_end;      ///< a multiple of row_block, or the number of rows
  std::size_t token_begin;  ///< a multiple of the grain's tokens
  std::size_t token_end;    ///< a multiple of the grain's tokens, or n_tokens
  SumSink sink;
  std::uint8_t* scratch;  ///< scratch_bytes(cols) of this thread's own, 64-byte aligned

  /// A block of rows is followed by the same rows of the next block of columns, if there is more than one: each is
  /// packed as a matrix of `cols` columns, and this product is with one of them.
  std::size_t col_block = 0;
  std::size_t n_col_blocks = 1;
};

/// What becomes of the sums of a product whose blocks of columns have scales of their own:
///
///     y[t][r] = sum over b, from the first to the last, of sums_b[t][r] * (steps[b][t] * row_scales[b][r])
///
/// in float, rounded after every operation, as FloatKernels::add_scaled_sums does it one block at a time.
struct BlockScales {
  std::size_t operand_bytes;        ///< from the operand of one block of columns to that of the next
  const double* steps;              ///< (n_col_blocks, n_tokens), taken as floats
  const std::uint16_t* row_scales;  ///< f16 (n_col_blocks, n_rows)
  std::size_t n_rows;               ///< of the matrix
  float* y;                         ///< (n_tokens, n_rows) with `stride` from token to token
  std::size_t stride;
  /// FloatKernels::add_scaled_sums, for kernels that have no multiplications of their own.
  void (*add_scaled_sums)(const std::int32_t* sums, std::size_t n, float scale, const std::uint16_t* row_scales,
                          bool accumulate, float* y);
};

/// A piece of a product that is worth computing in one call.
struct Grain {
  std::size_t rows;    ///< a multiple of row_block
  std::size_t tokens;  ///< n_tokens when they should not be cut
  /// Rows whose weights are read side by side, a multiple of row_block: with several blocks of columns, products with
  /// all of them come before the next rows, so that the weights are read in the order in which they lie.
  std::size_t rows_together;
};

/// One way to multiply: how activations are prepared, and the product itself.
///
/// Requires  |x| <= 127; cols <= kMaxCols; 1 <= n_tokens
/// Exact     integer arithmetic without overflow, equal to reference_product() bit for bit
/// Threads   pure; rows may be split freely in multiples of row_block, tokens in multiples of the grain's
struct TernaryRoutine {
  std::size_t (*operand_bytes)(std::size_t n_tokens, std::size_t cols);
  /// x: (n_tokens, cols) int8, densely packed. Prepares part `part` of `n_parts`: every part must be prepared, in any
  /// order and by any thread, before multiply(). A routine may do all its work in part 0.
  void (*prepare)(const std::int8_t* x, std::size_t n_tokens, std::size_t cols, std::size_t part, std::size_t n_parts,
                  std::uint8_t* operand);
  std::size_t (*scratch_bytes)(std::size_t cols);
  /// How a product is best cut up for threads that take one piece after the other.
  Grain (*grain)(std::size_t n_tokens, std::size_t cols);
  void (*multiply)(const TernaryProduct& product);
  /// All blocks of columns in one go, the first of which is the product's; its sink is not used. Null where nothing is
  /// gained over a product for each of them.
  void (*multiply_scaled)(const TernaryProduct& product, const BlockScales& scales) = nullptr;
};

/// Columns beyond which a sum could leave int32: 127 * 2 * kMaxCols < 2^31.
inline constexpr std::size_t kMaxCols = std::size_t{1} << 22;

enum class Family : std::uint8_t {
  kReference,  ///< plain C++, for machines that have nothing better
  kAddSub,     ///< no multiplication over weights: look-ups, additions, subtractions
  kDot,        ///< multiply-add instructions on codes
};

/// A kernel: one layout, and the phases that read it. A phase that it does not have is all null.
struct TernaryKernel {
  const char* name;  ///< "addsub-avx2"; unique
  Family family;
  Isa isa;
  const TernaryLayout* layout;
  TernaryRoutine decode;          ///< for one token, or a few
  TernaryRoutine prompt;          ///< for many tokens
  std::size_t min_prompt_tokens;  ///< fewer tokens than this go through `decode`, where it has both
};

/// Float work of a forward pass.
///
/// What decides how activations are rounded to int8 (norms, quantization, scales) is computed in double precision and
/// rounded once, so that a tie falls as it would in exact arithmetic wherever floats can tell.
///
/// Exact  every table gives the same bits: sums run over 16 virtual lanes (lane = index mod 16, elements in index
///        order) that are combined in one fixed tree (8 + 8, 4 + 4, 2 + 2, 1 + 1: lane i with lane i + half), no
///        multiply-add is fused, and exp is one shared polynomial. No alignment is required unless said.
struct FloatKernels {
  const char* name;
  Isa isa;

  /// y[i] = x[i] * (1 / sqrt(mean(x^2) + eps)) * weight[i], in double.  x, weight, y: (n); y may be x.
  void (*rms_norm)(const float* x, const float* weight, std::size_t n, float eps, float* y);
  /// q[i] = round-half-even(x[i] * s), s = 127 / max(max|x|, 1e-5), in double; returns max(max|x|, 1e-5) / 127, the
  /// value of one step of q. NaN counts as 0, infinities saturate; |q| <= 127 always.
  double (*quantize)(const float* x, std::size_t n, std::int8_t* q);
  /// y[i] = sums[i] * scale, in double.
  void (*scale_sums)(const std::int32_t* sums, std::size_t n, double scale, float* y);
  /// y[i] = sums[i] * (scale * row_scales[i]), in double.
  void (*scale_sums_by_row)(const std::int32_t* sums, std::size_t n, double scale, const float* row_scales, float* y);
  /// y[i] = sums[i] * (scale * row_scales[i]), added to y[i] when `accumulate`; in float, since many such values make a
  /// sum. row_scales: (n) f16
  void (*add_scaled_sums)(const std::int32_t* sums, std::size_t n, float scale, const std::uint16_t* row_scales,
                          bool accumulate, float* y);
  /// y[i] += x[i].
  void (*add)(const float* x, std::size_t n, float* y);
  /// y[i] = y[i] * s.
  void (*scale)(float s, std::size_t n, float* y);
  /// y[i] = silu(gate[i]) * up[i], silu(z) = z / (1 + exp(-z)).  y may be gate or up.
  void (*silu_mul)(const float* gate, const float* up, std::size_t n, float* y);
  /// y[i] = gelu(gate[i]) * up[i] with the tanh approximation, see GeluConstants.  y may be gate or up.
  void (*gelu_mul)(const float* gate, const float* up, std::size_t n, float* y);
  /// y[i] = max(gate[i], 0)^2 * up[i].  y may be gate or up.
  void (*relu2_mul)(const float* gate, const float* up, std::size_t n, float* y);
  /// Rotates pairs (x[i], x[i + n/2]) by cos[i], sin[i].  x: (n); cos, sin: (n / 2).
  void (*rope_neox)(float* x, const float* cos, const float* sin, std::size_t n);
  /// Rotates pairs (x[2i], x[2i + 1]).
  void (*rope_norm)(float* x, const float* cos, const float* sin, std::size_t n);

  void (*f16_to_f32)(const std::uint16_t* x, std::size_t n, float* y);
  void (*f32_to_f16)(const float* x, std::size_t n, std::uint16_t* y);  // round to nearest even

  /// y[r] = rows[r] . x for r < n_rows.  rows: (n_rows, n) with `stride` elements from row to row; x: (n).
  void (*dot_rows_f32)(const float* rows, std::size_t stride, std::size_t n_rows, const float* x, std::size_t n,
                       float* y);
  void (*dot_rows_f16)(const std::uint16_t* rows, std::size_t stride, std::size_t n_rows, const float* x, std::size_t n,
                       float* y);
};

/// The oracle: y[t][r] = sum over c of (codes[r][c] - 1) * x[t][c], in the plainest way. Shares no code with kernels.
///
/// codes: (n_rows, cols); x: (n_tokens, cols); y: (n_tokens, n_rows)
void reference_product(const std::uint8_t* codes, std::size_t n_rows, std::size_t cols, const std::int8_t* x,
                       std::size_t n_tokens, std::int32_t* y);

}  // namespace tern::kernels
