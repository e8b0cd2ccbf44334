#pragma once

#include <string>

#include "src/base/mapped_files.h"
#include "src/base/thread_pool.h"
#include "src/format/gguf_writer.h"
#include "src/weights/codec.h"

namespace tern::engine {

/// A tensor to be read row by row.
struct SourceTensor {
  const format::TensorInfo* info;
  const weights::TensorCodec* codec;
  const std::string* file;  // for messages
  const MappedFiles* files;

  [[nodiscard]] std::size_t cols() const noexcept { return static_cast<std::size_t>(info->cols()); }
  [[nodiscard]] std::size_t rows() const noexcept { return static_cast<std::size_t>(info->n_elements / info->cols()); }
};

// Each hands a tensor's new bytes to `put` in pieces of some megabytes, and gives the source's pages back as it goes.

/// The bytes as they are, or as TensorInfo::convert makes them.
void put_copy(const SourceTensor& source, const format::PutBytes& put);

/// Any type as floats of another one.
/// Errors    Error(kBadFile): values that are not finite, or beyond the type's range
void put_floats(const SourceTensor& source, const weights::TensorCodec& type, ThreadPool& pool,
                const format::PutBytes& put);

/// How the scales of a ternary tensor go over to another type.
struct ScaleTransfer {
  float factor = 1.0f;        // of the source's NAME.scale: multiplied into the scales
  float* separate = nullptr;  // gets the one scale of the tensor, to stand beside it; the blocks then have 1
};

/// A ternary type as another one. Returns the largest relative error of a scale.
/// Errors    Error(kBadFile): codes or scales that make no sense; Error(kInvalidArgument): scales of more values than
///           the type has room for, or beyond its range
double put_ternary(const SourceTensor& source, const weights::TensorCodec& type, const ScaleTransfer& transfer,
                   ThreadPool& pool, const format::PutBytes& put);

}  // namespace tern::engine
