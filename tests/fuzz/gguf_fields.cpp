#include "tests/fuzz/gguf_fields.h"

#include <cstring>

namespace tern::fuzz {
namespace {

constexpr std::uint32_t kString = 8;
constexpr std::uint32_t kArray = 9;
constexpr std::size_t kMaxElements = 4;  // of an array that become fields
constexpr std::size_t kMaxFields = 4096;

/// Bytes of a value of this type; 0 for strings, arrays and unknown types.
std::size_t value_bytes(std::uint64_t type) {
  constexpr std::size_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < std::size(kBytes) ? kBytes[type] : 0;
}

/// Walks a header, and ends where it makes no sense any more.
class Walk {
 public:
  explicit Walk(std::span<const std::uint8_t> file) : file_(file) {
    number(4);  // magic
    number(4);  // version
    const std::uint64_t n_tensors = number(8);
    const std::uint64_t n_keys = number(8);
    for (std::uint64_t i = 0; i < n_keys && good(); ++i) key();
    for (std::uint64_t i = 0; i < n_tensors && good(); ++i) tensor();
  }
  std::vector<GgufField> fields;

 private:
  [[nodiscard]] bool good() const { return good_ && fields.size() < kMaxFields; }

  std::uint64_t number(std::size_t bytes, bool is_field = true) {
    if (!good_ || file_.size() - at_ < bytes) {
      good_ = false;
      return 0;
    }
    const GgufField field = {at_, bytes};
    at_ += bytes;
    if (is_field) fields.push_back(field);
    return get_field(file_, field);
  }
  void text(bool is_field = true) {
    const std::uint64_t length = number(8, is_field);
    good_ = good_ && length <= file_.size() - at_;
    if (good_) at_ += static_cast<std::size_t>(length);
  }
  void value(std::uint64_t type, bool is_field = true) {
    if (type == kString) {
      text(is_field);
    } else if (value_bytes(type) != 0) {
      number(value_bytes(type), is_field);
    } else {
      good_ = false;
    }
  }
  void key() {
    text();
    const std::uint64_t type = number(4);
    if (type != kArray) return value(type);
    const std::uint64_t element = number(4);
    const std::uint64_t count = number(8);
    for (std::uint64_t i = 0; i < count && good(); ++i) value(element, i < kMaxElements);
  }
  void tensor() {
    text();
    const std::uint64_t n_dims = number(4);
    for (std::uint64_t i = 0; i < n_dims && good(); ++i) number(8);
    number(4);  // type
    number(8);  // offset
  }

  std::span<const std::uint8_t> file_;
  std::size_t at_ = 0;
  bool good_ = true;
};

}  // namespace

std::vector<GgufField> gguf_fields(std::span<const std::uint8_t> file) { return Walk(file).fields; }

void set_field(std::span<std::uint8_t> file, GgufField field, std::uint64_t value) {
  std::memcpy(file.data() + field.at, &value, field.bytes);
}

std::uint64_t get_field(std::span<const std::uint8_t> file, GgufField field) {
  std::uint64_t value = 0;
  std::memcpy(&value, file.data() + field.at, field.bytes);
  return value;
}

}  // namespace tern::fuzz
