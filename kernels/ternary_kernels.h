#pragma once

#include "kernels/kernels.h"

/// The tables that the kernel files define. A kernel for an instruction set that this build cannot compile is
/// declared here and listed nowhere: see the list in dispatch.cpp.
namespace tern::kernels {

extern const TernaryKernel kReference;
extern const TernaryKernel kAddSubAvx2;
extern const TernaryKernel kAddSubAvx512;
extern const TernaryKernel kAddSubNeon;
extern const TernaryKernel kAddSubAvx512Vbmi;
extern const TernaryKernel kDotAvx2;
extern const TernaryKernel kDotAvxVnni;
extern const TernaryKernel kDotAvx512Vnni;
extern const TernaryKernel kDotNeonDotprod;
extern const TernaryKernel kDotNeonI8mm;
extern const TernaryKernel kDotAvx512Vbmi;
extern const TernaryKernel kDotAmx;

}  // namespace tern::kernels
