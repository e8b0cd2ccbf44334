#include "src/nn/weight_store.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <optional>
#include <utility>

#include "src/base/check.h"
#include "src/base/keep_least.h"
#include "src/base/printable.h"

namespace tern::nn {
namespace {

/// Weights are followed by this much readable memory, so that prefetching past a matrix touches nothing strange.
constexpr std::size_t kArenaTail = 64 * 1024;  // bytes

/// Of a float head, between two times that its pages are given back.
constexpr std::size_t kReadTogether = 1024 * 1024;  // bytes

std::string shape_text(const format::TensorInfo& tensor) {
  std::string text = fmt::format("{}", tensor.dims[tensor.n_dims - 1]);
  for (std::uint32_t d = tensor.n_dims - 1; d > 0; --d) text += fmt::format(", {}", tensor.dims[d - 1]);
  return "(" + text + ")";
}

/// Bytes of a packed tensor whatever its scales turn out to be.
std::size_t largest_packed_bytes(const kernels::TernaryLayout& layout, const weights::TensorCodec& codec,
                                 std::size_t rows, std::size_t cols) {
  const std::size_t whole = weights::packed_bytes(layout, rows, cols);
  const std::size_t block_cols = codec.scale_cols(cols);
  return std::max(whole, cols / block_cols * weights::packed_bytes(layout, rows, block_cols));
}

/// Weights with a scale of 1 have theirs in NAME.scale: taken as their own, a product is rounded once, as in other
/// types.
void take_scale(Linear& linear) {
  weights::TernaryMatrix& matrix = *linear.ternary;
  if (matrix.kind != weights::ScaleKind::kTensor || matrix.scales[0] != 1.0f) return;
  matrix.scales[0] = std::exchange(linear.scale, 1.0f);
}

}  // namespace

const format::TensorInfo* WeightStore::find(const std::string& name, std::size_t rows, std::size_t cols) {
  const format::TensorInfo* tensor = gguf_.find(name);
  if (tensor == nullptr) return nullptr;
  const bool fits = tensor->rows() == rows && tensor->cols() == cols && tensor->n_elements == rows * cols;
  if (!fits) {
    const std::string expected = rows == 1 ? fmt::format("({})", cols) : fmt::format("({}, {})", rows, cols);
    fail(ErrorKind::kBadFile, "{}: tensor {}: expected shape {}, found {}", gguf_.metadata.source(), name, expected,
         shape_text(*tensor));
  }
  used_.insert(tensor->name);
  return tensor;
}

const format::TensorInfo& WeightStore::require(const std::string& name, std::size_t rows, std::size_t cols) {
  const format::TensorInfo* tensor = find(name, rows, cols);
  if (tensor == nullptr) fail(ErrorKind::kBadFile, "{}: tensor {} is missing", gguf_.metadata.source(), name);
  return *tensor;
}

const weights::TensorCodec& WeightStore::codec_of(const format::TensorInfo& tensor) const {
  if (is_own_type(tensor.type)) {  // parsing refused unknown types
    fail(ErrorKind::kBadFile, "{}: tensor {}: expected a type that can be read as floats, found packed weights",
         gguf_.metadata.source(), printable(tensor.name));
  }
  return weights::codec_of(tensor, i2s_layout_ == I2sLayout::k64);
}

const Linear* WeightStore::linear(const std::string& name, std::size_t rows, std::size_t cols) {
  const format::TensorInfo& tensor = require(name + ".weight", rows, cols);
  Linear& linear = linears_.emplace_back();
  linear.name = name;
  linear.rows = rows;
  linear.cols = cols;
  if (const auto packed = find_packed_type(tensor.type)) {
    pending_.push_back({&linear, &tensor, nullptr, true, packed});
  } else if (const weights::TensorCodec& codec = codec_of(tensor); codec.is_ternary()) {
    pending_.push_back({&linear, &tensor, &codec});
  } else {
    linear.dense = map_dense(tensor, codec);
  }
  if (const auto* bias = find(name + ".bias", 1, rows)) linear.bias = read_vector(*bias);
  if (const auto* scale = find(name + ".scale", 1, 1)) linear.scale = read_vector(*scale)[0];
  return &linear;
}

const Linear* WeightStore::embedding(const std::string& name, std::size_t rows, std::size_t cols) {
  const format::TensorInfo& tensor = require(name + ".weight", rows, cols);
  const weights::TensorCodec& codec = codec_of(tensor);
  Linear& linear = linears_.emplace_back();
  linear.name = name;
  linear.rows = rows;
  linear.cols = cols;
  linear.dense = map_dense(tensor, codec);
  if (codec.is_ternary()) pending_.push_back({&linear, &tensor, &codec, false});
  return &linear;
}

void WeightStore::pack_head(const Linear& head) {
  for (Pending& p : pending_) p.packs = p.packs || p.linear == &head;
}

void WeightStore::map_head(const Linear& head, const format::TensorInfo& tensor, const kernels::HeadKernels& kernels) {
  if (tensor.rows() != head.rows || tensor.cols() != head.cols || tensor.n_elements != head.rows * head.cols) {
    fail(ErrorKind::kBadFile, "{}: tensor {}: expected shape ({}, {}), found {}", gguf_.metadata.source(),
         printable(tensor.name), head.rows, head.cols, shape_text(tensor));
  }
  if (tensor.type == kInt8HeadType) {
    own(head).int8 = view_head(gguf_.metadata.source(), tensor, kernels);
  } else if (const auto packed = find_packed_type(tensor.type)) {
    pending_.push_back({&own(head), &tensor, nullptr, true, packed});
  } else {
    fail(ErrorKind::kBadFile, "{}: tensor {}: expected packed weights, found type {}", gguf_.metadata.source(),
         printable(tensor.name), tensor.type);
  }
}

Linear& WeightStore::own(const Linear& linear) {
  const auto owned = std::ranges::find(linears_, &linear, [](const Linear& each) { return &each; });
  TERN_DCHECK(owned != linears_.end());
  return *owned;
}

const WeightStore::Pending& WeightStore::pending_of(const Linear& linear) const {
  const auto found =
      std::ranges::find_if(pending_, [&](const Pending& p) { return p.linear == &linear && p.packs && !p.packed; });
  TERN_DCHECK(found != pending_.end());
  return *found;
}

std::vector<WeightStore::Packable> WeightStore::packables() const {
  std::vector<Packable> list;
  for (const Pending& p : pending_) {
    if (p.packs && !p.packed) list.push_back({p.linear, p.tensor});
  }
  return list;
}

std::size_t WeightStore::scale_cols() const {
  const auto first = std::ranges::find_if(pending_, [](const Pending& p) { return p.packs; });
  if (first == pending_.end()) return 0;
  if (first->packed) return first->packed->kind == weights::ScaleKind::kBlock ? first->packed->block_cols : 0;
  const std::uint32_t elements = first->codec->scale_elements;
  if (elements == 0 || elements == weights::kScalePerRow) return 0;  // without a look at the tensor
  return plan_of(*first, nullptr).block_cols;
}

std::span<const float> WeightStore::vector(const std::string& name, std::size_t size) {
  return vectors_.emplace_back(read_vector(require(name + ".weight", 1, size)));
}

std::span<const float> WeightStore::optional_vector(const std::string& name, std::size_t size) {
  const format::TensorInfo* tensor = find(name + ".weight", 1, size);
  if (tensor == nullptr) return {};
  return vectors_.emplace_back(read_vector(*tensor));
}

std::vector<float> WeightStore::read_vector(const format::TensorInfo& tensor) const {
  const weights::TensorCodec& codec = codec_of(tensor);
  if (codec.is_ternary()) {
    fail(ErrorKind::kUnsupported, "{}: tensor {}: expected a float type, found {}", gguf_.metadata.source(),
         printable(tensor.name), codec.name);
  }
  std::vector<float> values(tensor.n_elements);
  codec.decode_row(tensor.data.data(), values.size(), values.data());
  for (const float value : values) {
    if (!std::isfinite(value)) {
      fail(ErrorKind::kBadFile, "{}: tensor {}: expected finite values, found {}", gguf_.metadata.source(),
           printable(tensor.name), value);
    }
  }
  return values;
}

DenseMatrix WeightStore::map_dense(const format::TensorInfo& tensor, const weights::TensorCodec& codec) {
  TERN_DCHECK(!tensor.convert);  // only layers are
  // Elements are aligned: mappings begin at a page, and the parser demands an alignment of 8 bytes or more.
  TERN_DCHECK(reinterpret_cast<std::uintptr_t>(tensor.data.data()) % alignof(float) == 0);
  return {&codec, tensor.data.data(), codec.row_bytes(tensor.cols()), tensor.rows(), tensor.cols()};
}

void WeightStore::check_all_used() const {
  for (const format::TensorInfo& tensor : gguf_.tensors) {
    if (used_.contains(tensor.name)) continue;
    fail(ErrorKind::kUnsupported, "{}: tensor {}: not part of this architecture, so the result would be wrong",
         gguf_.metadata.source(), printable(tensor.name));
  }
}

std::uint64_t WeightStore::packed_bytes(const kernels::TernaryLayout& layout) const {
  std::uint64_t bytes = 0;
  for (const Linear& linear : linears_) bytes += packed_bytes(layout, linear);
  return bytes;
}

std::uint64_t WeightStore::packed_bytes(const kernels::TernaryLayout& layout, const Linear& linear) const {
  if (linear.ternary) return linear.ternary->bytes();
  for (const Pending& p : pending_) {
    if (p.linear == &linear && p.packed) return p.tensor->data.size();
    if (p.linear == &linear && p.packs) return weights::packed_bytes(layout, linear.rows, linear.cols);
  }
  return 0;
}

std::uint64_t WeightStore::vector_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const std::vector<float>& vector : vectors_) bytes += vector.size() * sizeof(float);
  return bytes;
}

