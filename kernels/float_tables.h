#pragma once

#include "kernels/kernels.h"

/// The float kernels, one table per instruction set; kernels/dispatch.h says which may run.
namespace tern::kernels {

extern const FloatKernels kFloatScalar;    // plain C++, any machine: the oracle of the others
extern const FloatKernels kFloatBaseline;  // x86-64 and AArch64
extern const FloatKernels kFloatAvx2;      // x86-64
extern const FloatKernels kFloatAvx512;    // x86-64

}  // namespace tern::kernels
