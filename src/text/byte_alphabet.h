#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tern::text {

/// GPT-2's printable alphabet, in which byte-level BPE vocabularies spell bytes.
///
/// Bytes 21-7E, A1-AC and AE-FF stand for themselves; the other 68, in increasing order, are U+0100, U+0101, ...
/// (so a space is U+0120 and a newline U+010A). Every character takes one or two bytes of UTF-8.
/// Source    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", their encoder.py
class ByteAlphabet {
 public:
  constexpr ByteAlphabet() : bytes_() {
    for (std::int16_t& byte : bytes_) byte = -1;
    std::size_t next_shifted = 0x100;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      bytes_[is_printable(byte) ? byte : next_shifted++] = static_cast<std::int16_t>(byte);
    }
  }

  /// Appends the bytes that `spelled` stands for; false, and `bytes` is as before, when a character is not ours.
  [[nodiscard]] bool append_bytes(std::string_view spelled, std::string& bytes) const {
    const std::size_t size_before = bytes.size();
    bytes.resize(size_before + spelled.size());
    char* next = bytes.data() + size_before;
    for (std::size_t i = 0; i < spelled.size(); ++i) {
      std::size_t code_point = static_cast<unsigned char>(spelled[i]);
      if (code_point >= 0x80) {
        const std::size_t second = i + 1 < spelled.size() ? static_cast<unsigned char>(spelled[i + 1]) : 0u;
        // Leads C2 to C5 reach all of the alphabet; others map to no character of it.
        const bool is_pair = code_point >= 0xC2 && code_point <= 0xC5 && (second & 0xC0u) == 0x80;
        code_point = is_pair ? (code_point & 0x1Fu) << 6 | (second & 0x3Fu) : bytes_.size() - 1;
        ++i;
      }
      const std::int16_t byte = bytes_[code_point];
      if (byte < 0) {
        bytes.resize(size_before);
        return false;
      }
      *next++ = static_cast<char>(byte);
    }
    bytes.resize(static_cast<std::size_t>(next - bytes.data()));
    return true;
  }

 private:
  static constexpr bool is_printable(std::size_t byte) noexcept {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
  }

  std::array<std::int16_t, 0x180> bytes_;  // code point -> byte, -1 = not in the alphabet
};

inline constexpr ByteAlphabet kByteAlphabet;

}  // namespace tern::text
