#include "tern/convert.h"

#include <system_error>

#include "src/base/check.h"
#include "src/engine/convert_targets.h"
#include "src/engine/kernel_ready.h"
#include "src/engine/model_source.h"

namespace tern {
namespace engine {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_type(std::string_view what, const std::string& type, const std::vector<std::string>& known) {
  std::string names;
  for (const std::string& name : known) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  fail(ErrorKind::kInvalidArgument, "unknown type '{}' of the {}: expected one of {}", type, what, names);
}

const ConvertTarget& find_target(const std::string& type) {
  for (const ConvertTarget& target : convert_targets()) {
    if (target.name == type) return target;
  }
  refuse_type("layers", type, convert_types());
}

void check_float_type(std::string_view what, const std::string& type) {
  if (type != "keep" && find_float_type(type) == nullptr) refuse_type(what, type, convert_float_types());
}

/// Refuses what must not be written over.
void check_output(const fs::path& output, const MappedFiles& files, bool overwrite) {
  std::error_code ignored;
  const fs::file_status there = fs::status(output, ignored);
  for (const MappedFile& file : files) {
    if (!fs::equivalent(output, file.path(), ignored)) continue;
    fail(ErrorKind::kInvalidArgument, "{}: is the source itself: name another file", output.string());
  }
  if (fs::exists(there) && !fs::is_regular_file(there)) {
    fail(ErrorKind::kInvalidArgument, "{}: is no regular file: name another one", output.string());
  }
  if (fs::exists(fs::symlink_status(output, ignored)) && !overwrite) {
    fail(ErrorKind::kInvalidArgument, "{}: is there already (--force replaces it)", output.string());
  }
}

std::optional<ConvertSummary> convert_file(const fs::path& source, const fs::path& output,
                                           const ConvertOptions& options) {
  const ConvertTarget& target = find_target(options.type);
  check_float_type("embedding", options.embedding);
  check_float_type("head", options.head);
  if (!options.layout.empty() && options.type != "kernel-ready") {
    fail(ErrorKind::kInvalidArgument, "a layout is for type kernel-ready: found type {}", options.type);
  }
  MappedFiles files;
  const format::Gguf gguf = open_source(source, files);
  if (gguf.metadata.contains(kVersionKey)) {
    fail(ErrorKind::kUnsupported, "{}: is kernel-ready, for tern alone: convert the file that it was made of",
         source.string());
  }
  check_output(output, files, options.overwrite);
  files.check_not_truncated();
  ThreadPool pool(options.threads);
  return target.write({source, gguf, files, output, target, options, pool});
}

}  // namespace
}  // namespace engine

std::optional<ConvertSummary> convert(const std::filesystem::path& source, const std::filesystem::path& output,
                                      const ConvertOptions& options) {
  return or_out_of_memory("this conversion", [&] { return engine::convert_file(source, output, options); });
}

}  // namespace tern