void WeightStore::refuse_code(const format::TensorInfo& tensor, std::size_t row) const {
  fail(ErrorKind::kBadFile, "{}: tensor {}: row {}: expected ternary codes 0, 1, 2, found 3", gguf_.metadata.source(),
       printable(tensor.name), row);
}

void WeightStore::check_rows(const Pending& p) const {
  static_cast<void>(weights::plan_scales(gguf_.metadata.source(), *p.tensor, *p.codec));
  std::vector<std::uint8_t> codes(p.linear->cols);
  for (std::size_t row = 0; row < p.linear->rows; ++row) {
    if (!p.codec->unpack_row(p.tensor->data.data(), row, codes.size(), codes.data())) refuse_code(*p.tensor, row);
  }
}

PackedType WeightStore::plan_of(const Pending& p, const kernels::TernaryLayout* layout) const {
  const format::OwnForm own_form(*p.tensor);
  const weights::ScalePlan plan = weights::plan_scales(gguf_.metadata.source(), own_form.tensor, *p.codec);
  files_.release(p.tensor->data);
  return {layout, plan.kind, plan.kind == weights::ScaleKind::kBlock ? plan.block_cols : 0};
}

PackedType WeightStore::plan(const Linear& linear, const kernels::TernaryLayout& layout) const {
  return plan_of(pending_of(linear), &layout);
}

