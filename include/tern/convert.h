#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tern/model.h"

namespace tern {

/// What becomes of a model's tensors. Types are named as in convert_types() and convert_float_types().
struct ConvertOptions {
  std::string type = "keep";               ///< of the ternary layers
  std::string embedding = "keep";          ///< of token_embd.weight, which is the head as well where there is no other
  std::string head = "keep";               ///< of output.weight
  I2sLayout i2s_layout = I2sLayout::k128;  ///< of the source
  std::string layout = {};                 ///< of type "kernel-ready", see KernelReadyOptions::layout
  bool overwrite = false;                  ///< whether a file may be there already
  unsigned threads = 0;                    ///< 0 = physical cores
  /// Gets the share done, 0 to 1, from the calling thread.
  std::function<void(double)> on_progress = {};
  /// Asked now and then, from the calling thread; false: stop.
  std::function<bool()> keep_going = {};
};

/// Tensors of one type.
struct ConvertedType {
  std::string type;  ///< e.g. "TQ2_0"
  std::size_t n_tensors = 0;
  std::uint64_t bytes = 0;
};

/// What was written.
struct ConvertSummary {
  std::uint64_t source_bytes = 0;  ///< of all files of the source
  std::uint64_t bytes = 0;         ///< of the new file
  std::vector<ConvertedType> types;
  std::size_t n_converted = 0;  ///< tensors that are of another type than in the source
  /// Where a scale had to be rounded to 16 bits: the largest relative error, and the tensor that has it.
  double largest_scale_error = 0.0;
  std::string least_exact_tensor;
  /// Ternary layers whose scale stands in a tensor NAME.scale beside them, in 32 bits.
  std::size_t n_scale_tensors = 0;
};

/// What ConvertOptions::type can be: "keep", the ternary types that tern writes, and "kernel-ready", a file for tern
/// alone (see tern/kernel_ready.h).
[[nodiscard]] std::vector<std::string> convert_types();
/// What ConvertOptions::embedding and head can be: "keep" and the float types that tern writes.
[[nodiscard]] std::vector<std::string> convert_float_types();

/// Writes a model, be it a GGUF file, a split one or a Hugging Face directory, as one GGUF file of other types.
///
/// Ternary weights stay what they are, bit for bit, and so do their scales wherever the new type has room for them.
/// TQ1_0 and TQ2_0 have scales of 16 bits: one that does not fit is rounded (see ConvertSummary), but for the
/// architecture `bitnet`, where it stands in a tensor of its own. Norms and other vectors become F32, which holds them
/// exactly. Of the keys, only those change that describe the file: alignment, file type, parts.
///
/// Returns   nothing when keep_going said so
/// Errors    Error: as inspect(); kInvalidArgument (a type that is not known or that a tensor does not fit, a file that
///           is there already or is the source itself, a head of its own asked of a model that has none), kIo,
///           kBadFile (values or codes that make no sense)
/// Exact     the same bytes whatever the number of threads
/// Memory    a few pieces of rows at a time; of a directory, one layer of packed weights; of kernel-ready files, one
///           tensor and the int8 head
/// The file  appears when it is complete, and nothing is left otherwise
[[nodiscard]] std::optional<ConvertSummary> convert(const std::filesystem::path& source,
                                                    const std::filesystem::path& output,
                                                    const ConvertOptions& options = {});

}  // namespace tern
