#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <set>

#include "kernels/dispatch.h"
#include "src/base/fnv1a.h"
#include "tests/engine/model_file.h"
#include "tests/huggingface/hf_directory.h"
#include "tests/support/consume_kernel_ready.h"
#include "tests/support/expect_error.h"

/// Kernel-ready files compute what their source does, and are refused or harmless when they are damaged.
namespace tern {
namespace {

using test::expect_error;
using test::ModelFile;
using test::TinyModelOptions;

constexpr std::uint32_t kSeed = 20260101;

/// A file made of another one, which goes with this object.
class ReadyFile {
 public:
  explicit ReadyFile(const std::filesystem::path& source, const KernelReadyOptions& options = {})
      : path_(source.string() + ".ready.gguf") {
    EXPECT_TRUE(write_kernel_ready(source, path_, options));
  }
  ~ReadyFile() { std::filesystem::remove(path_); }
  ReadyFile(const ReadyFile&) = delete;
  ReadyFile& operator=(const ReadyFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// Of a prompt long enough for every way to multiply, and a token after it.
std::uint64_t hash_of(const std::shared_ptr<const Model>& model) {
  Session session(model, {.context = 80, .threads = 2});
  std::vector<Token> tokens(77);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<Token>(i * 31 % 257);
  session.evaluate(tokens);
  session.evaluate(std::vector<Token>{5});
  return session.stats().logits_hash;
}

/// One kernel for each layout that can be read here.
std::vector<std::string> kernels_of_all_layouts() {
  std::set<std::string> layouts;
  std::vector<std::string> kernels;
  for (const auto* kernel : kernels::runnable_ternary_kernels(kernels::usable_isa())) {
    if (layouts.insert(kernel->layout->name).second) kernels.emplace_back(kernel->name);
  }
  return kernels;
}

void expect_same_bits(const TinyModelOptions& options, HeadType head = HeadType::kInt8) {
  const ModelFile source(options);
  for (const std::string& kernel : kernels_of_all_layouts()) {
    const auto expected = source.open(kernel, head);
    const ReadyFile ready(source.path(), {.open = {.threads = 2, .kernel = kernel, .head = head}});
    const auto model = Model::open(ready.path(), {.threads = 2, .kernel = kernel, .head = head});
    EXPECT_EQ(hash_of(model), hash_of(expected)) << kernel;
    EXPECT_EQ(model->fingerprint(), expected->fingerprint()) << kernel;
    EXPECT_EQ(model->summary().n_parameters, expected->summary().n_parameters);
    EXPECT_EQ(model->summary().n_ternary_weights, expected->summary().n_ternary_weights);
    EXPECT_EQ(model->summary().ternary_scales, expected->summary().ternary_scales);
    EXPECT_EQ(model->summary().head_type, expected->summary().head_type);
    verify_kernel_ready(ready.path());
  }
}

TEST(KernelReady, OneScaleForEachTensor) { expect_same_bits({.type = "I2_S"}); }
TEST(KernelReady, AScaleForEachRow) {
  expect_same_bits({.architecture = "llama", .type = "IQ2_BN", .one_scale = false});
}
TEST(KernelReady, AScaleForEachBlock) {
  expect_same_bits({.architecture = "qwen3", .type = "PTQ1_0", .one_scale = false});
}
TEST(KernelReady, AHeadOfItsOwn) { expect_same_bits({.type = "TQ1_0", .tied_embeddings = false}); }
TEST(KernelReady, ATernaryHead) {
  expect_same_bits({.type = "TQ2_0", .embedding_type = "TQ2_0", .one_scale = false});
  expect_same_bits({.type = "TQ2_0", .embedding_type = "I2_S", .tied_embeddings = false});
}
TEST(KernelReady, TheHeadOfTheFile) { expect_same_bits({.type = "TQ2_0"}, HeadType::kFile); }

TEST(KernelReady, LayersOfFloatsStayAsTheyAre) { expect_same_bits({.type = "F16"}); }

TEST(KernelReady, IsMadeOfADirectoryToo) {
  const std::vector<std::byte> twin = test::make_tiny_model({.type = "I2_S"}).build();
  const format::Gguf gguf = format::parse_gguf(twin, "twin", weights::tensor_size);
  for (const test::HfForm form : {test::HfForm::kPackedMultiply, test::HfForm::kMastersBf16}) {
    const test::HfDirectory directory(test::hf_files(gguf, form));
    const ReadyFile ready(directory.path());
    EXPECT_EQ(hash_of(Model::open(ready.path())), hash_of(Model::open(directory.path())));
  }
}

TEST(KernelReady, IsATypeToConvertTo) {
  const ModelFile source(TinyModelOptions{.architecture = "bitnet", .type = "I2_S"});
  const std::filesystem::path beside = source.path().string() + ".tq2_0.gguf";  // scales in tensors of their own
  const std::filesystem::path ready = source.path().string() + ".ready.gguf";
  ASSERT_TRUE(convert(source.path(), beside, {.type = "tq2_0"}));
  const auto summary = convert(beside, ready, {.type = "kernel-ready", .layout = "rows64"});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->bytes, std::filesystem::file_size(ready));
  EXPECT_EQ(summary->n_converted, 14u);
  EXPECT_TRUE(std::ranges::any_of(summary->types, [](const auto& type) { return type.type == "packed rows64"; }));
  if (kernels::usable_isa() >= kernels::Isa::kAvx2) {
    EXPECT_EQ(hash_of(Model::open(ready)), hash_of(source.open()));
  }
  expect_error(ErrorKind::kInvalidArgument, "expected type keep, found q8_0", [&] {
    return convert(beside, ready, {.type = "kernel-ready", .embedding = "q8_0", .overwrite = true});
  });
  expect_error(ErrorKind::kInvalidArgument, "found type tq2_0",
               [&] { return convert(beside, ready, {.type = "tq2_0", .layout = "e5", .overwrite = true}); });
  std::filesystem::remove(beside);
  std::filesystem::remove(ready);
}

TEST(KernelReady, EitherHeadCanBeTakenLater) {
  const ModelFile source({.type = "TQ2_0"});
  const ReadyFile with_int8(source.path());
  EXPECT_EQ(hash_of(Model::open(with_int8.path(), {.head = HeadType::kFile})),
            hash_of(source.open("auto", HeadType::kFile)));
  const ReadyFile without(source.path(), {.open = {.head = HeadType::kFile}});
  const auto model = Model::open(without.path());
  EXPECT_EQ(hash_of(model), hash_of(source.open()));
  EXPECT_NE(model->summary().notes.back().find("no int8 head"), std::string::npos);
}

TEST(KernelReady, IsNeitherMadeTwiceNorWhenStopped) {
  const ModelFile source({.type = "TQ2_0"});
  const ReadyFile ready(source.path());
  EXPECT_TRUE(is_kernel_ready(ready.path()));
  EXPECT_FALSE(is_kernel_ready(source.path()));
  const std::filesystem::path out = source.path().string() + ".out";
  expect_error(ErrorKind::kUnsupported, "is kernel-ready already",
               [&] { std::ignore = write_kernel_ready(ready.path(), out); });
  expect_error(ErrorKind::kInvalidArgument, "layout: expected one of ",
               [&] { std::ignore = write_kernel_ready(source.path(), out, {.layout = "odd"}); });
  EXPECT_FALSE(write_kernel_ready(source.path(), out, {.keep_going = [] { return false; }}));
  EXPECT_FALSE(std::filesystem::exists(out));
  expect_error(ErrorKind::kBadFile, "expected a kernel-ready file", [&] { verify_kernel_ready(source.path()); });
}

// --- layouts ------------------------------------------------------------------------------------------------------

TEST(KernelReady, KernelsOfAnotherLayoutAreRefused) {
  const ModelFile source({.type = "TQ2_0"});
  const ReadyFile plain(source.path(), {.layout = "plain"});
  const auto model = Model::open(plain.path());
  EXPECT_EQ(model->summary().decode_kernel, "reference");
  const bool only = kernels_of_all_layouts().size() == 1;
  EXPECT_NE(model->summary().notes[0].find(only ? "only the slow reference" : "packed as \"plain\""),
            std::string::npos);
  if (only) return;
  expect_error(ErrorKind::kInvalidArgument, "does not read weights packed as \"plain\"; kernels that do: reference",
               [&] { std::ignore = Model::open(plain.path(), {.kernel = kernels_of_all_layouts().front()}); });
}

TEST(KernelReady, LayoutsThatNothingHereReadsAreRefused) {
  const ModelFile source({.type = "TQ2_0"});
  const std::string layout = nn::find_layout("e5") != nullptr ? "e5" : "plain";
  const ReadyFile ready(source.path(), {.layout = layout});
  if (layout == "plain") return;
  const char* before = std::getenv("TERN_ISA");
  const std::string isa = before != nullptr ? before : "";
  setenv("TERN_ISA", "scalar", 1);
  expect_error(ErrorKind::kUnsupported, "packed as \"e5\" for addsub-avx512vbmi",
               [&] { std::ignore = Model::open(ready.path()); });
  isa.empty() ? unsetenv("TERN_ISA") : setenv("TERN_ISA", isa.c_str(), 1);
}

/// A file outlives the program that made it: what a number of packed_type.h stands for never changes.
TEST(KernelReady, LayoutsAreWhatTheyWere) {
  constexpr std::size_t kRows = 64, kCols = 700;
  std::vector<std::uint8_t> codes(kRows * kCols);
  std::uint32_t state = 1;
  for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 16U) % 3;
  const std::pair<const char*, std::uint64_t> kKnown[] = {{"plain", 0x8fd789e41874d6a9},
                                                          {"rows64", 0x920d872f5ed09898},
                                                          {"tile16x4", 0x2217a10c7637c266},
                                                          {"e5", 0x68cd7c25c9421dfd}};
  for (const auto& [name, hash] : kKnown) {
    const kernels::TernaryLayout* layout = nn::find_layout(name);
    if (layout == nullptr) continue;
    std::vector<std::uint8_t> block(layout->block_bytes(kCols));
    layout->pack(codes.data(), kCols, layout->row_block, kCols, block.data());
    EXPECT_EQ(fnv1a(std::as_bytes(std::span(block))), hash) << name;
  }
}

// --- damage -------------------------------------------------------------------------------------------------------

bool runs(const std::vector<std::byte>& bytes, const std::string& kernel) {
  try {
    test::consume_model(bytes, kernel, 17);  // enough for a prompt kernel
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return false;
  }
}

std::size_t data_begin(const std::vector<std::byte>& bytes) {
  const format::Gguf gguf = format::parse_gguf(bytes, "whole", nn::any_tensor_size);
  return static_cast<std::size_t>(gguf.tensors[0].data.data() - bytes.data());
}

TEST(KernelReady, EveryCutIsRefused) {
  const std::vector<std::byte> whole = test::tiny_kernel_ready("plain");
  EXPECT_TRUE(runs(whole, "auto"));
  for (std::size_t size = 1; size < whole.size(); size += size < 512 ? 7 : 1999) {
    EXPECT_FALSE(runs({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}, "auto")) << size;
  }
}

TEST(KernelReady, FlipsInKeysAndDirectoryAreRefused) {
  const std::vector<std::byte> whole = test::tiny_kernel_ready("plain");
  constexpr std::size_t kCounts = 8;               // bytes of magic and version, which have two values
  const std::size_t end = data_begin(whole) - 64;  // padding may be anything
  std::mt19937 rng(kSeed);
  for (int i = 0; i < 300; ++i) {
    std::vector<std::byte> damaged = whole;
    const std::size_t at = kCounts + rng() % (end - kCounts);
    damaged[at] ^= static_cast<std::byte>(1 + rng() % 255);
    EXPECT_FALSE(runs(damaged, "auto")) << "byte " << at << ", seed " << kSeed;
  }
}

TEST(KernelReady, FlipsUnderARightChecksumAreRefusedOrHarmless) {
  const auto* kernel = kernels::runnable_ternary_kernels(kernels::usable_isa()).front();
  const std::vector<std::byte> whole = test::tiny_kernel_ready(kernel->layout->name);
  const std::size_t header = data_begin(whole);
  std::mt19937 rng(kSeed);
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    std::vector<std::byte> damaged = whole;
    damaged[rng() % (i % 3 == 0 ? whole.size() : header)] = static_cast<std::byte>(rng());
    test::mend_directory(damaged);
    refused += runs(damaged, "auto") ? 0 : 1;
  }
  EXPECT_GT(refused, 20) << "seed " << kSeed;
  EXPECT_LT(refused, 200) << "seed " << kSeed;
}

/// Codes are not looked at when a file is opened: no kernel may leave its memory, whatever they are.
TEST(KernelReady, AnyCodesAreHarmless) {
  for (const auto* kernel : kernels::runnable_ternary_kernels(kernels::usable_isa())) {
    std::vector<std::byte> bytes = test::tiny_kernel_ready(kernel->layout->name);
    const format::Gguf gguf = format::parse_gguf(bytes, "whole", nn::any_tensor_size);
    std::mt19937 rng(kSeed);
    for (const format::TensorInfo& tensor : gguf.tensors) {
      const auto packed = nn::find_packed_type(tensor.type);
      if (!packed && tensor.type != nn::kInt8HeadType) continue;
      const std::size_t begin = static_cast<std::size_t>(tensor.data.data() - bytes.data());
      const std::size_t n = packed ? nn::view_packed("whole", tensor, *packed).weights.size()
                                   : static_cast<std::size_t>(tensor.rows() * tensor.cols());
      for (std::size_t i = 0; i < n; ++i) bytes[begin + i] = static_cast<std::byte>(rng());
    }
    EXPECT_TRUE(runs(bytes, kernel->name)) << kernel->name;
    const ModelFile file(bytes);
    expect_error(ErrorKind::kBadFile, "expected the checksum", [&] { verify_kernel_ready(file.path()); });
  }
}

TEST(KernelReady, BadScalesAreRefused) {
  std::vector<std::byte> bytes = test::tiny_kernel_ready("plain");
  const format::Gguf gguf = format::parse_gguf(bytes, "whole", nn::any_tensor_size);
  for (const char* name : {"blk.0.attn_q.weight", "blk.0.ffn_down.weight", "tern.head"}) {
    const format::TensorInfo& tensor = *gguf.find(name);
    const auto packed = nn::find_packed_type(tensor.type);
    const std::size_t n = packed ? nn::view_packed("whole", tensor, *packed).weights.size()
                                 : static_cast<std::size_t>(tensor.rows() * tensor.cols());
    std::vector<std::byte> damaged = bytes;
    const auto at = static_cast<std::size_t>(tensor.data.data() - bytes.data()) + n;
    for (std::size_t i = 0; i < 4; ++i) damaged[at + i] = std::byte{0xff};  // not a number, in f16 and in f32
    const ModelFile file(damaged);
    expect_error(ErrorKind::kBadFile, std::string(name) + "': scale 0: expected a finite one",
                 [&] { std::ignore = Model::open(file.path()); });
  }
}

TEST(KernelReady, OtherVersionsAreRefused) {
  std::vector<std::byte> bytes = test::tiny_kernel_ready("plain");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t at = text.find(engine::kVersionKey) + engine::kVersionKey.size() + sizeof(std::uint32_t);
  bytes[at] = std::byte{2};
  const ModelFile file(bytes);
  expect_error(ErrorKind::kUnsupported, "key tern.ready.version: expected 1, found 2; make the file again",
               [&] { std::ignore = Model::open(file.path()); });
}

}  // namespace
}  // namespace tern
