#include "src/format/gguf_writer.h"

#include <cstring>
#include <type_traits>
#include <variant>
#include <vector>

#include "src/base/check.h"
#include "src/base/checked_math.h"
#include "src/base/new_file.h"
#include "src/base/printable.h"

namespace tern::format {
namespace {

constexpr std::uint32_t kVersion = 3;

/// Bytes of the header, as they will lie in the file.
class Record {
 public:
  template <typename T>
  void put(T number) {
    static_assert(std::is_arithmetic_v<T>);
    append(std::as_bytes(std::span(&number, 1)));
  }
  void put_type(ValueType type) { put(static_cast<std::uint32_t>(type)); }
  void put_string(std::string_view text) {
    put(static_cast<std::uint64_t>(text.size()));
    append(std::as_bytes(std::span(text)));
  }
  void append(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void pad_to(std::uint64_t unit) { bytes_.resize(static_cast<std::size_t>(round_up(bytes_.size(), unit))); }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// A number of any C++ type in the type of the file, which holds it.
template <typename T>
void put_number(Record& record, ValueType type, T value) {
  switch (type) {
    case ValueType::kU8:
      return record.put(static_cast<std::uint8_t>(value));
    case ValueType::kI8:
      return record.put(static_cast<std::int8_t>(value));
    case ValueType::kU16:
      return record.put(static_cast<std::uint16_t>(value));
    case ValueType::kI16:
      return record.put(static_cast<std::int16_t>(value));
    case ValueType::kU32:
      return record.put(static_cast<std::uint32_t>(value));
    case ValueType::kI32:
      return record.put(static_cast<std::int32_t>(value));
    case ValueType::kU64:
      return record.put(static_cast<std::uint64_t>(value));
    case ValueType::kI64:
      return record.put(static_cast<std::int64_t>(value));
    case ValueType::kF32:
      return record.put(static_cast<float>(value));
    case ValueType::kF64:
      return record.put(static_cast<double>(value));
    default:
      TERN_DCHECK(false);  // Metadata gives numbers the types of numbers
  }
}

void put_value(Record& record, ValueType type, const Value& value) {
  struct {
    Record& record;
    ValueType type;
    void operator()(std::uint64_t number) const { put_number(record, type, number); }
    void operator()(std::int64_t number) const { put_number(record, type, number); }
    void operator()(double number) const { put_number(record, type, number); }
    void operator()(bool flag) const { record.put(static_cast<std::uint8_t>(flag ? 1 : 0)); }
    void operator()(std::string_view text) const { record.put_string(text); }
    void operator()(const NumberArray& numbers) const {
      record.put_type(numbers.element);
      record.put(static_cast<std::uint64_t>(numbers.count));
      record.append(numbers.bytes);
    }
    void operator()(const StringArray& strings) const {
      record.put_type(ValueType::kString);
      record.put(static_cast<std::uint64_t>(strings.size()));
      for (const std::string_view text : strings) record.put_string(text);
    }
  } put{record, type};
  record.put_type(type);
  std::visit(put, value);
}

/// Everything before the data, padded.
Record make_header(const Metadata& metadata, std::span<const NewTensor> tensors, std::uint64_t alignment) {
  Record header;
  header.append(std::as_bytes(std::span(std::string_view("GGUF"))));
  header.put(kVersion);
  header.put(static_cast<std::uint64_t>(tensors.size()));
  header.put(static_cast<std::uint64_t>(metadata.entries().size()));
  for (std::size_t i = 0; i < metadata.entries().size(); ++i) {
    const auto& [key, value] = metadata.entries()[i];
    header.put_string(key);
    put_value(header, metadata.stored_type(i), value);
  }
  std::uint64_t offset = 0;
  for (const NewTensor& tensor : tensors) {
    header.put_string(tensor.name);
    header.put(tensor.n_dims);
    for (std::uint32_t d = 0; d < tensor.n_dims; ++d) header.put(tensor.dims[d]);
    header.put(tensor.type);
    header.put(offset);
    offset += round_up(tensor.bytes, alignment);
  }
  header.pad_to(alignment);
  return header;
}

/// Thrown through whoever produces bytes.
struct Stopped {};

/// Writes pieces, and tells how far it has come.
class PieceWriter {
 public:
  PieceWriter(NewFile& file, std::uint64_t total, const WriteHooks& hooks)
      : file_(file), total_(total), hooks_(hooks) {}

  void put(std::span<const std::byte> bytes) {
    file_.write(bytes);
    n_written_ += bytes.size();
    if (hooks_.keep_going && !hooks_.keep_going()) throw Stopped{};
    if (hooks_.on_progress) hooks_.on_progress(static_cast<double>(n_written_) / static_cast<double>(total_));
  }
  void pad_to(std::uint64_t unit) {
    const std::vector<std::byte> zeros(static_cast<std::size_t>(round_up(n_written_, unit) - n_written_));
    if (!zeros.empty()) put(zeros);
  }
  [[nodiscard]] std::uint64_t n_written() const noexcept { return n_written_; }

 private:
  NewFile& file_;
  std::uint64_t total_;
  const WriteHooks& hooks_;
  std::uint64_t n_written_ = 0;
};

}  // namespace

bool write_gguf(const std::filesystem::path& path, const Metadata& metadata, std::span<const NewTensor> tensors,
                const WriteHooks& hooks) {
  const std::uint64_t alignment = read_alignment(metadata);
  const Record header = make_header(metadata, tensors, alignment);
  std::uint64_t total = header.bytes().size();
  for (const NewTensor& tensor : tensors) total += round_up(tensor.bytes, alignment);

  NewFile file(path);
  file.reserve(total);
  PieceWriter writer(file, total, hooks);
  try {
    writer.put(header.bytes());
    for (const NewTensor& tensor : tensors) {
      const std::uint64_t begin = writer.n_written();
      tensor.produce([&](std::span<const std::byte> bytes) { writer.put(bytes); });
      TERN_DCHECK(writer.n_written() - begin == tensor.bytes);
      static_cast<void>(begin);
      writer.pad_to(alignment);
    }
  } catch (const Stopped&) {
    return false;
  }
  file.sync();  // a crash must not leave a file of the right name with holes
  file.commit();
  return true;
}

}  // namespace tern::format
