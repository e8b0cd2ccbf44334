#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "src/base/check.h"
#include "src/base/printable.h"

namespace tern::format {

static_assert(std::endian::native == std::endian::little, "the files are little-endian and read as they are");

/// A little-endian number at any address.
template <typename T>
[[nodiscard]] inline T load(const std::byte* from) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Puts one there.
template <typename T>
inline void store(std::byte* to, T value) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(to, &value, sizeof value);
}

/// What is being read, for messages: "length of key" or, with a name, "value of 'general.name'".
struct Field {
  std::string_view what;
  std::string_view name = {};

  [[nodiscard]] std::string text() const {
    return name.empty() ? std::string(what) : fmt::format("{} '{}'", what, printable(name));
  }
};

/// A cursor over untrusted bytes that never leaves them.
///
/// Errors    every read: Error(kBadFile) when fewer bytes are left than asked for
class ByteReader {
 public:
  /// Both must outlive the reader; `source` names the bytes in messages.
  ByteReader(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  [[nodiscard]] std::size_t remaining() const noexcept { return bytes_.size() - position_; }
  [[nodiscard]] const std::string& source() const noexcept { return source_; }

  [[nodiscard]] std::span<const std::byte> take(std::uint64_t n_bytes, Field field) {
    if (n_bytes > remaining()) {
      fail(ErrorKind::kBadFile, "{}: truncated: expected {} bytes at byte {} for the {}, found {}", source_, n_bytes,
           position_, field.text(), remaining());
    }
    const auto taken = bytes_.subspan(position_, static_cast<std::size_t>(n_bytes));
    position_ += taken.size();
    return taken;
  }

  template <typename T>
  [[nodiscard]] T number(Field field) {
    return load<T>(take(sizeof(T), field).data());
  }

  /// A length in 8 bytes, then that many bytes.
  [[nodiscard]] std::string_view string(std::uint64_t max_bytes, Field field) {
    const auto length = number<std::uint64_t>(field);
    if (length > max_bytes) {
      fail(ErrorKind::kBadFile, "{}: {} is too long: expected at most {} bytes, found {}", source_, field.text(),
           max_bytes, length);
    }
    const auto text = take(length, field);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& source_;
  std::size_t position_ = 0;
};

}  // namespace tern::format
