#pragma once

#include "kernels/attention.h"

/// The attention kernels, one table per instruction set; kernels/dispatch.h says which may run.
namespace tern::kernels {

extern const AttentionKernels kAttentionScalar;      // plain C++, any machine: the oracle of the others
extern const AttentionKernels kAttentionBaseline;    // x86-64 and AArch64
extern const AttentionKernels kAttentionAvx2;        // x86-64
extern const AttentionKernels kAttentionAvx512;      // x86-64
extern const AttentionKernels kAttentionAvx512Vnni;  // x86-64

}  // namespace tern::kernels