WeightStore::Packed WeightStore::pack(const Linear& linear, const kernels::TernaryLayout& layout,
                                      ThreadPool& pool) const {
  const Pending& p = pending_of(linear);
  const format::OwnForm own_form(*p.tensor);
  weights::ScalePlan plan = weights::plan_scales(gguf_.metadata.source(), own_form.tensor, *p.codec);
  Packed packed;
  packed.memory = AlignedBuffer<std::uint8_t>(weights::packed_bytes(layout, linear.rows, linear.cols, plan));
  packed.matrix = weights::make_ternary_matrix(layout, linear.rows, linear.cols, std::move(plan), packed.memory.span());
  const std::size_t scratch_bytes = weights::pack_scratch_bytes(packed.matrix);
  AlignedBuffer<std::uint8_t> scratch(pool.size() * scratch_bytes);
  std::atomic<std::size_t> bad_row{linear.rows};
  pool.parallel_for(linear.rows, layout.row_block, [&](std::size_t begin, std::size_t end, unsigned thread) {
    const auto own_scratch = scratch.span().subspan(thread * scratch_bytes, scratch_bytes);
    if (const auto bad = weights::pack_rows(own_form.tensor, *p.codec, begin, end, packed.matrix, own_scratch)) {
      keep_least(bad_row, *bad);
    }
  });
  if (bad_row < linear.rows) refuse_code(*p.tensor, bad_row);
  files_.release(p.tensor->data);
  return packed;
}

