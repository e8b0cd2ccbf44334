#include "src/huggingface/model_directory.h"

#include "src/huggingface/checkpoint_files.h"
#include "src/huggingface/config.h"
#include "src/huggingface/tensors.h"
#include "src/huggingface/tokenizer_files.h"

namespace tern::huggingface {
namespace {

/// The last name of a path, be there a slash at its end or not.
std::string last_name(const std::filesystem::path& path) {
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

/// What sentence-transformers says about an embedding model, as GGUF's key.
void translate_pooling(const DirectoryReader& directory, format::Gguf& model) {
  const auto pooling = directory.read_json("1_Pooling/config.json");
  if (!pooling) return;
  const std::pair<const char*, std::uint64_t> modes[] = {
      {"pooling_mode_mean_tokens", 1}, {"pooling_mode_cls_token", 2}, {"pooling_mode_lasttoken", 3}};
  for (const auto& [mode, number] : modes) {
    if (!pooling->field()[mode].flag().value_or(false)) continue;
    const auto architecture = *model.metadata.string("general.architecture");
    return model.metadata.add(model.arena.keep(std::string(architecture) + ".pooling_type"), number);
  }
}

WeightsConfig translate(const DirectoryReader& directory, format::Gguf& model) {
  const auto config = directory.read_json("config.json");
  if (!config) {
    fail(ErrorKind::kIo, "{}: is missing: expected it in a directory that holds a model",
         directory.source("config.json"));
  }
  WeightsConfig weights = translate_config(config->field(), model);
  model.metadata.add("general.name", model.arena.keep(last_name(directory.path)));
  translate_pooling(directory, model);
  translate_tokenizer(directory, config->field(), model);
  return weights;
}

format::Gguf empty_model(const std::filesystem::path& path) {
  return {.metadata = format::Metadata(path.string()), .tensors = {}, .tensor_index = {}, .arena = {}};
}

}  // namespace

format::Gguf open_directory(const std::filesystem::path& path, MappedFiles& files) {
  format::Gguf model = empty_model(path);
  const DirectoryReader directory{path, files, model.arena};
  const WeightsConfig config = translate(directory, model);
  add_tensors(read_tensors(directory), config, model);
  return model;
}

format::Gguf read_keys(const std::filesystem::path& path, MappedFiles& files) {
  format::Gguf model = empty_model(path);
  static_cast<void>(translate({path, files, model.arena}, model));
  return model;
}

}  // namespace tern::huggingface
