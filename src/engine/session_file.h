#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "src/engine/runner.h"

/// Texts on disk, with what a model computed of them.
///
///     magic     8 bytes "TERNTEXT"
///     numbers   u64 each: version, the model's fingerprint, KV type, layers, KV heads, head dimension, tokens
///     tokens    i32 each, filled up to 8 bytes
///     cache     keys, values and scales as KvCache::for_each_run() gives them
///     checksum  u64, WordHash of everything before it
///
/// Little-endian. The version changes with the layout of the cache.
namespace tern::engine {

/// Writes a text to a file that comes into being when it is complete.
///
/// Errors    Error(kIo)
void save_text(const std::filesystem::path& path, std::uint64_t fingerprint, TextState& text);

/// Where a saved text comes from, and for whom it has to be.
struct SavedTextSource {
  std::string name;           // for errors
  std::uint64_t fingerprint;  // of the model
  std::size_t vocab_size;
};

/// Reads the bytes of a saved text into `text`, whose cache says what is expected.
///
/// Errors    as load_text(), but kIo
void read_text(std::span<const std::byte> file, const SavedTextSource& source, TextState& text);

/// Reads a text into `text`, whose cache says what is expected.
///
/// Errors    Error(kIo); Error(kBadFile): not such a file, truncated, changed; Error(kUnsupported): of another version,
///           model or KV type; Error(kInvalidArgument): longer than the context. `text` is as before.
void load_text(const std::filesystem::path& path, std::uint64_t fingerprint, std::size_t vocab_size, TextState& text);

}  // namespace tern::engine
