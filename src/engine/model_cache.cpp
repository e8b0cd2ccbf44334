#include "tern/model_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <vector>

#include "src/base/check.h"
#include "src/base/fnv1a.h"
#include "src/engine/tuning.h"
#include "src/format/open_gguf.h"
#include "tern/kernel_ready.h"
#include "tern/machine.h"
#include "tern/version.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSampleBytes = 64 * 1024;  // at the beginning and at the end of a file
constexpr std::string_view kCopySuffix = ".gguf";
constexpr std::string_view kDraftSuffix = ".part";

/// Holds a descriptor as long as it lives.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : number_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};

// --- which copy -------------------------------------------------------------------------------------------------

void add_bytes(WordHash& hash, const Descriptor& file, ::off_t offset) {
  std::array<std::byte, kSampleBytes> bytes;
  const ::ssize_t n = ::pread(file.number(), bytes.data(), bytes.size(), offset);
  hash.add(std::span(bytes).first(n > 0 ? static_cast<std::size_t>(n) : 0));
}

/// What tells a file from others without reading all of it.
void add_file(WordHash& hash, const fs::path& path) {
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);
  struct stat status = {};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) {
    fail(ErrorKind::kIo, "{}: cannot be read", path.string());
  }
  hash.add_text(path.filename().string());
  for (const auto number :
       {static_cast<std::uint64_t>(status.st_size), static_cast<std::uint64_t>(status.st_ino),
        static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_mtim.tv_sec),
        static_cast<std::uint64_t>(status.st_mtim.tv_nsec)}) {
    hash.add(number);
  }
  if (!S_ISREG(status.st_mode)) return;
  add_bytes(hash, file, 0);
  add_bytes(hash, file, std::max<::off_t>(0, status.st_size - static_cast<::off_t>(kSampleBytes)));
}

/// The files of a model: of a directory all, in order of their names.
std::vector<fs::path> files_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return format::all_parts(path);
  std::vector<fs::path> files;
  for (fs::directory_iterator entry(path, error); !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->is_regular_file(error)) files.push_back(entry->path());
  }
  const fs::path pooling = path / "1_Pooling" / "config.json";  // of sentence-transformers
  if (fs::is_regular_file(pooling, error)) files.push_back(pooling);
  std::ranges::sort(files);
  return files;
}

std::string name_of_copy(const fs::path& path, const OpenOptions& options) {
  WordHash hash;
  for (const fs::path& file : files_of(path)) add_file(hash, file);
  hash.add_text(engine::choose_kernels({.kernel = options.kernel, .threads = options.threads}).layout().name);
  hash.add_text(TERN_VERSION);
  hash.add(static_cast<std::uint64_t>(options.head));
  hash.add(static_cast<std::uint64_t>(options.i2s_layout));
  return fmt::format("{:016x}{}", hash.value(), kCopySuffix);
}

// --- the directory ----------------------------------------------------------------------------------------------

fs::path directory_of(const ModelCacheOptions& cache) {
  if (!cache.directory.empty()) return cache.directory;
  const fs::path all = cache_directory();
  if (all.empty()) fail(ErrorKind::kIo, "there is no directory for it: set TERN_CACHE_DIR");
  return all / "models";
}

/// Only one process at a time makes and removes copies.
class Lock {
 public:
  explicit Lock(const fs::path& directory) : file_(directory / "lock", O_RDWR | O_CREAT) {
    if (file_.number() < 0) fail(ErrorKind::kIo, "{}: cannot be written", directory.string());
    if (::flock(file_.number(), LOCK_EX | LOCK_NB) != 0) fail(ErrorKind::kIo, "another process is making one");
  }

 private:
  Descriptor file_;  // which loses the lock when it is closed
};

struct Copy {
  fs::path path;
  std::uint64_t n_bytes;
  fs::file_time_type used;
};

/// Copies, last used ones first; drafts of processes that were killed are removed.
std::vector<Copy> list_copies(const fs::path& directory, const Lock& /*held*/) {
  std::vector<Copy> copies;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (std::error_code ended = error; !ended && entry != fs::directory_iterator(); entry.increment(ended)) {
    if (entry->path().extension() == kDraftSuffix) fs::remove(entry->path(), error);
    if (entry->path().extension() != kCopySuffix) continue;
    const std::uint64_t n_bytes = entry->file_size(error);
    if (!error) copies.push_back({entry->path(), n_bytes, entry->last_write_time(error)});
  }
  std::ranges::sort(copies, [](const Copy& a, const Copy& b) { return a.used > b.used; });
  return copies;
}

/// Removes what was not used for the longest time until `n_bytes` more fit.
void make_room(const fs::path& directory, std::uint64_t n_bytes, std::uint64_t max_bytes, const Lock& held) {
  std::uint64_t total = n_bytes;
  for (const Copy& copy : list_copies(directory, held)) {
    total += copy.n_bytes;
    std::error_code error;
    if (total > max_bytes) fs::remove(copy.path, error);
  }
}

// --- opening ----------------------------------------------------------------------------------------------------

/// Nothing when there is no copy, or none that can be opened.
std::shared_ptr<const Model> open_copy(const fs::path& copy, const OpenOptions& options) {
  std::error_code error;
  if (!fs::exists(copy, error)) return nullptr;
  try {
    auto model = Model::open(copy, options);
    fs::last_write_time(copy, fs::file_time_type::clock::now(), error);
    return model;
  } catch (const Error&) {
    return nullptr;
  }
}

/// About what a copy takes.
std::uint64_t copy_bytes(const ModelSummary& model) {
  return model.ternary_bytes + model.float_bytes + model.head_bytes + model.embedding_bytes;
}

/// Makes the copy. Errors    Error: what stands in its way
void make_copy(const fs::path& path, const fs::path& copy, const OpenOptions& options, std::uint64_t max_bytes) {
  std::error_code error;
  fs::create_directories(copy.parent_path(), error);
  const Lock lock(copy.parent_path());
  if (open_copy(copy, options) != nullptr) return;  // another process was quicker
  const std::uint64_t n_bytes = copy_bytes(inspect(path, options));
  if (n_bytes > max_bytes) {
    fail(ErrorKind::kIo, "it takes {} MB, more than the {} MB that copies may take", n_bytes / 1000000,
         max_bytes / 1000000);
  }
  fs::remove(copy, error);  // one that could not be opened
  make_room(copy.parent_path(), n_bytes, max_bytes, lock);
  static_cast<void>(write_kernel_ready(path, copy, {.open = options}));
}

CachedModel open_by_copy(const fs::path& path, const OpenOptions& options, const ModelCacheOptions& cache) {
  const fs::path copy = directory_of(cache) / name_of_copy(path, options);
  if (auto model = open_copy(copy, options)) {
    return {std::move(model), fmt::format("opened its kernel-ready copy {}", copy.string())};
  }
  if (is_kernel_ready(path)) return {Model::open(path, options), {}};
  make_copy(path, copy, options, cache.max_bytes);
  return {Model::open(copy, options), fmt::format("made a kernel-ready copy, {}, and opened it", copy.string())};
}

}  // namespace

CachedModel open_cached(const fs::path& path, const OpenOptions& options, const ModelCacheOptions& cache) {
  try {
    return open_by_copy(path, options, cache);
  } catch (const Error& error) {
    // What is wrong with the model itself is said here once more, and better.
    return {Model::open(path, options), fmt::format("there is no kernel-ready copy: {}", error.what())};
  }
}

}  // namespace tern
