#include "tern/convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <map>

#include "src/engine/model_source.h"
#include "src/weights/codec.h"
#include "tests/engine/model_file.h"
#include "tests/support/expect_error.h"
#include "tests/support/pack_ternary.h"

namespace tern {
namespace {

using test::expect_error;
using test::find_tensor;
using test::GgufBuilder;
using test::ModelFile;
using test::TinyModelOptions;

constexpr float kOddScale = 0.0123456789f;  // does not fit in 16 bits
constexpr double kHalfStep = 0x1p-11;       // largest relative error of a number that is rounded to 16 bits

/// Tests write into a directory of their own, which must hold nothing but the result.
class Convert : public testing::Test {
 protected:
  Convert() {
    std::string name = (std::filesystem::temp_directory_path() / "tern-convert-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    output_ = directory_ / "out.gguf";
  }
  ~Convert() override { std::filesystem::remove_all(directory_); }

  ConvertSummary to(const std::string& type, const std::filesystem::path& source) {
    return with({.type = type, .overwrite = true, .threads = 2}, source);
  }
  ConvertSummary with(const ConvertOptions& options, const std::filesystem::path& source) {
    const auto summary = convert(source, output_, options);
    EXPECT_TRUE(summary.has_value());
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
    EXPECT_EQ(summary->bytes, std::filesystem::file_size(output_));
    return *summary;
  }
  void expect_refused(ErrorKind kind, std::string_view part, const ConvertOptions& options,
                      const std::filesystem::path& source) {
    expect_error(kind, part, [&] { static_cast<void>(convert(source, output_, options)); });
    EXPECT_TRUE(std::filesystem::is_empty(directory_));
  }

  std::filesystem::path directory_;
  std::filesystem::path output_;
};

using Values = std::map<std::string, std::vector<float>>;

/// Every matrix of a file as floats, scales beside it included.
Values matrices_of(const std::filesystem::path& path) {
  MappedFiles files;
  const format::Gguf gguf = engine::open_source(path, files);
  Values all;
  for (const format::TensorInfo& tensor : gguf.tensors) {
    if (tensor.n_dims < 2) continue;
    const std::string name(tensor.name);
    float factor = 1.0f;
    if (const auto* scale = gguf.find(name.substr(0, name.rfind('.')) + ".scale")) {
      std::memcpy(&factor, scale->data.data(), sizeof factor);
    }
    const std::size_t cols = tensor.cols();
    std::vector<float>& values = all[name];
    values.resize(tensor.n_elements);
    for (std::size_t row = 0; row < tensor.rows(); ++row) {
      weights::find_codec(tensor.type)
          ->read_row(tensor.data.data(), tensor.n_elements, row, cols, values.data() + row * cols);
    }
    for (float& value : values) value *= factor;
  }
  return all;
}

void expect_near(const Values& found, const Values& expected, double bound) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, values] : expected) {
    const std::vector<float>& others = found.at(name);
    ASSERT_EQ(others.size(), values.size()) << name;
    double worst = 0.0;  // how far a value is off, beyond what is allowed
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto value = static_cast<double>(values[i]);
      worst = std::max(worst, std::fabs(static_cast<double>(others[i]) - value) - bound * std::fabs(value));
    }
    ASSERT_LE(worst, 0.0) << name;
  }
}

std::vector<float> logits_of(const std::filesystem::path& path) {
  Session session(Model::open(path, {.threads = 2, .head = HeadType::kFile}), {.threads = 2});
  return test::all_logits(session, {1, 17, 250, 33, 99, 200, 201, 64});
}

/// Gives every I2_S tensor a scale that 16 bits cannot hold.
GgufBuilder with_odd_scales(GgufBuilder model) {
  float scale = kOddScale;
  for (GgufBuilder::Tensor& tensor : model.tensors) {
    if (tensor.type == 36) std::memcpy(tensor.data.data() + tensor.data.size() - 32, &scale, sizeof scale);
    scale *= 1.07f;
  }
  return model;
}

// --- ternary layers -----------------------------------------------------------------------------------------------

class EveryTernaryType : public Convert, public testing::WithParamInterface<const char*> {};

