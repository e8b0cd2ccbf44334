#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tern/model.h"

/// Kernel-ready files: a model's weights packed as kernels read them, so that opening it maps the file and is done.
/// They are GGUF files with the keys, tensor names and shapes of the model that they were made of, and compute the same
/// bits.
namespace tern {

struct KernelReadyOptions {
  /// How the model is read, and for which kernel it is packed; on_progress tells how far it has come. With the head in
  /// int8, that is packed as well.
  OpenOptions open = {};
  /// Packs for other kernels than those that would run here: "plain", "rows64", "tile16x4" or "e5". Empty: those.
  std::string layout = {};
  /// Asked now and then; false: stop.
  std::function<bool()> keep_going = {};
};

/// Makes a kernel-ready file of any model that can be opened. It comes into being only when it is complete, and then
/// replaces what was there.
///
/// Returns   false when it was told to stop: nothing is left then
/// Errors    as Model::open; Error(kIo): cannot be written; Error(kUnsupported): is kernel-ready already;
///           Error(kInvalidArgument): an unknown layout
/// Cost      reads every byte of the model; memory for one tensor and the int8 head at a time
[[nodiscard]] bool write_kernel_ready(const std::filesystem::path& model, const std::filesystem::path& out,
                                      const KernelReadyOptions& options = {});

/// Whether this is a kernel-ready file. Errors as Model::open.
[[nodiscard]] bool is_kernel_ready(const std::filesystem::path& path);

/// Reads every byte of a kernel-ready file against the checksums in it. Opening one checks its keys, shapes and scales
/// only, which is why it is quick.
///
/// Errors    Error(kBadFile): not kernel-ready, or a tensor is not what was written (names the first)
void verify_kernel_ready(const std::filesystem::path& path);

}  // namespace tern
