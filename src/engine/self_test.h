#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/dispatch.h"

/// Kernels against the reference, on the machine where they will run.
namespace tern::engine {

/// A result that is not what it should be.
struct Mismatch {
  std::string where;  // "decode, row 3 of token 0, 64 rows, 640 columns, 1 tokens, all +1 and 127"
  std::string expected;
  std::string found;
};

/// The first wrong sum of a kernel, in either phase: random products, those with rows and columns that fill no block,
/// and those whose partial sums are the largest possible.
[[nodiscard]] std::optional<Mismatch> find_mismatch(const kernels::TernaryKernel& kernel);

/// The first wrong logit of an output head: every table has to give the same bits as plain C++.
[[nodiscard]] std::optional<Mismatch> find_mismatch(const kernels::HeadKernels& head);

/// The first wrong element of what decides about the rounding of activations, and of the activation functions.
[[nodiscard]] std::optional<Mismatch> find_mismatch(const kernels::FloatKernels& floats);

}  // namespace tern::engine
