#pragma once

#include "src/weights/codec.h"

/// The codecs of this folder, one or a few per file; codec_table.cpp lists them.
namespace tern::weights {

extern const TensorCodec kF32, kF16, kBf16;  // float_types.cpp
extern const TensorCodec kQ4_0;              // q4_0.cpp
extern const TensorCodec kQ8_0;              // q8_0.cpp
extern const TensorCodec kQ4K, kQ5K, kQ6K;   // k_quants.cpp
extern const TensorCodec kTq1_0, kPtq1_0;    // tq1_0.cpp
extern const TensorCodec kTq2_0;             // tq2_0.cpp
extern const TensorCodec kQ1_0;              // q1_0.cpp
extern const TensorCodec kQ2_0, kPq2_0;      // q2_0.cpp: blocks of 64 and of 128
extern const TensorCodec kIq1Bn;             // iq1_bn.cpp
extern const TensorCodec kIq2Bn, kIq2BnR4;   // iq2_bn.cpp
extern const TensorCodec kI2s, kI2s64;       // i2_s.cpp: blocks of 128 and of 64

}  // namespace tern::weights
