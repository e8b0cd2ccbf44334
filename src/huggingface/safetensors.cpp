#include "src/huggingface/safetensors.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/checked_math.h"
#include "src/base/printable.h"
#include "src/format/byte_reader.h"
#include "src/huggingface/json.h"

// A safetensors file, little-endian:
//
//   0      u64 n
//   8      n bytes of JSON, spaces at its end:
//          {"NAME": {"dtype": "BF16", "shape": [rows, cols], "data_offsets": [begin, end]}, ..., "__metadata__": {..}}
//   8 + n  data; offsets count from here, and every byte belongs to one tensor
namespace tern::huggingface {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kMaxNameBytes = 512;
constexpr std::size_t kMaxDims = 8;
constexpr std::uint64_t kMaxOffset = INT64_MAX;
constexpr std::string_view kMetadata = "__metadata__";

struct DtypeInfo {
  std::string_view name;
  Dtype dtype;
  std::uint64_t bytes;
};

constexpr DtypeInfo kDtypes[] = {{"BOOL", Dtype::kBool, 1}, {"U8", Dtype::kU8, 1},      {"I8", Dtype::kI8, 1},
                                 {"I16", Dtype::kI16, 2},   {"U16", Dtype::kU16, 2},    {"F16", Dtype::kF16, 2},
                                 {"BF16", Dtype::kBf16, 2}, {"I32", Dtype::kI32, 4},    {"U32", Dtype::kU32, 4},
                                 {"F32", Dtype::kF32, 4},   {"I64", Dtype::kI64, 8},    {"U64", Dtype::kU64, 8},
                                 {"F64", Dtype::kF64, 8},   {"F8_E4M3", Dtype::kF8, 1}, {"F8_E5M2", Dtype::kF8, 1}};

std::string_view read_header(format::ByteReader& reader) {
  const auto n_bytes = reader.number<std::uint64_t>({"length of the header"});
  if (n_bytes < 2 || n_bytes > kMaxHeaderBytes) {
    fail(ErrorKind::kBadFile, "{}: header: expected 2 to {} bytes, found {}", reader.source(), kMaxHeaderBytes,
         n_bytes);
  }
  const auto bytes = reader.take(n_bytes, {"header"});
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (header[0] != '{') {
    fail(ErrorKind::kBadFile, "{}: header: expected '{{', found '{}'", reader.source(), printable(header.substr(0, 1)));
  }
  return header;
}

const DtypeInfo& read_dtype(const Field& field) {
  const auto name = field.text();
  const auto* found =
      std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const DtypeInfo& known) { return known.name == name; });
  if (found == std::end(kDtypes)) field.refuse(ErrorKind::kUnsupported, "a dtype such as BF16, F16, F32 or U8");
  return *found;
}

/// Reads the shape and returns the number of bytes that it implies.
std::uint64_t read_shape(const Field& field, std::uint64_t element_bytes, StoredTensor& tensor) {
  if (!field.exists() || field.elements().size() > kMaxDims) {
    field.refuse(ErrorKind::kBadFile, fmt::format("a list of at most {} integers", kMaxDims));
  }
  std::uint64_t bytes = element_bytes;
  for (std::size_t d = 0; d < field.elements().size(); ++d) {
    const std::uint64_t extent = *field.at(d).natural(kMaxOffset);
    const auto product = checked_mul(bytes, extent);
    if (!product || *product > kMaxOffset) field.refuse(ErrorKind::kBadFile, "a tensor of less than 2^63 bytes");
    bytes = *product;
    tensor.shape.push_back(extent);
  }
  tensor.n_elements = bytes / element_bytes;
  return bytes;
}

StoredTensor read_tensor(const Field& entry, std::string_view name, std::span<const std::byte> data) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    entry.refuse(ErrorKind::kBadFile, fmt::format("a tensor's name of 1 to {} bytes", kMaxNameBytes));
  }
  if (entry.members().size() != 3) entry.refuse(ErrorKind::kBadFile, "an object of dtype, shape and data_offsets");
  StoredTensor tensor;
  tensor.name = name;
  const DtypeInfo& dtype = read_dtype(entry["dtype"]);
  tensor.dtype = dtype.dtype;
  const std::uint64_t bytes = read_shape(entry["shape"], dtype.bytes, tensor);
  const Field offsets = entry["data_offsets"];
  if (!offsets.exists() || offsets.elements().size() != 2) offsets.refuse(ErrorKind::kBadFile, "a list of 2 integers");
  const std::uint64_t begin = *offsets.at(0).natural(kMaxOffset);
  const std::uint64_t end = *offsets.at(1).natural(kMaxOffset);
  if (begin > end || end > data.size()) {
    fail(ErrorKind::kBadFile, "{}: tensor '{}': expected bytes within 0 .. {}, found {} .. {}", entry.source(),
         printable(name), data.size(), begin, end);
  }
  if (end - begin != bytes) {
    fail(ErrorKind::kBadFile, "{}: tensor '{}': expected {} bytes of {}, as its shape says, found {}", entry.source(),
         printable(name), bytes, to_string(tensor.dtype), end - begin);
  }
  tensor.data = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(bytes));
  return tensor;
}

/// Every byte of the data belongs to one tensor.  tensors: in the order of their bytes
void check_covered(std::span<const StoredTensor> tensors, std::span<const std::byte> data, const std::string& source) {
  const std::byte* expected = data.data();
  for (const StoredTensor& tensor : tensors) {
    if (tensor.data.data() != expected) {
      fail(ErrorKind::kBadFile, "{}: tensor '{}': expected to begin at byte {} of the data, found {}", source,
           printable(tensor.name), expected - data.data(), tensor.data.data() - data.data());
    }
    expected += tensor.data.size();
  }
  if (expected != data.data() + data.size()) {
    fail(ErrorKind::kBadFile, "{}: expected {} bytes of data, as the tensors have together, found {}", source,
         expected - data.data(), data.size());
  }
}

}  // namespace

std::string_view to_string(Dtype dtype) noexcept {
  const auto* found = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                   [&](const DtypeInfo& known) { return known.dtype == dtype; });
  return found->name;
}

std::vector<StoredTensor> parse_safetensors(std::span<const std::byte> file, const std::string& source, Arena& arena) {
  format::ByteReader reader(file, source);
  const Json header = parse_json(read_header(reader), source, arena);
  const std::span<const std::byte> data = file.subspan(reader.position());
  const Field entries(header, source);
  std::vector<StoredTensor> tensors;
  for (std::size_t i = 0; i < entries.members().size(); ++i) {
    const std::string_view name = entries.members()[i].key;
    if (name != kMetadata) tensors.push_back(read_tensor(entries.at(i), name, data));
  }
  const auto place = [](const StoredTensor& tensor) { return std::pair(tensor.data.data(), tensor.data.size()); };
  std::sort(tensors.begin(), tensors.end(),
            [&](const StoredTensor& a, const StoredTensor& b) { return place(a) < place(b); });
  check_covered(tensors, data, source);
  return tensors;
}

}  // namespace tern::huggingface