/// One matrix, by one thread.
void WeightStore::read(const Pending& p, const kernels::TernaryLayout& layout, std::span<std::uint8_t> memory) const {
  const std::string& source = gguf_.metadata.source();
  if (p.packed) {
    TERN_DCHECK(p.packed->layout == &layout);
    MappedFile::fetch(p.tensor->data);
    p.linear->ternary = view_packed(source, *p.tensor, *p.packed);
    return take_scale(*p.linear);
  }
  if (!p.packs) {
    if (checks_embeddings_) check_rows(p);
    return files_.release(p.tensor->data);
  }
  const format::OwnForm own_form(*p.tensor);
  weights::ScalePlan plan = weights::plan_scales(source, own_form.tensor, *p.codec);
  weights::TernaryMatrix matrix =
      weights::make_ternary_matrix(layout, p.linear->rows, p.linear->cols, std::move(plan), memory);
  AlignedBuffer<std::uint8_t> scratch(weights::pack_scratch_bytes(matrix));
  if (const auto row = weights::pack_rows(own_form.tensor, *p.codec, 0, matrix.rows, matrix, scratch.span())) {
    refuse_code(*p.tensor, *row);
  }
  p.linear->ternary = std::move(matrix);
  take_scale(*p.linear);
  files_.release(p.tensor->data);
}

void WeightStore::load(const kernels::TernaryLayout& layout, ThreadPool& pool,
                       const std::function<void(double)>& on_progress) {
  // Scales are read when a tensor's turn comes, so that its pages are touched once. Until then the larger of the two
  // possible sizes is set aside; memory that is never touched costs nothing.
  std::vector<std::size_t> offsets{0};
  for (const Pending& p : pending_) {
    const auto [rows, cols] = std::pair(p.linear->rows, p.linear->cols);
    const bool packs = p.packs && !p.packed;
    offsets.push_back(offsets.back() + (packs ? largest_packed_bytes(layout, *p.codec, rows, cols) : 0));
  }
  arena_ = HugeBuffer(offsets.back() + kArenaTail);

  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> errors(pool.size());
  pool.run([&](unsigned thread) {
    try {
      for (std::size_t i = next++; i < pending_.size(); i = next++) {
        read(pending_[i], layout, arena_.span().subspan(offsets[i], offsets[i + 1] - offsets[i]));
        if (thread == 0 && on_progress) on_progress(static_cast<double>(i + 1) / static_cast<double>(pending_.size()));
      }
    } catch (...) {
      errors[thread] = std::current_exception();
      next = pending_.size();  // the others need not go on
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  pending_.clear();
}

void WeightStore::quantize_head(const Linear& head, const kernels::HeadKernels& kernels, ThreadPool& pool) {
  TERN_DCHECK(fits_head(head.dense));
  const DenseMatrix& from = head.dense;
  head_memory_ = HugeBuffer(head_bytes(from.rows, from.cols) + kArenaTail);
  const HeadMatrix to = make_head(kernels, from.rows, from.cols, head_memory_.span());

  AlignedBuffer<float> scratch(pool.size() * from.cols);
  const std::size_t unit = std::max<std::size_t>(1, kReadTogether / from.row_bytes);  // rows
  std::atomic<std::size_t> bad_row{from.rows};
  pool.parallel_for(from.rows, unit, [&](std::size_t begin, std::size_t end, unsigned thread) {
    for (std::size_t row = begin; row < end; row += unit) {
      const std::size_t row_end = std::min(end, row + unit);
      const auto bad = quantize_rows(from, row, row_end, scratch.data() + thread * from.cols, to);
      if (bad) keep_least(bad_row, *bad);
      files_.release({from.data + row * from.row_bytes, (row_end - row) * from.row_bytes});
    }
  });
  if (bad_row < from.rows) {
    fail(ErrorKind::kBadFile, "{}: tensor {}.weight: row {}: expected finite values, found infinity or NaN",
         gguf_.metadata.source(), head.name, bad_row.load());
  }
  files_.release({from.data, from.bytes()});  // the pages that two parts share
  own(head).int8 = to;
}

}  // namespace tern::nn
