#pragma once

#include "src/weights/codec.h"

/// The codecs of this folder, one or a few per file; codec_table.cpp lists them.
namespace tern::weights {

extern const TensorCodec kF32, kF16, kBf16;  // float_types.cpp
extern const TensorCodec kQ4_0;              // q4_0.cpp
extern const TensorCodec kQ8_0;              // q8_0.cpp
extern const TensorCodec kQ4K, kQ5K, kQ6K;   // k_quants.cpp
extern const TensorCodec kTq1_0;             // tq1_0.cpp
extern const TensorCodec kTq2_0;             // tq2_0.cpp
extern const TensorCodec kI2s, kI2s64;       // i2_s.cpp: blocks of 128 and of 64

}  // namespace tern::weights
