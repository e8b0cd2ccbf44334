#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "src/format/gguf.h"

namespace tern::format {

/// Takes the bytes of a tensor, piece by piece, in order.
using PutBytes = std::function<void(std::span<const std::byte>)>;

/// A tensor of a file in the making.
struct NewTensor {
  std::string_view name;
  std::uint32_t type = 0;
  std::array<std::uint64_t, 4> dims{1, 1, 1, 1};  // as in TensorInfo
  std::uint32_t n_dims = 0;
  std::uint64_t bytes = 0;
  /// Hands over exactly so many bytes. Called once, tensor after tensor in the order of the file.
  std::function<void(const PutBytes&)> produce = {};
};

/// What goes on meanwhile.
struct WriteHooks {
  std::function<void(double)> on_progress = {};  // gets the share done, 0 to 1
  std::function<bool()> keep_going = {};         // asked after every piece; false: stop
};

/// Writes a GGUF file of version 3, whose tensors lie one behind the other. It comes into being only when it is
/// complete, and then replaces what was there. `general.alignment` of the metadata, or 32 bytes, is heeded.
///
/// Returns   false when it was told to stop: nothing is left then
/// Errors    Error(kIo): cannot be written; what produce() throws; nothing is left either
/// Cost      no more memory than the header and what produce() hands over at a time
/// Source    ggml's GGUF specification, version 3; drawn in gguf.cpp
[[nodiscard]] bool write_gguf(const std::filesystem::path& path, const Metadata& metadata,
                              std::span<const NewTensor> tensors, const WriteHooks& hooks = {});

}  // namespace tern::format
