#include "src/format/gguf.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "src/base/check.h"
#include "src/base/checked_math.h"
#include "src/base/printable.h"
#include "src/format/byte_reader.h"
#include "src/format/shared_types.h"

// A GGUF file, little-endian, no padding but where noted:
//
//   0    "GGUF"
//   4    u32 version (2, 3)
//   8    u64 tensor count
//   16   u64 key count
//   24   keys      each: string key, u32 value type, value
//   ..   tensors   each: string name, u32 n_dims, u64 dims[n_dims], u32 type, u64 offset from the data's begin
//   ..   zeros up to a multiple of general.alignment: the data's begin
//   ..   data of every tensor, each at a multiple of the alignment
//
//   string = u64 length, bytes;  array = u32 element type, u64 count, elements
namespace tern::format {
namespace {

constexpr std::uint64_t kHeaderBytes = 24;
constexpr std::uint64_t kMinKeyBytes = 8 + 4 + 1;             // empty key, type, the smallest value
constexpr std::uint64_t kMinTensorBytes = 8 + 4 + 8 + 4 + 8;  // empty name, n_dims, one dim, type, offset

// Limits far above any real file, so that a hostile one cannot make us allocate or loop for long.
constexpr std::uint64_t kMaxKeys = 65536;
constexpr std::uint64_t kMaxTensors = 4 * 65536;
constexpr std::uint64_t kMaxKeyNameBytes = 65535;
constexpr std::uint64_t kMaxTensorNameBytes = 64;
constexpr std::uint64_t kMaxStringBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kMaxStrings = std::uint64_t{1} << 24;
constexpr std::uint64_t kMaxNumbers = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxMetadataBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 62;

constexpr std::uint64_t kDefaultAlignment = 32;     // bytes
constexpr std::uint64_t kMinAlignment = 8;          // bytes
constexpr std::uint64_t kMaxAlignment = 64 * 1024;  // bytes

struct Counts {
  std::uint64_t tensors = 0;
  std::uint64_t keys = 0;
};

std::uint32_t read_version(ByteReader& reader) {
  if (reader.remaining() < kHeaderBytes) {
    fail(ErrorKind::kBadFile, "{}: truncated: expected a header of {} bytes, found {}", reader.source(), kHeaderBytes,
         reader.remaining());
  }
  const auto magic = reader.take(4, {"magic"});
  const std::string_view found(reinterpret_cast<const char*>(magic.data()), magic.size());
  if (found != "GGUF") {
    fail(ErrorKind::kBadFile, "{}: not a GGUF file: expected the magic 'GGUF', found '{}'", reader.source(),
         printable(found));
  }
  const auto version = reader.number<std::uint32_t>({"version"});
  if (version != 0 && (version & 0xffffu) == 0) {
    fail(ErrorKind::kUnsupported, "{}: big-endian GGUF: expected a little-endian file", reader.source());
  }
  if (version != 2 && version != 3) {
    fail(ErrorKind::kUnsupported, "{}: GGUF version: expected 2 or 3, found {}", reader.source(), version);
  }
  return version;
}

void check_count(const ByteReader& reader, std::string_view what, std::uint64_t count, std::uint64_t max) {
  if (count > max) {
    fail(ErrorKind::kBadFile, "{}: {} count: expected at most {}, found {}", reader.source(), what, max, count);
  }
}

Counts read_counts(ByteReader& reader) {
  Counts counts;
  counts.tensors = reader.number<std::uint64_t>({"tensor count"});
  counts.keys = reader.number<std::uint64_t>({"key count"});
  check_count(reader, "tensor", counts.tensors, kMaxTensors);
  check_count(reader, "key", counts.keys, kMaxKeys);
  // The caps above keep this sum small.
  const std::uint64_t least = counts.keys * kMinKeyBytes + counts.tensors * kMinTensorBytes;
  if (least > reader.remaining()) {
    fail(ErrorKind::kBadFile, "{}: truncated: {} keys and {} tensors need at least {} bytes, found {}", reader.source(),
         counts.keys, counts.tensors, least, reader.remaining());
  }
  return counts;
}

ValueType read_value_type(ByteReader& reader, std::string_view key) {
  const auto type = reader.number<std::uint32_t>({"value type of key", key});
  if (type > static_cast<std::uint32_t>(ValueType::kF64)) {
    fail(ErrorKind::kUnsupported, "{}: key '{}': expected a value type from 0 to 12, found {}", reader.source(),
         printable(key), type);
  }
  return static_cast<ValueType>(type);
}

/// Bytes of a number or bool in the file; 0 for strings and arrays.
std::uint64_t number_bytes(ValueType type) noexcept {
  switch (type) {
    case ValueType::kU8:
    case ValueType::kI8:
    case ValueType::kBool:
      return 1;
    case ValueType::kU16:
    case ValueType::kI16:
      return 2;
    case ValueType::kU32:
    case ValueType::kI32:
    case ValueType::kF32:
      return 4;
    case ValueType::kU64:
    case ValueType::kI64:
    case ValueType::kF64:
      return 8;
    case ValueType::kString:
    case ValueType::kArray:
      break;
  }
  return 0;
}

void check_bools(const ByteReader& reader, std::span<const std::byte> bytes, std::string_view key) {
  for (const std::byte byte : bytes) {
    if (std::to_integer<unsigned>(byte) > 1) {
      fail(ErrorKind::kBadFile, "{}: key '{}': expected a bool of 0 or 1, found {}", reader.source(), printable(key),
           std::to_integer<unsigned>(byte));
    }
  }
}

/// Refuses a count whose elements cannot be there, before anything is allocated for them.
void check_array_fits(const ByteReader& reader, std::string_view key, std::uint64_t count, std::uint64_t max,
                      std::uint64_t element_bytes) {
  if (count > max) {
    fail(ErrorKind::kBadFile, "{}: key '{}': expected at most {} elements, found {}", reader.source(), printable(key),
         max, count);
  }
  const auto bytes = checked_mul(count, element_bytes);
  if (!bytes || *bytes > reader.remaining()) {
    fail(ErrorKind::kBadFile, "{}: truncated: key '{}': {} elements need at least {} bytes each, found {} in all",
         reader.source(), printable(key), count, element_bytes, reader.remaining());
  }
}

StringArray read_strings(ByteReader& reader, std::string_view key, std::uint64_t count) {
  check_array_fits(reader, key, count, kMaxStrings, sizeof(std::uint64_t));
  StringArray strings;
  strings.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) strings.push_back(reader.string(kMaxStringBytes, {"string of key", key}));
  return strings;
}

Value read_array(ByteReader& reader, std::string_view key) {
  const ValueType element = read_value_type(reader, key);
  const auto count = reader.number<std::uint64_t>({"array length of key", key});
  if (element == ValueType::kArray) {
    fail(ErrorKind::kUnsupported, "{}: key '{}': expected an array of numbers or strings, found an array of arrays",
         reader.source(), printable(key));
  }
  if (element == ValueType::kString) return read_strings(reader, key, count);
  check_array_fits(reader, key, count, kMaxNumbers, number_bytes(element));
  const auto bytes = reader.take(count * number_bytes(element), {"array of key", key});
  if (element == ValueType::kBool) check_bools(reader, bytes, key);
  return NumberArray{.element = element, .count = static_cast<std::size_t>(count), .bytes = bytes};
}

Value read_value(ByteReader& reader, std::string_view key, ValueType type) {
  const Field field{"value of key", key};
  switch (type) {
    case ValueType::kString:
      return reader.string(kMaxStringBytes, field);
    case ValueType::kArray:
      return read_array(reader, key);
    case ValueType::kF32:
      return static_cast<double>(reader.number<float>(field));
    case ValueType::kF64:
      return reader.number<double>(field);
    case ValueType::kU64:
      return reader.number<std::uint64_t>(field);
    default:
      break;
  }
  const NumberArray one{.element = type, .count = 1, .bytes = reader.take(number_bytes(type), field)};
  if (type == ValueType::kBool) {
    check_bools(reader, one.bytes, key);
    return one.integer(0) != 0;
  }
  const bool is_unsigned = type == ValueType::kU8 || type == ValueType::kU16 || type == ValueType::kU32;
  if (is_unsigned) return static_cast<std::uint64_t>(one.integer(0));
  return one.integer(0);
}

void read_metadata(ByteReader& reader, std::uint64_t n_keys, Metadata& metadata) {
  for (std::uint64_t i = 0; i < n_keys; ++i) {
    const std::string_view key = reader.string(kMaxKeyNameBytes, {"key"});
    if (key.empty()) fail(ErrorKind::kBadFile, "{}: key {}: expected a name, found none", reader.source(), i);
    const ValueType type = read_value_type(reader, key);
    metadata.add(key, read_value(reader, key, type), type);
    if (reader.position() > kMaxMetadataBytes) {
      fail(ErrorKind::kBadFile, "{}: metadata: expected at most {} bytes, found more at key '{}'", reader.source(),
           kMaxMetadataBytes, printable(key));
    }
  }
}

void read_shape(ByteReader& reader, TensorInfo& tensor) {
  tensor.n_dims = reader.number<std::uint32_t>({"number of dimensions of tensor", tensor.name});
  if (tensor.n_dims < 1 || tensor.n_dims > tensor.dims.size()) {
    fail(ErrorKind::kBadFile, "{}: tensor '{}': expected 1 to {} dimensions, found {}", reader.source(),
         printable(tensor.name), tensor.dims.size(), tensor.n_dims);
  }
  tensor.n_elements = 1;
  for (std::uint32_t d = 0; d < tensor.n_dims; ++d) {
    const auto dim = reader.number<std::uint64_t>({"shape of tensor", tensor.name});
    const auto product = checked_mul(tensor.n_elements, dim);
    if (dim == 0 || !product || *product > kMaxElements) {
      fail(ErrorKind::kBadFile, "{}: tensor '{}': expected 1 to 2^62 elements, found dimension {} of {}",
           reader.source(), printable(tensor.name), d, dim);
    }
    tensor.dims[d] = dim;
    tensor.n_elements = *product;
  }
}

Extent read_tensor(ByteReader& reader, TensorSizer tensor_size, TensorInfo& tensor) {
  tensor.name = reader.string(kMaxTensorNameBytes, {"tensor name"});
  if (tensor.name.empty()) fail(ErrorKind::kBadFile, "{}: expected a tensor's name, found none", reader.source());
  read_shape(reader, tensor);
  tensor.type = reader.number<std::uint32_t>({"type of tensor", tensor.name});
  const auto offset = reader.number<std::uint64_t>({"offset of tensor", tensor.name});
  const TensorSize size = tensor_size(tensor.type, tensor.cols(), tensor.n_elements);
  if (!size.bytes) fail(size.kind, "{}: tensor '{}': {}", reader.source(), printable(tensor.name), size.error);
  return {.offset = offset, .bytes = *size.bytes, .other = size.other};
}

/// Reads the directory; the tensors' data spans are set later, when the data's begin is known.
std::vector<Extent> read_tensors(ByteReader& reader, std::uint64_t n_tensors, TensorSizer tensor_size, Gguf& gguf) {
  std::vector<Extent> extents;
  for (std::uint64_t i = 0; i < n_tensors; ++i) {
    TensorInfo tensor;
    extents.push_back(read_tensor(reader, tensor_size, tensor));
    gguf.add(std::move(tensor), reader.source());
  }
  return extents;
}

/// Points every tensor at its bytes, all of which must be in the file.
void locate_tensors(std::span<const std::byte> file, std::uint64_t data_begin, std::span<const Extent> extents,
                    Gguf& gguf) {
  for (std::size_t i = 0; i < extents.size(); ++i) {
    const auto& [offset, bytes, other] = extents[i];
    const std::string& source = gguf.metadata.source();
    if (offset % gguf.alignment != 0) {
      fail(ErrorKind::kBadFile, "{}: tensor '{}': expected an offset that is a multiple of {}, found {}", source,
           printable(gguf.tensors[i].name), gguf.alignment, offset);
    }
    const auto begin = checked_add(data_begin, offset);
    const auto end = begin ? checked_add(*begin, bytes) : std::nullopt;
    if (!end || *end > file.size()) {
      fail(ErrorKind::kBadFile, "{}: truncated: tensor '{}': expected {} bytes at {} + {}, found a file of {} bytes",
           source, printable(gguf.tensors[i].name), bytes, data_begin, offset, file.size());
    }
    gguf.tensors[i].data = file.subspan(static_cast<std::size_t>(*begin), static_cast<std::size_t>(bytes));
  }
}

void check_no_overlap(std::span<const Extent> extents, const Gguf& gguf) {
  std::vector<std::size_t> order(extents.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return extents[a].offset < extents[b].offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const Extent& before = extents[order[i - 1]];
    const Extent& after = extents[order[i]];
    if (before.offset + before.bytes > after.offset) {
      fail(ErrorKind::kBadFile, "{}: tensor '{}' at offset {} overlaps tensor '{}' at {}", gguf.metadata.source(),
           printable(gguf.tensors[order[i]].name), after.offset, printable(gguf.tensors[order[i - 1]].name),
           before.offset);
    }
  }
}

}  // namespace

