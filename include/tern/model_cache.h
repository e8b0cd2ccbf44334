#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "tern/model.h"

namespace tern {

struct ModelCacheOptions {
  /// Where copies are kept. Empty: "models" in cache_directory().
  std::filesystem::path directory = {};
  /// What they may take together; those that were not used for the longest time go first.
  std::uint64_t max_bytes = std::uint64_t{20} << 30;  // bytes
};

/// A model, and where it was opened from, in one line for the user.
struct CachedModel {
  std::shared_ptr<const Model> model;
  std::string note;
};

/// Opens a model by its kernel-ready copy (tern/kernel_ready.h), which is made first if there is none yet. Where that
/// cannot be done, because the disk is full or the directory not writable or another process is at it, the note says
/// so and the model is opened as ever.
///
/// A copy belongs to the files, kernels and head that it was made for: a hash over the files' names, sizes, times of
/// change, numbers in the file system, first and last 64 KiB; over layout, type of head and version of tern. Who
/// changes a file within and sets its time back is not noticed.
///
/// Errors    as Model::open
/// Threads   safe, also among processes; a copy that is removed while it is in use stays readable for who uses it
[[nodiscard]] CachedModel open_cached(const std::filesystem::path& path, const OpenOptions& options = {},
                                      const ModelCacheOptions& cache = {});

}  // namespace tern