TEST_P(EveryTernaryType, BecomesEveryOtherExactly) {
  const std::string type = GetParam();
  const ModelFile file({.architecture = "bitnet", .type = type, .zeros = type != "Q1_0", .n_layers = 1});
  const Values expected = matrices_of(file.path());
  for (const char* target : {"keep", "tq1_0", "tq2_0", "i2_s"}) {
    SCOPED_TRACE(target);
    const ConvertSummary summary = to(target, file.path());
    EXPECT_EQ(summary.largest_scale_error, 0.0);
    EXPECT_EQ(summary.n_scale_tensors, 0u);
    expect_near(matrices_of(output_), expected, 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Engine, EveryTernaryType,
                         testing::Values("TQ1_0", "TQ2_0", "I2_S", "Q1_0", "Q2_0", "Q2_0_128", "IQ1_BN", "IQ2_BN",
                                         "IQ2_BN_R4", "PQ2_0", "PTQ1_0"),
                         [](const auto& test) { return std::string(test.param); });

TEST_F(Convert, KeepsScalesOfBlocksAndRows) {
  for (const char* type : {"TQ1_0", "TQ2_0", "IQ1_BN", "IQ2_BN", "IQ2_BN_R4"}) {
    SCOPED_TRACE(type);
    const ModelFile file({.type = type, .one_scale = false, .n_layers = 1});
    for (const char* target : {"tq1_0", "tq2_0"}) {
      EXPECT_EQ(to(target, file.path()).largest_scale_error, 0.0);
      expect_near(matrices_of(output_), matrices_of(file.path()), 0.0);
    }
    std::filesystem::remove(output_);
    expect_refused(ErrorKind::kInvalidArgument, "expected one scale for I2_S, found one for each", {.type = "i2_s"},
                   file.path());
  }
}

TEST_F(Convert, SmallBlocksOfOneScaleShareALargerOne) {
  const ModelFile equal({.type = "Q2_0", .one_scale = false, .scale_cols = 256});
  to("tq2_0", equal.path());
  expect_near(matrices_of(output_), matrices_of(equal.path()), 0.0);
  std::filesystem::remove(output_);
  const ModelFile different({.type = "Q2_0", .one_scale = false});
  expect_refused(ErrorKind::kInvalidArgument,
                 "blk.0.attn_q.weight: row 0: blocks of 64 columns have scales of their own, and TQ2_0 has only one",
                 {.type = "tq2_0"}, different.path());
}

TEST_F(Convert, SaysHowFarScalesWereRounded) {
  for (const char* architecture : {"llama", "bitnet-b1.58"}) {
    const ModelFile file(
        with_odd_scales(test::make_tiny_model({.architecture = architecture, .type = "I2_S"})).build());
    const ConvertSummary summary = to("tq1_0", file.path());
    EXPECT_GT(summary.largest_scale_error, 0.0);
    EXPECT_LE(summary.largest_scale_error, kHalfStep);
    EXPECT_NE(summary.least_exact_tensor, "");
    expect_near(matrices_of(output_), matrices_of(file.path()), summary.largest_scale_error);
  }
}

TEST_F(Convert, OfBitnetScalesStandBesideTheWeights) {
  const ModelFile file(with_odd_scales(test::make_tiny_model({.architecture = "bitnet", .type = "I2_S"})).build());
  const std::vector<float> logits = logits_of(file.path());
  const Values values = matrices_of(file.path());
  for (const char* target : {"tq1_0", "tq2_0"}) {
    const ConvertSummary summary = to(target, file.path());
    EXPECT_EQ(summary.largest_scale_error, 0.0);
    EXPECT_EQ(summary.n_scale_tensors, 14u);
    expect_near(matrices_of(output_), values, 0.0);
    EXPECT_EQ(logits_of(output_), logits);
    // And back, into the tensor that has room for it.
    const std::filesystem::path again = directory_ / "again.gguf";
    ASSERT_TRUE(convert(output_, again, {.type = "i2_s"}).has_value());
    EXPECT_EQ(inspect(again).tensors.size(), inspect(file.path()).tensors.size());
    expect_near(matrices_of(again), values, 0.0);
    std::filesystem::remove(again);
  }
}

TEST_F(Convert, ReadsCodesInBlocksOf64) {
  const ModelFile file({.type = "I2_S"});
  with({.type = "tq2_0", .i2s_layout = I2sLayout::k64}, file.path());
  const std::vector<float> found = logits_of(output_);
  Session session(Model::open(file.path(), {.i2s_layout = I2sLayout::k64, .head = HeadType::kFile}), {});
  EXPECT_EQ(found, test::all_logits(session, {1, 17, 250, 33, 99, 200, 201, 64}));
  EXPECT_NE(found, logits_of(file.path()));
  with({.type = "keep", .i2s_layout = I2sLayout::k64, .overwrite = true}, file.path());
  EXPECT_EQ(found, logits_of(output_)) << "to be read as I2_S is elsewhere";
}

TEST_F(Convert, RefusesAKernelReadyFile) {
  const ModelFile file({.type = "I2_S"});
  with({.type = "kernel-ready"}, file.path());
  const std::filesystem::path again = output_.string() + ".again";
  for (const char* type : {"keep", "tq2_0", "i2_s", "kernel-ready"}) {
    expect_error(ErrorKind::kUnsupported, "is kernel-ready",
                 [&] { static_cast<void>(convert(output_, again, {.type = type})); });
  }
  EXPECT_FALSE(std::filesystem::exists(again));
}

TEST_F(Convert, RefusesWhatDoesNotFit) {
  const ModelFile narrow({.type = "I2_S", .ffn_dim = 384});
  expect_refused(
      ErrorKind::kInvalidArgument,
      "blk.0.ffn_down.weight: expected a multiple of 256 columns for TQ2_0, found 384; what fits: keep, i2_s",
      {.type = "tq2_0"}, narrow.path());
  GgufBuilder tiny_scale = test::make_tiny_model({.architecture = "llama", .type = "I2_S"});
  auto& data = find_tensor(tiny_scale, "blk.1.ffn_up.weight").data;
  const float scale = 1e-9f;
  std::memcpy(data.data() + data.size() - 32, &scale, sizeof scale);
  expect_refused(ErrorKind::kInvalidArgument, "blk.1.ffn_up.weight: its scale of 1e-09 is beyond", {.type = "tq2_0"},
                 ModelFile(tiny_scale.build()).path());
  GgufBuilder bad_code = test::make_tiny_model({.type = "I2_S"});
  find_tensor(bad_code, "blk.1.ffn_up.weight").data[0] = std::byte{0xff};
  expect_refused(ErrorKind::kBadFile, "blk.1.ffn_up.weight: row 0: expected ternary codes 0, 1, 2, found 3",
                 {.type = "tq2_0"}, ModelFile(bad_code.build()).path());
  expect_refused(ErrorKind::kInvalidArgument, "has no ternary layers", {.type = "tq2_0"},
                 ModelFile(TinyModelOptions{.type = "F16"}).path());
}

// --- embedding, head, norms ---------------------------------------------------------------------------------------

std::string type_of(const std::filesystem::path& path, std::string_view name) {
  for (const TensorSummary& tensor : inspect(path).tensors) {
    if (tensor.name == name) return tensor.type;
  }
  return "";
}

TEST_F(Convert, GivesEmbeddingAndHeadTypesOfTheirOwn) {
  const ModelFile file({.architecture = "llama", .tied_embeddings = false});
  with({.embedding = "q8_0", .head = "q6_k", .overwrite = true}, file.path());
  EXPECT_EQ(type_of(output_, "token_embd.weight"), "Q8_0");
  EXPECT_EQ(type_of(output_, "output.weight"), "Q6_K");
  const double error = test::relative_rms(logits_of(output_), logits_of(file.path()));
  EXPECT_GT(error, 0.0);
  EXPECT_LT(error, 0.05);
  std::filesystem::remove(output_);
  expect_refused(ErrorKind::kInvalidArgument, "has no head of its own", {.head = "q6_k"},
                 ModelFile(TinyModelOptions{}).path());
}

TEST_F(Convert, EveryFloatTypeCanBeTheEmbedding) {
  const ModelFile file(TinyModelOptions{});
  for (const std::string& type : convert_float_types()) {
    if (type == "keep") continue;
    with({.embedding = type, .overwrite = true}, file.path());
    EXPECT_LT(test::relative_rms(logits_of(output_), logits_of(file.path())), 0.3) << type;
    std::string found = type_of(output_, "token_embd.weight");
    for (char& c : found) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(found, type);
  }
}

TEST_F(Convert, RefusesValuesBeyondTheType) {
  GgufBuilder model = test::make_tiny_model({});
  GgufBuilder::Tensor& embedding = find_tensor(model, "token_embd.weight");
  embedding.data[2 * 256 * 7 + 1] = std::byte{0x7c};  // infinity, in row 7
  embedding.data[2 * 256 * 7] = std::byte{0};
  expect_refused(ErrorKind::kBadFile, "token_embd.weight: row 7: expected finite values", {.embedding = "q8_0"},
                 ModelFile(model.build()).path());
}

TEST_F(Convert, WritesVectorsInF32AndKeysThatFit) {
  GgufBuilder model = test::make_tiny_model({.type = "TQ1_0"});
  GgufBuilder::Tensor& norm = find_tensor(model, "output_norm.weight");
  norm.type = 30;  // BF16: the upper halves
  std::vector<std::byte> halves;
  for (std::size_t i = 0; i < norm.data.size(); i += 4)
    halves.insert(halves.end(), &norm.data[i + 2], &norm.data[i + 4]);
  norm.data = halves;
  model.add("general.file_type", 36u).add("custom.u8", std::uint8_t{7});
  const ModelFile file(model.build());
  to("tq2_0", file.path());
  EXPECT_EQ(type_of(output_, "output_norm.weight"), "F32");
  EXPECT_EQ(logits_of(output_), logits_of(file.path()));
  MappedFiles files;
  const format::Gguf gguf = engine::open_source(output_, files);
  EXPECT_EQ(gguf.metadata.integer("general.file_type", 99), 37u);
  EXPECT_EQ(gguf.metadata.integer("general.quantization_version", 99), 2u);
  EXPECT_EQ(gguf.metadata.string("general.name"), "tiny bitnet-b1.58");
  for (std::size_t i = 0; i < gguf.metadata.entries().size(); ++i) {
    if (gguf.metadata.entries()[i].first == "custom.u8") {
      EXPECT_EQ(gguf.metadata.stored_type(i), format::ValueType::kU8);
    }
  }
}

// --- files --------------------------------------------------------------------------------------------------------

TEST_F(Convert, JoinsASplitModel) {
  const GgufBuilder whole = test::make_tiny_model({.type = "I2_S"});
  const std::filesystem::path parts = std::filesystem::path(directory_.string() + "-parts");
  std::filesystem::create_directory(parts);
  const std::size_t n = whole.tensors.size();
  for (std::size_t number = 1; number <= 2; ++number) {
    GgufBuilder part = whole;
    part.tensors.clear();
    part.add("split.no", static_cast<std::uint16_t>(number - 1)).add("split.count", std::uint16_t{2});
    part.add("split.tensors.count", static_cast<std::int32_t>(n));
    for (std::size_t i = number == 1 ? 0 : n / 2; i < (number == 1 ? n / 2 : n); ++i) {
      const GgufBuilder::Tensor& tensor = whole.tensors[i];
      part.add_tensor(tensor.name, tensor.type, tensor.dims, tensor.data);
    }
    test::write_file((parts / ("m-0000" + std::to_string(number) + "-of-00002.gguf")).string(), part.build());
  }
  const std::filesystem::path first = parts / "m-00001-of-00002.gguf";
  to("keep", first);
  EXPECT_EQ(logits_of(output_), logits_of(first));
  MappedFiles files;
  EXPECT_FALSE(engine::open_source(output_, files).metadata.contains("split.count"));
  expect_error(ErrorKind::kInvalidArgument, "is the source itself",
               [&] { static_cast<void>(convert(first, parts / "m-00002-of-00002.gguf", {.overwrite = true})); });
  std::filesystem::remove_all(parts);
}

TEST_F(Convert, DoesNotReplaceAFileUnasked) {
  const ModelFile file(TinyModelOptions{});
  std::ofstream(output_) << "mine";
  expect_error(ErrorKind::kInvalidArgument, "out.gguf: is there already (--force replaces it)",
               [&] { static_cast<void>(convert(file.path(), output_)); });
  EXPECT_EQ(std::filesystem::file_size(output_), 4u);
  with({.overwrite = true}, file.path());
  expect_error(ErrorKind::kInvalidArgument, "is no regular file",
               [&] { static_cast<void>(convert(file.path(), directory_, {.overwrite = true})); });
  const std::filesystem::path link = directory_ / "link.gguf";
  std::filesystem::create_symlink(file.path(), link);
  expect_error(ErrorKind::kInvalidArgument, "link.gguf: is the source itself",
               [&] { static_cast<void>(convert(file.path(), link, {.overwrite = true})); });
}

TEST_F(Convert, LeavesNothingWhenItIsStopped) {
  const ModelFile file({.type = "I2_S"});
  int asked = 0;
  double share = 0.0;
  const ConvertOptions options{
      .type = "tq2_0", .on_progress = [&](double done) { share = done; }, .keep_going = [&] { return ++asked < 9; }};
  EXPECT_FALSE(convert(file.path(), output_, options).has_value());
  EXPECT_EQ(asked, 9);
  EXPECT_GT(share, 0.0);
  EXPECT_LT(share, 1.0);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(Convert, NamesWhatItKnows) {
  const ModelFile file(TinyModelOptions{});
  expect_refused(ErrorKind::kInvalidArgument,
                 "unknown type 'q2_0' of the layers: expected one of keep, tq1_0, tq2_0, i2_s", {.type = "q2_0"},
                 file.path());
  expect_refused(ErrorKind::kInvalidArgument, "unknown type 'q4_k' of the embedding: expected one of keep, f32, f16",
                 {.embedding = "q4_k"}, file.path());
  expect_refused(ErrorKind::kIo, "nowhere.gguf", {}, directory_ / "nowhere.gguf");
}

TEST_F(Convert, GivesTheSameBytesWithAnyNumberOfThreads) {
  const ModelFile file({.type = "IQ2_BN", .one_scale = false, .vocab_rows = 3000});
  std::vector<std::string> files;
  for (const unsigned threads : {1u, 3u}) {
    with({.type = "tq1_0", .embedding = "q6_k", .overwrite = true, .threads = threads}, file.path());
    std::ifstream in(output_, std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  EXPECT_TRUE(files[0] == files[1]);
}

}  // namespace
}  // namespace tern
