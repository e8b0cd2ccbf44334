#pragma once

#include <cstddef>
#include <cstring>
#include <deque>
#include <span>
#include <string_view>

#include "src/base/aligned_buffer.h"

namespace tern {

/// Memory that lives as long as its owner, for texts and numbers that others view into. Moving it keeps every address.
class Arena {
 public:
  /// A copy of the text.
  [[nodiscard]] std::string_view keep(std::string_view text) {
    if (text.empty()) return {};
    char* copy = take(text.size());
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
  }

  /// Memory of its own, aligned to 64 bytes, not initialised.
  [[nodiscard]] std::span<std::byte> bytes(std::size_t n) { return buffers_.emplace_back(n).span().first(n); }

 private:
  static constexpr std::size_t kChunkBytes = std::size_t{1} << 18;

  [[nodiscard]] char* take(std::size_t n) {
    if (n > rest_.size()) {
      const std::span<std::byte> chunk = bytes(n > kChunkBytes ? n : kChunkBytes);
      if (n > kChunkBytes) return reinterpret_cast<char*>(chunk.data());
      rest_ = chunk;
    }
    char* taken = reinterpret_cast<char*>(rest_.data());
    rest_ = rest_.subspan(n);
    return taken;
  }

  std::deque<AlignedBuffer<std::byte>> buffers_;
  std::span<std::byte> rest_;  // of the newest chunk for texts
};

}  // namespace tern
