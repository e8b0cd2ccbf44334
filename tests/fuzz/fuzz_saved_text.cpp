// Any bytes as a saved text. Its checksum is put right on every second input, so that what comes after is reached.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "src/base/fnv1a.h"
#include "src/engine/session_file.h"
#include "tern/error.h"

namespace {

using tern::engine::TextState;

constexpr tern::nn::KvShape kShape = {.n_layers = 1, .n_kv_heads = 1, .n_positions = 40, .head_dim = 4};
constexpr std::size_t kVocabulary = 100;
constexpr std::uint64_t kFingerprint = 7;

/// The header that a good file would have: magic, version, fingerprint, KV type, layers, KV heads, head dimension.
std::vector<std::byte> good_beginning(std::uint64_t kv_type) {
  const std::uint64_t numbers[] = {1, kFingerprint, kv_type, kShape.n_layers, kShape.n_kv_heads, kShape.head_dim};
  std::vector<std::byte> bytes(8 + sizeof numbers);
  std::memcpy(bytes.data(), "TERNTEXT", 8);
  std::memcpy(bytes.data() + 8, numbers, sizeof numbers);
  return bytes;
}

void consume(std::vector<std::byte> file, tern::KvType type, bool make_good) {
  if (make_good && file.size() > sizeof(std::uint64_t)) {
    const auto contents = std::span(file).first(file.size() - sizeof(std::uint64_t));
    tern::WordHash hash;
    hash.add(contents);
    const std::uint64_t value = hash.value();
    std::memcpy(file.data() + contents.size(), &value, sizeof value);
  }
  TextState text{tern::nn::KvCache(kShape, type), {}};
  try {
    tern::engine::read_text(file, {"file", kFingerprint, kVocabulary}, text);
  } catch (const tern::Error&) {
    if (text.position() != 0) __builtin_trap();  // it has to be as before
    return;
  }
  if (text.position() > kShape.n_positions) __builtin_trap();
  for (const tern::Token token : text.tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= kVocabulary) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto type = static_cast<tern::KvType>(data[0] % 3);
  const auto rest = std::as_bytes(std::span(data + 1, size - 1));
  std::vector<std::byte> file;
  if ((data[0] & 0x40) != 0) file = good_beginning(static_cast<std::uint64_t>(type));
  file.insert(file.end(), rest.begin(), rest.end());
  consume(std::move(file), type, (data[0] & 0x80) != 0);
  return 0;
}