std::uint64_t read_alignment(const Metadata& metadata) {
  const auto alignment = metadata.integer("general.alignment", kMaxAlignment).value_or(kDefaultAlignment);
  if (!std::has_single_bit(alignment) || alignment < kMinAlignment) {
    fail(ErrorKind::kBadFile, "{}: key 'general.alignment': expected a power of two from {} to {}, found {}",
         metadata.source(), kMinAlignment, kMaxAlignment, alignment);
  }
  return alignment;
}

const TensorInfo* Gguf::find(std::string_view name) const {
  const auto found = tensor_index.find(name);
  return found == tensor_index.end() ? nullptr : &tensors[found->second];
}

void Gguf::add(TensorInfo tensor, const std::string& file) {
  if (!tensor_index.emplace(tensor.name, tensors.size()).second) {
    fail(ErrorKind::kBadFile, "{}: duplicate tensor '{}': expected each name once", file, printable(tensor.name));
  }
  tensors.push_back(std::move(tensor));
}

Gguf parse_gguf(std::span<const std::byte> file, std::string source, TensorSizer tensor_size) {
  Gguf gguf{.metadata = Metadata(std::move(source)), .tensors = {}, .tensor_index = {}, .arena = {}};
  ByteReader reader(file, gguf.metadata.source());
  gguf.version = read_version(reader);
  const Counts counts = read_counts(reader);
  read_metadata(reader, counts.keys, gguf.metadata);
  gguf.alignment = read_alignment(gguf.metadata);
  std::vector<Extent> extents = read_tensors(reader, counts.tensors, tensor_size, gguf);
  const std::uint64_t data_begin = round_up(reader.position(), gguf.alignment);
  resolve_shared_types(extents, file.size() - std::min<std::uint64_t>(data_begin, file.size()), gguf);
  locate_tensors(file, data_begin, extents, gguf);
  check_no_overlap(extents, gguf);
  return gguf;
}

}  // namespace tern::format
