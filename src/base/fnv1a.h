#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace tern {

/// FNV-1a, 64 bits. Source: http://www.isthe.com/chongo/tech/comp/fnv/
[[nodiscard]] constexpr std::uint64_t fnv1a(std::span<const std::byte> bytes) noexcept {
  std::uint64_t hash = 14695981039346656037u;
  for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 1099511628211u;
  return hash;
}

/// The same over 64-bit words, for much data: an eighth of the steps, and another hash. A change of one word always
/// changes it. Bytes beyond the last whole word are taken as one more, filled up with zeros.
class WordHash {
 public:
  void add(std::span<const std::byte> bytes) noexcept {
    while (!bytes.empty()) {
      std::uint64_t word = 0;
      const std::size_t n = bytes.size() < sizeof word ? bytes.size() : sizeof word;
      std::memcpy(&word, bytes.data(), n);
      add(word);
      bytes = bytes.subspan(n);
    }
  }
  void add(std::uint64_t word) noexcept {
    hash_ = (hash_ ^ word) * 1099511628211u;
    hash_ ^= hash_ >> 32;  // the product alone would never carry a high bit down
  }
  /// With its length, so that texts in a row cannot be taken for others.
  void add_text(std::string_view text) noexcept {
    add(std::uint64_t{text.size()});
    add(std::as_bytes(std::span(text)));
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return hash_; }

 private:
  std::uint64_t hash_ = 14695981039346656037u;
};

}  // namespace tern
