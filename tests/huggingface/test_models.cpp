// Directories compute what the GGUF file of the same model computes, bit for bit.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>

#include "hf_directory.h"
#include "src/base/half.h"
#include "src/engine/model_source.h"
#include "src/huggingface/safetensors.h"
#include "src/weights/codec.h"
#include "tests/engine/model_file.h"
#include "tests/support/expect_error.h"
#include "tests/text/tokenizer_file.h"

namespace tern {
namespace {

using test::expect_error;
using test::find_tensor;
using test::GgufBuilder;
using test::HfDirectory;
using test::HfFiles;
using test::HfForm;
using test::ModelFile;

const std::vector<Token> kTokens = {0, 260, 5, 77, 300, 12, 99, 261, 40};
const std::vector<ChatMessage> kMessages = {{"user", "hi"}};
constexpr float kScale = 0.0625f;  // of every ternary layer; its inverse and its bf16 are exact

struct Case {
  const char* architecture;
  HfForm form;
  bool tied = true;
  bool input_norms = false;  // and so without head, quantization_config, and "model." in names
};

/// Replaces the scale of every ternary tensor.
void set_scales(GgufBuilder& model, const std::function<float(const GgufBuilder::Tensor&)>& scale_of) {
  for (GgufBuilder::Tensor& tensor : model.tensors) {
    if (tensor.type != 36) continue;
    const float scale = scale_of(tensor);
    std::memcpy(tensor.data.data() + tensor.data.size() - 32, &scale, sizeof scale);
  }
}

GgufBuilder tiny_model(const Case& c) {
  GgufBuilder model = test::make_tiny_model({.architecture = c.architecture,
                                             .type = "I2_S",
                                             .tied_embeddings = c.tied,
                                             .input_norms = c.input_norms,
                                             .window = c.architecture == std::string("gemma3") ? 5u : 0u});
  set_scales(model, [](const auto&) { return kScale; });
  return model;
}

HfFiles files_of(const GgufBuilder& model, HfForm form) {
  const std::vector<std::byte> bytes = model.build();
  return test::hf_files(format::parse_gguf(bytes, "twin", weights::tensor_size), form);
}

std::vector<float> logits_of(const std::filesystem::path& path) {
  Session session(Model::open(path, {.threads = 2}), {});
  return test::all_logits(session, kTokens);
}

/// The mean magnitude of a directory's masters, as training turns it into a scale.
float scale_of_masters(const format::TensorInfo& tensor, HfForm form) {
  double sum = 0.0;
  for (std::size_t i = 0; i < tensor.n_elements; ++i) {
    const std::byte* at = tensor.data.data() + i * (form == HfForm::kMastersF32 ? 4 : 2);
    std::uint16_t half = 0;
    float value = 0.0f;
    std::memcpy(&half, at, sizeof half);
    std::memcpy(&value, at, form == HfForm::kMastersF32 ? sizeof value : 0);
    if (form == HfForm::kMastersF16) value = f16_to_f32(half);
    if (form == HfForm::kMastersBf16) value = bf16_to_f32(half);
    sum += std::fabs(static_cast<double>(value));
  }
  const float s = 1.0f / static_cast<float>(sum / static_cast<double>(tensor.n_elements));
  const float scale = 1.0f / s;
  if (form == HfForm::kMastersF16) return f16_to_f32(f32_to_f16(scale));
  return form == HfForm::kMastersBf16 ? bf16_to_f32(f32_to_bf16(scale)) : scale;
}

/// An I2_S tensor of the scale kScale in BF16.
std::vector<std::byte> floats_of(const GgufBuilder::Tensor& tensor) {
  std::vector<std::uint16_t> values;
  std::vector<std::uint8_t> codes(tensor.dims[0]);
  for (std::size_t row = 0; row < tensor.dims[1]; ++row) {
    EXPECT_TRUE(weights::find_codec(36)->unpack_row(tensor.data.data(), row, codes.size(), codes.data()));
    for (const std::uint8_t code : codes) values.push_back(f32_to_bf16((static_cast<float>(code) - 1.0f) * kScale));
  }
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

class Directory : public testing::TestWithParam<Case> {};

TEST_P(Directory, ComputesWhatItsTwinComputes) {
  const Case& c = GetParam();
  GgufBuilder twin = tiny_model(c);
  const HfFiles files = files_of(twin, c.form);
  const HfDirectory directory(files);
  if (c.form == HfForm::kMastersBf16 || c.form == HfForm::kMastersF16 || c.form == HfForm::kMastersF32) {
    MappedFiles mapped;
    const format::Gguf opened = engine::open_source(directory.path(), mapped);
    set_scales(twin, [&](const auto& tensor) { return scale_of_masters(*opened.find(tensor.name), c.form); });
  }
  const ModelFile file(twin.build());
  const std::vector<float> expected = logits_of(file.path());
  EXPECT_EQ(logits_of(directory.path()), expected);
  EXPECT_EQ(logits_of(HfDirectory(test::sharded(files)).path()), expected);
}

TEST_P(Directory, BecomesAFileThatComputesTheSame) {
  const Case& c = GetParam();
  const HfDirectory directory(files_of(tiny_model(c), c.form));
  const std::vector<float> expected = logits_of(directory.path());
  const std::filesystem::path output = directory.path().string() + ".gguf";
  for (const char* type : {"keep", "tq2_0", "i2_s"}) {
    SCOPED_TRACE(type);
    const auto summary = convert(directory.path(), output, {.type = type, .overwrite = true, .threads = 2});
    ASSERT_TRUE(summary.has_value());
    const bool rounds = std::string_view(type) == "tq2_0" && std::string_view(c.architecture) != "bitnet";
    EXPECT_LE(summary->largest_scale_error, rounds ? 0x1p-11 : 0.0);
    if (summary->largest_scale_error == 0) {
      EXPECT_EQ(logits_of(output), expected);
    }
    const Tokenizer before = Tokenizer::open(directory.path()), after = Tokenizer::open(output);
    EXPECT_EQ(after.encode("Once upon a time", {.add_special = true}),
              before.encode("Once upon a time", {.add_special = true}));
  }
  std::filesystem::remove(output);
}

// --- a scale for each group of columns ---------------------------------------------------------------------------

struct GroupCase {
  const char* architecture;
  const char* type;
  std::size_t block_bytes, scale_at;
};

class GroupedDirectory : public testing::TestWithParam<GroupCase> {
 protected:
  /// Scales that bf16 and f16 hold, one for each block.
  static GgufBuilder twin() {
    const GroupCase& c = GetParam();
    GgufBuilder model = test::make_tiny_model({.architecture = c.architecture, .type = c.type, .one_scale = false});
    for (GgufBuilder::Tensor& tensor : model.tensors) {
      if (weights::find_codec(tensor.type)->name != c.type) continue;
      for (std::size_t b = 0; b < tensor.data.size() / c.block_bytes; ++b) {
        const std::uint16_t scale = f32_to_f16(static_cast<float>(1 + b * 7 % 13) / 128.0f);
        std::memcpy(tensor.data.data() + b * c.block_bytes + c.scale_at, &scale, sizeof scale);
      }
    }
    return model;
  }
};

TEST_P(GroupedDirectory, ComputesWhatItsTwinComputes) {
  const GgufBuilder model = twin();
  const HfFiles files = files_of(model, HfForm::kExactBf16);
  const ModelFile file(model.build());
  const std::vector<float> expected = logits_of(file.path());
  const HfDirectory directory(files);
  EXPECT_EQ(logits_of(directory.path()), expected);
  const std::filesystem::path output = directory.path().string() + ".gguf";
  ASSERT_TRUE(convert(directory.path(), output, {.threads = 2}).has_value());
  EXPECT_EQ(logits_of(output), expected);
  std::filesystem::remove(output);
}

TEST_P(GroupedDirectory, AMagnitudeThatIsNotItsGroupsIsRefused) {
  HfFiles files = files_of(twin(), HfForm::kExactBf16);
  std::string& file = files.at("model.safetensors");
  Arena arena;
  const auto tensors = huggingface::parse_safetensors(std::as_bytes(std::span(file)), "file", arena);
  const auto layer =
      std::ranges::find(tensors, "model.layers.1.mlp.down_proj.weight", &huggingface::StoredTensor::name);
  ASSERT_NE(layer, tensors.end());
  const std::size_t at = static_cast<std::size_t>(layer->data.data() - std::as_bytes(std::span(file)).data()) +
                         5 * layer->shape[1] * sizeof(std::uint16_t);
  file.replace(at, 2, "\x40\x40");  // 3, which no group has
  const HfDirectory directory(files);
  expect_error(ErrorKind::kBadFile, "ffn_down.weight: row 5: expected one magnitude in every group of",
               [&] { static_cast<void>(Model::open(directory.path())); });
}

INSTANTIATE_TEST_SUITE_P(HuggingFace, GroupedDirectory,
                         testing::Values(GroupCase{"llama", "TQ2_0", 66, 64}, GroupCase{"qwen3", "PQ2_0", 34, 0},
                                         GroupCase{"minicpm", "Q2_0", 18, 0}),
                         [](const auto& test) { return std::string(test.param.type); });

TEST(HuggingFace, OfAFileEveryRowOfTheEmbeddingIsAToken) {
  GgufBuilder model = test::make_tiny_model({.architecture = "qwen3", .type = "I2_S", .vocab_rows = 400});
  set_scales(model, [](const auto&) { return kScale; });
  const HfDirectory directory(files_of(model, HfForm::kPackedDivide));
  const std::filesystem::path output = directory.path().string() + ".gguf";
  ASSERT_TRUE(convert(directory.path(), output, {.threads = 2}).has_value());
  EXPECT_EQ(logits_of(output), logits_of(directory.path()));
  MappedFiles files;
  const format::Gguf gguf = engine::open_source(output, files);
  const auto& tokens = *gguf.metadata.strings("tokenizer.ggml.tokens");
  ASSERT_EQ(tokens.size(), 400u);
  EXPECT_EQ(tokens[399], "[PAD399]");
  const format::NumberArray& types = *gguf.metadata.numbers("tokenizer.ggml.token_type");
  ASSERT_EQ(types.count, 400u);
  EXPECT_EQ(types.integer(399), 5);
  std::filesystem::remove(output);
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  const char* forms[] = {"PackedMultiply", "PackedDivide", "MastersBf16", "MastersF16", "MastersF32", "Exact"};
  std::string name = info.param.architecture;
  std::erase_if(name, [](char c) { return c == '-' || c == '.'; });
  return name + forms[static_cast<int>(info.param.form)] + (info.param.tied ? "" : "OwnHead") +
         (info.param.input_norms ? "InputNorms" : "");
}

INSTANTIATE_TEST_SUITE_P(
    HuggingFace, Directory,
    testing::Values(Case{"bitnet-b1.58", HfForm::kPackedMultiply}, Case{"bitnet-b1.58", HfForm::kMastersBf16},
                    Case{"bitnet", HfForm::kMastersF32}, Case{"bitnet", HfForm::kMastersF16},
                    Case{"gemma3", HfForm::kPackedMultiply}, Case{"gemma3", HfForm::kMastersBf16, true, true},
                    Case{"minicpm", HfForm::kPackedDivide}, Case{"qwen3", HfForm::kMastersF32, true, true},
                    Case{"llama", HfForm::kPackedDivide, false}, Case{"llama", HfForm::kMastersBf16},
                    Case{"llama", HfForm::kExactBf16, false}, Case{"qwen3", HfForm::kPackedDivide, false},
                    Case{"qwen3", HfForm::kExactBf16}),
    case_name);

TEST(HuggingFace, AChangeOfAnyFileChangesTheFingerprint) {
  HfFiles files = test::sharded(files_of(tiny_model({"llama", HfForm::kPackedDivide}), HfForm::kPackedDivide));
  const Fingerprint whole = fingerprint_of(HfDirectory(files).path());
  EXPECT_EQ(fingerprint_of(HfDirectory(files).path()).file, whole.file);
  for (const char* name : {"config.json", "model-00002-of-00002.safetensors"}) {
    HfFiles changed = files;
    changed.at(name) += name[0] == 'c' ? " " : "";
    if (name[0] == 'm') changed.at(name).back() ^= 1;
    EXPECT_NE(fingerprint_of(HfDirectory(changed).path()).file, whole.file) << name;
  }
}

TEST(HuggingFace, TokenizesAsItsTwin) {
  const GgufBuilder twin = tiny_model({"llama", HfForm::kPackedDivide});
  const ModelFile file(twin.build());
  const HfDirectory directory(files_of(twin, HfForm::kPackedDivide));
  const Tokenizer expected = Tokenizer::open(file.path());
  const Tokenizer found = Tokenizer::open(directory.path());
  for (const std::string text : {"Once upon a time there was", "", " \n\xC3\xA4 123", "<s> said"}) {
    const EncodeOptions options{.add_special = true, .parse_special = true};
    EXPECT_EQ(found.encode(text, options), expected.encode(text, options)) << text;
  }
  EXPECT_EQ(found.bos(), expected.bos());
  EXPECT_EQ(found.eos(), expected.eos());
  EXPECT_TRUE(found.adds_bos());
}

TEST(HuggingFace, DataMayLieAtAnyAddress) {
  const GgufBuilder twin = tiny_model({"qwen3", HfForm::kPackedMultiply, false});
  HfFiles files = files_of(twin, HfForm::kPackedMultiply);
  const std::vector<float> expected = logits_of(HfDirectory(files).path());
  std::string& whole = files["model.safetensors"];
  std::uint64_t n_bytes = 0;
  std::memcpy(&n_bytes, whole.data(), sizeof n_bytes);
  whole.insert(8 + n_bytes, 3, ' ');
  n_bytes += 3;
  std::memcpy(whole.data(), &n_bytes, sizeof n_bytes);
  EXPECT_EQ(logits_of(HfDirectory(files).path()), expected);
}

TEST(HuggingFace, InspectSaysWhatItIs) {
  const HfDirectory directory(files_of(tiny_model({"bitnet-b1.58", HfForm::kPackedMultiply}), HfForm::kPackedMultiply));
  const ModelSummary summary = inspect(directory.path());
  EXPECT_EQ(summary.architecture, "bitnet-b1.58");
  EXPECT_EQ(summary.path, directory.path());
  EXPECT_EQ(summary.name, directory.path().filename());
  EXPECT_EQ(summary.n_ternary_weights, 2u * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 256 * 512));
  std::uint64_t packed = 0;
  for (const TensorSummary& tensor : summary.tensors) packed += tensor.type == "packed U8" ? tensor.file_bytes : 0;
  EXPECT_EQ(packed, summary.n_ternary_weights / 4);
}

TEST(HuggingFace, InspectTellsMastersFromTernaryFloats) {
  for (const auto& [form, type] :
       {std::pair{HfForm::kMastersF32, "masters F32"}, {HfForm::kExactBf16, "ternary BF16"}}) {
    const HfDirectory directory(files_of(tiny_model({"llama", form}), form));
    const auto tensors = inspect(directory.path()).tensors;
    EXPECT_NE(std::ranges::find(tensors, type, &TensorSummary::type), tensors.end()) << type;
  }
}

TEST(HuggingFace, FingerprintFollowsEveryFile) {
  HfFiles files = files_of(tiny_model({"llama", HfForm::kPackedDivide}), HfForm::kPackedDivide);
  const std::uint64_t first = Model::open(HfDirectory(files).path())->fingerprint();
  EXPECT_EQ(Model::open(HfDirectory(files).path())->fingerprint(), first);
  files["config.json"] = test::with_member(files["config.json"], "rope_theta", "20000");
  EXPECT_NE(Model::open(HfDirectory(files).path())->fingerprint(), first);
}

TEST(HuggingFace, ChatTemplateAndStopsComeFromTheirFiles) {
  HfFiles files = files_of(tiny_model({"llama", HfForm::kPackedDivide}), HfForm::kPackedDivide);
  files["tokenizer_config.json"] =
      R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>",
          "chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "<{{ messages[0].content }}>"}]})";
  files["generation_config.json"] = R"({"eos_token_id": [1, 40, 41], "temperature": 0.7, "top_k": 30})";
  {
    const auto model = Model::open(HfDirectory(files).path());
    EXPECT_EQ(chat_template(*model)->render(kMessages), "<hi>");
    EXPECT_EQ(model->tokenizer().eos(), 1);
    EXPECT_TRUE(model->tokenizer().is_stop(40));
    EXPECT_TRUE(model->tokenizer().is_stop(41));
    EXPECT_FALSE(model->tokenizer().is_stop(42));
  }
  files["chat_template.jinja"] = "[{{ messages[0].content }}]";
  EXPECT_EQ(chat_template(*Model::open(HfDirectory(files).path()))->render(kMessages), "[hi]");
}

TEST(HuggingFace, ALlamaThatIsNotLegacyPutsASpaceBeforeTheTextOnly) {
  const test::TokenizerFile tokens = test::sentencepiece_file({{"\xE2\x96\x81"}, {"a"}});
  HfFiles files = files_of(tiny_model({"llama", HfForm::kPackedDivide}), HfForm::kPackedDivide);
  files.erase("tokenizer.json");
  files["tokenizer.model"] = test::sentencepiece_model(tokens.metadata());
  const auto encode = [&](const char* config) {
    files["tokenizer_config.json"] = config;
    return Tokenizer::open(HfDirectory(files).path()).encode("a</s>a", {.parse_special = true});
  };
  using Ids = std::vector<Token>;
  EXPECT_EQ(encode(R"({"tokenizer_class": "LlamaTokenizer"})"), (Ids{259, 260, 2, 259, 260}));
  EXPECT_EQ(encode(R"({"tokenizer_class": "LlamaTokenizer", "legacy": false})"), (Ids{259, 260, 2, 260}));
}

TEST(HuggingFace, PoolingComesFromItsFile) {
  HfFiles files = files_of(tiny_model({"qwen3", HfForm::kPackedMultiply}), HfForm::kPackedMultiply);
  const HfDirectory directory(files);
  EXPECT_EQ(Embedder(Model::open(directory.path())).pooling(), Pooling::kLast);
  std::filesystem::create_directory(directory.path() / "1_Pooling");
  std::ofstream(directory.path() / "1_Pooling" / "config.json")
      << R"({"pooling_mode_mean_tokens": true, "pooling_mode_lasttoken": false})";
  const auto model = Model::open(directory.path());
  EXPECT_EQ(Embedder(model).pooling(), Pooling::kMean);
  EXPECT_TRUE(model->summary().embedding_only);
}

TEST(HuggingFace, LongropeUsesTheFactorsOfShortTexts) {
  GgufBuilder twin = tiny_model({"minicpm", HfForm::kPackedDivide});
  HfFiles files = files_of(twin, HfForm::kPackedDivide);
  std::vector<float> factors(32);
  std::string list;
  for (std::size_t i = 0; i < factors.size(); ++i) {
    factors[i] = 1.0f + 0.25f * static_cast<float>(i);
    list += (i == 0 ? "" : ",") + std::to_string(factors[i]);
  }
  const auto scaling = [&](const char* context) {
    return R"({"rope_type": "longrope", "original_max_position_embeddings": )" + std::string(context) +
           R"(, "short_factor": [)" + list + R"(], "long_factor": [)" + list + "]}";
  };
  files["config.json"] = test::with_member(files["config.json"], "rope_scaling", scaling("128"));
  twin.add_tensor("rope_freqs.weight", 0, {factors.size()}, factors);
  EXPECT_EQ(logits_of(HfDirectory(files).path()), logits_of(ModelFile(twin.build()).path()));
  files["config.json"] = test::with_member(files["config.json"], "rope_scaling", scaling("64"));
  expect_error(ErrorKind::kUnsupported, "longrope beyond the original context of 64 tokens",
               [&] { static_cast<void>(Model::open(HfDirectory(files).path())); });
}

TEST(HuggingFace, WhatAGemmaLeavesOutIsAsItsMakersHaveIt) {
  HfFiles files = files_of(tiny_model({"gemma3", HfForm::kPackedMultiply}), HfForm::kPackedMultiply);
  std::string& config = files["config.json"];
  for (const char* key : {"sliding_window", "layer_types"}) config = test::with_member(config, key, "");
  MappedFiles mapped;
  const HfDirectory directory(files);
  const format::Gguf opened = engine::open_source(directory.path(), mapped);
  EXPECT_EQ(opened.metadata.integer("gemma3.attention.sliding_window", 1u << 31), 4096u);
  EXPECT_EQ(opened.metadata.integer("gemma3.attention.sliding_window_pattern", 1u << 31), 6u);
  for (const std::string value : {"null", "0"}) {
    config = test::with_member(config, "sliding_window", value);
    expect_error(ErrorKind::kUnsupported, "key sliding_window: expected a number of tokens, found " + value,
                 [&] { static_cast<void>(Model::open(HfDirectory(files).path())); });
  }
}

TEST(HuggingFace, ABiasThatTheConfigDoesNotAnnounceIsRefused) {
  for (const char* architecture : {"llama", "qwen3"}) {
    HfFiles files = files_of(tiny_model({architecture, HfForm::kPackedMultiply}), HfForm::kPackedMultiply);
    std::string& file = files["model.safetensors"];
    const std::string norm = "layers.0.post_attention_layernorm.weight\"";
    std::string bias = "layers.0.self_attn.q_proj.bias\"";
    bias.resize(norm.size(), ' ');
    file.replace(file.find(norm), norm.size(), bias);
    expect_error(ErrorKind::kUnsupported, "q_proj.bias: expected none, or attention_bias in config.json, found it",
                 [&] { static_cast<void>(inspect(HfDirectory(files).path())); });
  }
}

TEST(HuggingFace, TiedHeadIgnoresTheOneInTheFile) {
  const GgufBuilder own = tiny_model({"llama", HfForm::kPackedDivide, false});
  HfFiles files = files_of(own, HfForm::kPackedDivide);
  files["config.json"] = test::with_member(files["config.json"], "tie_word_embeddings", "true");
  EXPECT_TRUE(inspect(HfDirectory(files).path()).tied_embeddings);
}

/// The rows of a tensor of heads of 64, in the order of GGUF's architecture llama.
std::vector<std::byte> neighbours_paired(const huggingface::StoredTensor& stored) {
  constexpr std::size_t kHead = 64;
  const std::size_t row_bytes = stored.data.size() / stored.shape[0];
  std::vector<std::byte> rows(stored.data.size());
  for (std::size_t row = 0; row < stored.shape[0]; ++row) {
    const std::size_t i = row % kHead % (kHead / 2), half = row % kHead / (kHead / 2);
    const std::size_t to = row / kHead * kHead + 2 * i + half;
    std::copy_n(stored.data.begin() + static_cast<std::ptrdiff_t>(row * row_bytes), row_bytes,
                rows.begin() + static_cast<std::ptrdiff_t>(to * row_bytes));
  }
  return rows;
}

TEST(HuggingFace, ModulesOfTheConfigStayInFloat) {
  GgufBuilder twin = tiny_model({"llama", HfForm::kExactBf16});
  HfFiles files = files_of(twin, HfForm::kExactBf16);
  files["config.json"] = test::with_member(files["config.json"], "quantization_config",
                                           R"({"quant_method": "bitnet", "linear_class": "autobitlinear",
                                               "quantization_mode": "online", "modules_to_not_convert": ["self_attn", "mlp"]})");
  const auto file = std::as_bytes(std::span(files["model.safetensors"]));
  Arena arena;
  for (const huggingface::StoredTensor& stored : huggingface::parse_safetensors(file, "twin", arena)) {
    for (const auto& [here, gguf] : {std::pair{"q_proj", "attn_q"}, {"k_proj", "attn_k"}}) {
      if (stored.name.find(here) == std::string_view::npos) continue;
      auto& tensor = find_tensor(twin, std::string("blk.") + stored.name[13] + "." + gguf + ".weight");
      tensor.data = neighbours_paired(stored);
    }
  }
  for (GgufBuilder::Tensor& tensor : twin.tensors) {
    if (tensor.type != 36) continue;
    const bool reordered = tensor.data.size() == 2 * tensor.dims[0] * tensor.dims[1];
    tensor.data = reordered ? tensor.data : floats_of(tensor);
    tensor.type = 30;
  }
  std::uint64_t offset = 0;
  for (GgufBuilder::Tensor& tensor : twin.tensors) {
    tensor.offset = offset;
    offset += (tensor.data.size() + 31) / 32 * 32;
  }
  EXPECT_EQ(logits_of(HfDirectory(files).path()), logits_of(ModelFile(twin.build()).path()));
}

// --- refusals ---------------------------------------------------------------------------------------------------

struct Broken {
  const char* name;
  std::function<void(HfFiles&)> damage;
  ErrorKind kind;
  const char* named;
};

auto set_config(const char* path, const char* value) {
  return [=](HfFiles& files) { files["config.json"] = test::with_member(files["config.json"], path, value); };
}

auto set_ends(const char* value) {
  return [=](HfFiles& files) { files["generation_config.json"] = R"({"eos_token_id": )" + std::string(value) + "}"; };
}

const Broken kBroken[] = {
    {"NoConfig", [](HfFiles& f) { f.erase("config.json"); }, ErrorKind::kIo, "config.json: is missing"},
    {"NoTensors", [](HfFiles& f) { f.erase("model.safetensors"); }, ErrorKind::kUnsupported,
     "expected model.safetensors or model.safetensors.index.json in this directory"},
    {"NoTokenizer", [](HfFiles& f) { f.erase("tokenizer.json"); }, ErrorKind::kBadFile,
     "tokenizer.json or tokenizer.model in a directory), found none"},
    {"EndBeyondTheVocabulary", set_ends("[1, 70000]"), ErrorKind::kBadFile,
     "generation_config.json: key eos_token_id[1]: expected an integer from 0 to "},
    {"MoreEndsThanAnyModelHas",
     [](HfFiles& f) {
       std::string list = "[0";
       for (int i = 0; i < 1024; ++i) list += ",0";
       set_ends((list + "]").c_str())(f);
     },
     ErrorKind::kBadFile, "generation_config.json: key eos_token_id: expected at most 1024 ids, found a list of 1025"},
    {"AddedTokenTakesSpaces",
     [](HfFiles& f) {
       f.erase("tokenizer.json");
       f["tokenizer.model"] = test::sentencepiece_model(test::sentencepiece_file({{"a"}}).metadata());
       f["tokenizer_config.json"] = R"({"added_tokens_decoder": {"260": {"content": "<x>", "rstrip": true}}})";
     },
     ErrorKind::kUnsupported, "key added_tokens_decoder.260.rstrip: expected false, for token '<x>', found true"},
    {"NoJson", [](HfFiles& f) { f["config.json"] = "{\"a\": }"; }, ErrorKind::kBadFile, "mistake at byte 7"},
    {"KeyTwice", [](HfFiles& f) { f["config.json"] = R"({"a": 1, "a": 2})"; }, ErrorKind::kBadFile,
     "duplicate key 'a'"},
    {"UnknownClass", set_config("architectures", R"(["MambaForCausalLM"])"), ErrorKind::kUnsupported,
     "key architectures[0]: expected one of BitNetForCausalLM"},
    {"NoClass", set_config("architectures", ""), ErrorKind::kUnsupported, "key architectures: expected one of"},
    {"NoWidth", set_config("hidden_size", ""), ErrorKind::kBadFile, "key hidden_size: expected an integer, found none"},
    {"WidthIsText", set_config("hidden_size", "\"a\""), ErrorKind::kBadFile, "key hidden_size: expected an integer"},
    {"OtherActivation", set_config("hidden_act", "\"gelu\""), ErrorKind::kUnsupported,
     "key hidden_act: expected 'silu', found 'gelu'"},
    {"OtherScaling", set_config("rope_scaling", R"({"rope_type": "dynamic"})"), ErrorKind::kUnsupported,
     "key rope_scaling.rope_type: expected one of default, linear, yarn, llama3, longrope, found 'dynamic'"},
    {"PartialRotation", set_config("rope_parameters", R"({"rope_type": "default", "partial_rotary_factor": 0.5})"),
     ErrorKind::kUnsupported, "key rope_parameters.partial_rotary_factor: expected 1, found 0.5"},
    {"YarnWithoutTruncation",
     set_config("rope_scaling", R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
                                    "truncate": false})"),
     ErrorKind::kUnsupported, "key rope_scaling.truncate: expected true, found false"},
    {"LongropeWithoutFactors", set_config("rope_scaling", R"({"rope_type": "longrope", "short_factor": [1, 2]})"),
     ErrorKind::kBadFile, "key rope_scaling.short_factor: expected 32 numbers, half of a head's elements"},
    {"OtherQuantization", set_config("quantization_config/quant_method", "\"gptq\""), ErrorKind::kUnsupported,
     "key quantization_config.quant_method: expected 'bitnet', found 'gptq'"},
    {"OtherLinearClass", set_config("quantization_config/linear_class", "\"x\""), ErrorKind::kUnsupported,
     "key quantization_config.linear_class: expected 'bitlinear' or 'autobitlinear', found 'x'"},
    {"NormInside", set_config("quantization_config/use_rms_norm", "true"), ErrorKind::kUnsupported, "use_rms_norm"},
    {"Bias", set_config("attention_bias", "true"), ErrorKind::kUnsupported, "key attention_bias"},
    {"NoOwnHead", set_config("tie_word_embeddings", "false"), ErrorKind::kBadFile, "lm_head.weight is missing"},
    {"FloatsWherePackedWasSaid",
     [](HfFiles& f) {
       f = files_of(tiny_model({"llama", HfForm::kExactBf16}), HfForm::kExactBf16);
       set_config("quantization_config", R"({"quant_method": "bitnet"})")(f);
     },
     ErrorKind::kUnsupported, "expected dtype U8, as config.json says, found BF16"},
    {"MastersWithoutAWord",
     [](HfFiles& f) {
       f = files_of(tiny_model({"llama", HfForm::kMastersBf16}), HfForm::kMastersBf16);
       set_config("quantization_config", "")(f);
     },
     ErrorKind::kBadFile, "or a quantization_config in config.json"},
    {"IndexLeadsOut",
     [](HfFiles& f) {
       f.erase("model.safetensors");
       f["model.safetensors.index.json"] = R"({"weight_map": {"a": "../b.safetensors"}})";
     },
     ErrorKind::kBadFile, "key weight_map.a: expected the name of a file in the same directory"},
    {"ShardMissing",
     [](HfFiles& f) {
       f = test::sharded(f);
       f.erase("model-00002-of-00002.safetensors");
     },
     ErrorKind::kIo, "model-00002-of-00002.safetensors: is missing"},
    {"TensorNotInItsShard",
     [](HfFiles& f) {
       f = test::sharded(f);
       f["model-00002-of-00002.safetensors"] = f["model-00001-of-00002.safetensors"];
     },
     ErrorKind::kBadFile, "model-00002-of-00002.safetensors: tensor"},
};

class DirectoryBroken : public testing::TestWithParam<Broken> {};

TEST_P(DirectoryBroken, IsRefusedInOneLine) {
  HfFiles files = files_of(tiny_model({"llama", HfForm::kPackedDivide}), HfForm::kPackedDivide);
  GetParam().damage(files);
  const HfDirectory directory(files);
  expect_error(GetParam().kind, GetParam().named, [&] { static_cast<void>(Model::open(directory.path())); });
  expect_error(GetParam().kind, directory.path().string(), [&] { static_cast<void>(Model::open(directory.path())); });
}

INSTANTIATE_TEST_SUITE_P(HuggingFace, DirectoryBroken, testing::ValuesIn(kBroken),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tern
