#include "tools/model_options.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "tools/output.h"
#include "tools/remembered.h"

namespace tern::tools {
namespace {

constexpr const char* kBundledName = "tern-stories.gguf";

}  // namespace

Option ModelOptions::declare_file(Command& cli, const std::string& names) {
  const Option file =
      cli.option(names, path, "GGUF file or Hugging Face directory; default: $TERN_MODEL, else the bundled model")
          .value_name("PATH");
  cli.option("--pre", open.pre_rule, "Pre-tokenizer rule instead of the file's own, e.g. llama3").value_name("RULE");
  return file;
}

void ModelOptions::declare_kernels(Command& cli) {
  threads_ = cli.option("-t,--threads", open.threads, "Threads; 0 = physical cores")
                 .range(0, kMaxThreads)
                 .value_name("N")
                 .show_default();
  kernel_ = cli.option("--kernel", open.kernel,
                       "auto, addsub, dot, reference, a kernel's name (see tern inspect), or two: DECODE+PROMPT")
                .value_name("NAME")
                .show_default();
  cli.option("--head", head, "Weights of the output head: int8, or f16 for those in the file")
      .one_of({"int8", "f16"})
      .show_default();
  cli.option("--i2s-layout", i2s_layout, "Block size of I2_S files: 64 for files quantized on ARM")
      .one_of({"128", "64"})
      .show_default();
}

void ModelOptions::declare_cache(Command& cli) {
  cli.flag("--cache", uses_cache_,
           "Keep a copy of the model as kernels read it, in ~/.cache/tern/models, so that the next start is instant");
  cli.option("--cache-size", cache_gib_, "GiB that all such copies may take; the least used ones go first")
      .range(0.0, 1048576.0)
      .value_name("GIB")
      .show_default();
}

std::string ModelOptions::named_path() const {
  if (!path.empty()) return path;
  const char* from_environment = std::getenv("TERN_MODEL");
  return from_environment == nullptr ? "" : from_environment;
}

std::string ModelOptions::resolved_path() const {
  if (std::string named = named_path(); !named.empty()) return named;
  std::string bundled = bundled_model();
  if (bundled.empty()) {
    throw Error(ErrorKind::kInvalidArgument, "no model: name a GGUF file or a directory with -m PATH or in TERN_MODEL");
  }
  return bundled;
}

OpenOptions ModelOptions::open_options() const {
  OpenOptions options = open;
  options.i2s_layout = i2s_layout == "64" ? I2sLayout::k64 : I2sLayout::k128;
  options.head = head == "f16" ? HeadType::kFile : HeadType::kInt8;
  return options;
}

void ModelOptions::use_remembered_choice() {
  const bool named = threads_.is_given() || kernel_.is_given();
  if (named || !remembers_any_choice()) return;
  const auto choice = remembered_choice(inspect(resolved_path(), open_options()));
  if (!choice) return;
  OpenOptions remembered = open_options();
  remembered.kernel = choice->kernel;
  try {
    static_cast<void>(inspect(resolved_path(), remembered));
  } catch (const Error&) {
    return;  // the file is packed for other kernels
  }
  open.kernel = choice->kernel;
  open.threads = choice->threads;
  remembered_ = true;
}

std::shared_ptr<const Model> ModelOptions::load(bool quiet) const {
  Progress progress("loading", quiet);
  OpenOptions options = open_options();
  options.on_progress = [&](double share) { progress.update(share); };
  CachedModel opened;
  if (uses_cache_) {
    opened = open_cached(resolved_path(), options, {.max_bytes = static_cast<std::uint64_t>(cache_gib_ * 0x1p30)});
  } else {
    opened.model = Model::open(resolved_path(), options);
  }
  progress.finish();
  if (quiet) return opened.model;
  if (!opened.note.empty()) print_note(opened.note);
  for (const std::string& note : opened.model->summary().notes) print_note(note);
  return opened.model;
}

void ContextOptions::declare_memory(Command& cli) {
  cli.option("-c,--context", context, "Tokens of prompt and answer together; 0 = what the model was trained for")
      .range(0, kMaxContext)
      .value_name("N")
      .show_default();
  cli.option("--kv", kv, "Number type of the KV cache").one_of({"f16", "f32", "int8"}).show_default();
}

void ContextOptions::declare(Command& cli) {
  declare_memory(cli);
  cli.option("--batch", batch, "Tokens of the prompt computed together; changes speed only")
      .range(1, kMaxContext)
      .value_name("N")
      .show_default();
}

SessionOptions ContextOptions::session_options(unsigned threads) const {
  const KvType type = kv == "f32" ? KvType::kF32 : kv == "int8" ? KvType::kInt8 : KvType::kF16;
  return {.context = context, .kv_type = type, .threads = threads, .batch = batch};
}

void ContextOptions::print_note_if_too_long(const Model& model) const {
  const std::size_t trained = model.summary().context_length;
  if (context <= trained) return;
  print_note(
      fmt::format("a context of {} tokens is more than the {} that the model was trained for", context, trained));
}

std::string bundled_model() {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path executable = fs::read_symlink("/proc/self/exe", ignored);
  for (const fs::path& candidate : {executable.parent_path() / ".." / "share" / "tern" / kBundledName,
                                    fs::path(TERN_SOURCE_MODELS) / kBundledName}) {
    if (fs::is_regular_file(candidate, ignored)) return candidate.lexically_normal().string();
  }
  return {};
}

}  // namespace tern::tools
