#include "src/engine/convert_ready.h"

#include <algorithm>

#include "src/base/check.h"
#include "src/engine/model_source.h"
#include "src/nn/packed_type.h"
#include "tern/kernel_ready.h"

namespace tern::engine {
namespace {

void refuse_float_types(const ConvertOptions& options) {
  for (const std::string& type : {options.embedding, options.head}) {
    if (type == "keep") continue;
    fail(ErrorKind::kInvalidArgument,
         "embedding and head of a kernel-ready file are what tern computes with: expected type keep, found {}; convert "
         "to {} first, and that file to kernel-ready",
         type, type);
  }
}

std::string type_name(std::uint32_t type) {
  if (const auto packed = nn::find_packed_type(type)) return fmt::format("packed {}", packed->layout->name);
  if (type == nn::kInt8HeadType) return "int8 head";
  if (type == nn::kChecksumsType) return "checksums";
  return std::string(weights::find_codec(type)->name);
}

void count(const format::TensorInfo& tensor, ConvertSummary& summary) {
  count_tensor(type_name(tensor.type), tensor.data.size(), summary);
  if (nn::find_packed_type(tensor.type)) ++summary.n_converted;
}

}  // namespace

std::optional<ConvertSummary> convert_to_kernel_ready(const Conversion& conversion) {
  const ConvertOptions& options = conversion.options;
  refuse_float_types(options);
  const OpenOptions open = {
      .threads = options.threads, .i2s_layout = options.i2s_layout, .on_progress = options.on_progress};
  if (!write_kernel_ready(conversion.path, conversion.output,
                          {.open = open, .layout = options.layout, .keep_going = options.keep_going})) {
    return std::nullopt;
  }
  ConvertSummary summary;
  summary.source_bytes = conversion.files.bytes();
  MappedFiles files;
  const format::Gguf made = open_source(conversion.output, files);
  summary.bytes = files.bytes();
  for (const format::TensorInfo& tensor : made.tensors) count(tensor, summary);
  return summary;
}

}  // namespace tern::engine
