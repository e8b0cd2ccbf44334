#pragma once

#include "kernels/head.h"

/// The tables of the output head, one per instruction set; kernels/dispatch.h says which may run.
namespace tern::kernels {

extern const HeadKernels kHeadScalar;      // plain C++, any machine: the oracle of the others
extern const HeadKernels kHeadBaseline;    // x86-64 and AArch64
extern const HeadKernels kHeadAvx2;        // x86-64
extern const HeadKernels kHeadAvxVnni;     // x86-64
extern const HeadKernels kHeadAvx512;      // x86-64
extern const HeadKernels kHeadAvx512Vnni;  // x86-64
extern const HeadKernels kHeadAmx;         // x86-64

}  // namespace tern::kernels
