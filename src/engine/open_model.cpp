#include <future>

#include "src/base/check.h"
#include "src/engine/loaded_model.h"
#include "src/engine/model_source.h"
#include "src/engine/tuning.h"
#include "src/text/tokenizer_factory.h"

namespace tern {
namespace engine {
namespace {

/// Among all kernels, or among those that read what is packed already.
kernels::Choice choose_for(const OpenOptions& options, const std::optional<KernelReady>& ready, std::size_t scale_cols,
                           const std::string& source) {
  KernelRequest request{options.kernel, options.threads, scale_cols, {}};
  if (!ready) return choose_kernels(request);
  request.layout = ready->layout;
  try {
    return choose_kernels(request);
  } catch (const Error& error) {
    fail(error.kind(), "{}: {}", source, error.what());
  }
}

}  // namespace

LoadedModel::LoadedModel(const std::filesystem::path& from, const OpenOptions& options)
    : path(from),
      gguf(open_source(path, files)),
      ready(take_kernel_ready(gguf)),
      i2s_layout(ready ? ready->i2s_layout : options.i2s_layout),
      weights(gguf, files, i2s_layout),
      architecture(architectures::build(gguf, weights)),
      scale_cols(weights.scale_cols()),
      kernels(choose_for(options, ready, scale_cols, path.string())),
      int8_head(options.head == HeadType::kInt8 && !is_embedding_only() && nn::fits_head(architecture->head().dense)) {
  weights.check_all_used();
  if (ready) weights.skip_embedding_checks();
  if (options.head != HeadType::kInt8 || is_embedding_only()) return;
  if (ready && ready->head) {
    weights.map_head(architecture->head(), *ready->head, *kernels.head);
  } else {
    weights.pack_head(architecture->head());
  }
}

std::string LoadedModel::pooling_key() const {
  return std::string(gguf.metadata.string("general.architecture").value_or("")) + ".pooling_type";
}

std::uint64_t LoadedModel::pooling_type() const {
  constexpr std::uint64_t kMost = 255;
  return gguf.metadata.integer(pooling_key(), kMost).value_or(0);
}

bool LoadedModel::is_embedding_only() const {
  return gguf.find("output.weight") == nullptr && (has_input_norms() || pooling_type() != 0);
}

void LoadedModel::load(const OpenOptions& options) {
  files.check_not_truncated();
  // The tokenizer of a large vocabulary takes some 60 ms, which the weights hide.
  auto tokenizer_ready = std::async(std::launch::async | std::launch::deferred,
                                    [&] { return text::make_tokenizer(gguf.metadata, options.pre_rule); });
  ThreadPool pool(options.threads);
  const bool has_head = architecture->head().int8.has_value();
  if (has_head) MappedFile::fetch(ready->head->data);
  if (int8_head && !has_head) weights.quantize_head(architecture->head(), *kernels.head, pool);
  weights.load(kernels.layout(), pool, options.on_progress);
  tokenizer.emplace(tokenizer_ready.get());
  files.check_not_truncated();

  const std::size_t vocab_size = architecture->config().vocab_size;
  if (tokenizer->vocab_size() > vocab_size) {
    fail(ErrorKind::kBadFile, "{}: token_embd.weight: expected a row for each of {} tokens, found {}", path.string(),
         tokenizer->vocab_size(), vocab_size);
  }
}

}  // namespace engine

std::shared_ptr<const Model> Model::open(const std::filesystem::path& path, const OpenOptions& options) {
  return or_out_of_memory("this model", [&] {
    auto loaded = std::make_unique<engine::LoadedModel>(path, options);
    loaded->load(options);
    loaded->summary = engine::summarize(*loaded);
    return std::make_shared<const Model>(std::move(loaded));
  });
}

ModelSummary inspect(const std::filesystem::path& path, const OpenOptions& options) {
  return or_out_of_memory("this model", [&] { return engine::summarize(engine::LoadedModel(path, options)); });
}

Tokenizer Tokenizer::open(const std::filesystem::path& path, std::string_view pre_rule) {
  return or_out_of_memory("the tokenizer of this model", [&] {
    MappedFiles files;
    return text::make_tokenizer(engine::open_keys(path, files).metadata, pre_rule);
  });
}

Model::Model(std::unique_ptr<const engine::LoadedModel> loaded) : loaded_(std::move(loaded)) {}
Model::~Model() = default;

const ModelSummary& Model::summary() const noexcept { return loaded_->summary; }
const Tokenizer& Model::tokenizer() const noexcept { return *loaded_->tokenizer; }

}  // namespace tern
