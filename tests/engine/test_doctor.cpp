#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "src/engine/self_test.h"
#include "src/format/gguf.h"
#include "src/weights/codec.h"
#include "tern/convert.h"
#include "tern/doctor.h"
#include "tests/engine/model_file.h"

// tern/doctor.h: that it finds what was planted, and nothing else.
namespace tern::test {
namespace {

namespace fs = std::filesystem;
using kernels::HeadKernels;
using kernels::TernaryKernel;

bool all_good(const std::vector<Finding>& findings) {
  return std::ranges::all_of(findings, [](const Finding& finding) { return finding.health == Health::kGood; });
}

const Finding& find(const std::vector<Finding>& findings, const std::string& topic) {
  const auto found = std::ranges::find(findings, topic, &Finding::topic);
  if (found == findings.end()) throw std::logic_error("no finding about " + topic);
  return *found;
}

// --- kernels with one wrong lane ----------------------------------------------------------------------------------

constexpr std::size_t kWrongRow = 5;

/// Hands results on, with 1 added in one row.
struct WrongSink {
  kernels::SumSink to;

  static void take(void* context, std::size_t token, std::size_t row, std::size_t n_rows, const std::int32_t* sums) {
    const auto& self = *static_cast<const WrongSink*>(context);
    std::vector<std::int32_t> changed(sums, sums + n_rows);
    if (row <= kWrongRow && kWrongRow < row + n_rows) changed[kWrongRow - row] += 1;
    self.to.take(self.to.context, token, row, n_rows, changed.data());
  }
};

void multiply_wrongly(const kernels::TernaryProduct& product) {
  WrongSink sink{product.sink};
  kernels::TernaryProduct p = product;
  p.sink = {WrongSink::take, &sink};
  kernels::all_ternary_kernels().back()->decode.multiply(p);
}

TEST(Doctor, FindsAWrongLaneOfATernaryKernel) {
  const TernaryKernel& good = *kernels::all_ternary_kernels().back();  // the reference
  EXPECT_FALSE(engine::find_mismatch(good));
  TernaryKernel wrong = good;
  wrong.decode.multiply = multiply_wrongly;
  const auto mismatch = engine::find_mismatch(wrong);
  ASSERT_TRUE(mismatch);
  EXPECT_EQ(mismatch->where.find("decode, row 5 of token 0"), 0u) << mismatch->where;
  EXPECT_EQ(std::stoi(mismatch->found), std::stoi(mismatch->expected) + 1);
}

TEST(Doctor, FindsAWrongLaneOfAHead) {
  const HeadKernels& good = *kernels::all_head_kernels().back();
  HeadKernels wrong = good;
  wrong.multiply = [](const kernels::HeadProduct& p) {
    kernels::all_head_kernels().back()->multiply(p);
    p.y[kWrongRow] = -p.y[kWrongRow];
  };
  EXPECT_FALSE(engine::find_mismatch(good));
  ASSERT_TRUE(engine::find_mismatch(wrong));
  EXPECT_EQ(engine::find_mismatch(wrong)->where.find("row 5 of token 0"), 0u);
}

TEST(Doctor, FindsAWrongElementOfFloatWork) {
  const kernels::FloatKernels& good = *kernels::all_float_kernels().back();
  kernels::FloatKernels wrong = good;
  wrong.quantize = [](const float* x, std::size_t n, std::int8_t* q) {
    const double step = kernels::all_float_kernels().back()->quantize(x, n, q);
    q[n - 1] = static_cast<std::int8_t>(q[n - 1] ^ 1);
    return step;
  };
  EXPECT_FALSE(engine::find_mismatch(good));
  EXPECT_TRUE(engine::find_mismatch(wrong));
}

TEST(Doctor, FindsNothingWrongWithTheKernelsHere) {
  double share = 0.0;
  const std::vector<Finding> findings = examine_kernels([&](double done) { share = done; });
  EXPECT_TRUE(all_good(findings));
  EXPECT_EQ(share, 1.0);
  for (const auto* kernel : kernels::runnable_ternary_kernels(kernels::usable_isa())) {
    EXPECT_EQ(find(findings, std::string("kernel ") + kernel->name).text, "equal to the reference");
  }
}

// --- the machine ------------------------------------------------------------------------------------------------

class DoctorOfAMachine : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_); }
  void TearDown() override { fs::remove_all(root_); }

  [[nodiscard]] Finding examine(const std::string& topic, const std::string& cpu_max, const std::string& huge_pages) {
    std::ofstream(root_ / "membership") << "0::/\n";
    std::ofstream(root_ / "cpu.max") << cpu_max << "\n";
    std::ofstream(root_ / "huge") << huge_pages << "\n";
    return find(examine_machine({root_ / "membership", root_, root_ / "huge"}), topic);
  }

  fs::path root_ = fs::path(testing::TempDir()) / ("doctor-" + std::to_string(getpid()));
};

TEST_F(DoctorOfAMachine, FindsTheLimitOfAContainer) {
  const Finding limited = examine("threads", "50000 100000", "always [madvise] never");
  EXPECT_EQ(limited.health, Health::kRemark);
  EXPECT_NE(limited.text.find("a control group grants the time of 0.5"), std::string::npos) << limited.text;
  EXPECT_EQ(examine("threads", "max 100000", "").text.find("control group"), std::string::npos);
}

TEST_F(DoctorOfAMachine, FindsHugePagesThatAreOff) {
  EXPECT_EQ(examine("huge pages", "max", "always [madvise] never").health, Health::kGood);
  EXPECT_EQ(examine("huge pages", "max", "always madvise [never]").health, Health::kRemark);
  EXPECT_EQ(examine("huge pages", "max", "").health, Health::kRemark);
}

// --- models -----------------------------------------------------------------------------------------------------

std::vector<std::byte> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  return {data, data + bytes.size()};
}

std::vector<std::byte> bundled_model() { return read_file(fs::path(TERN_TEST_MODELS) / "tern-stories.gguf"); }

TEST(DoctorOfAModel, FindsAFlippedBit) {
  std::vector<std::byte> bytes = bundled_model();
  const ModelFile good(bytes);
  const Fingerprint expected = fingerprint_of(good.path());
  EXPECT_TRUE(all_good(examine_fingerprint(good.path(), expected)));

  bytes[bytes.size() - 1000] ^= std::byte{1};  // in the embedding, where it may not change any logit
  const ModelFile flipped(bytes);
  EXPECT_EQ(find(examine_fingerprint(flipped.path(), expected), "file").health, Health::kFault);
}

TEST(DoctorOfAModel, FindsLogitsThatDiffer) {
  const ModelFile good(bundled_model());
  Fingerprint expected = fingerprint_of(good.path());
  expected.logits ^= 1;
  const std::vector<Finding> findings = examine_fingerprint(good.path(), expected);
  EXPECT_EQ(find(findings, "logits reference").health, Health::kFault);
  EXPECT_EQ(find(findings, "file").health, Health::kGood);
}

TEST(DoctorOfAModel, KnowsATrainedModelFromARandomOne) {
  const std::vector<Finding> trained = examine_model(ModelFile(bundled_model()).path());
  EXPECT_EQ(find(trained, "text").health, Health::kGood) << find(trained, "text").text;
  const ModelFile random(TinyModelOptions{.architecture = "llama"});
  EXPECT_EQ(find(examine_model(random.path()), "text").health, Health::kRemark);
}

/// The codes of every I2_S tensor of a file as tools built for ARM would have laid them: element m of a block of 64 in
/// byte m % 16, of a block of 128 in byte m % 32, the first elements in the high bits.
std::vector<std::byte> with_blocks_of_64(std::vector<std::byte> file) {
  constexpr std::uint32_t kI2s = 36;
  const format::Gguf gguf = format::parse_gguf(file, "test", weights::tensor_size);
  for (const format::TensorInfo& tensor : gguf.tensors) {
    if (tensor.type != kI2s) continue;
    std::byte* codes = file.data() + (tensor.data.data() - file.data());
    for (std::size_t block = 0; block < tensor.n_elements / 4; block += 32) {
      std::array<std::byte, 32> laid{};
      for (std::size_t m = 0; m < 128; ++m) {
        const std::byte code = codes[block + m % 32] >> (6 - 2 * (m / 32)) & std::byte{3};
        laid[m / 64 * 16 + m % 16] |= code << (6 - 2 * (m % 64 / 16));
      }
      std::copy(laid.begin(), laid.end(), codes + block);
    }
  }
  return file;
}

TEST(DoctorOfAModel, TellsTheTwoLayoutsOfI2sApart) {
  const ModelFile tq2_0(bundled_model());
  const fs::path path = fs::path(testing::TempDir()) / ("doctor-i2_s-" + std::to_string(getpid()));
  ASSERT_TRUE(convert(tq2_0.path(), path, {.type = "i2_s", .overwrite = true}));
  const std::vector<std::byte> bytes = read_file(path);
  fs::remove(path);
  const ModelFile x86(bytes);
  EXPECT_EQ(find(examine_model(x86.path()), "I2_S layout").health, Health::kGood);

  const ModelFile arm(with_blocks_of_64(bytes));
  const Finding finding = find(examine_model(arm.path()), "I2_S layout");
  EXPECT_EQ(finding.health, Health::kFault);
  EXPECT_NE(finding.text.find("use --i2s-layout 64"), std::string::npos) << finding.text;
  EXPECT_EQ(find(examine_model(arm.path(), {.i2s_layout = I2sLayout::k64}), "I2_S layout").health, Health::kGood);
}

TEST(DoctorOfAModel, KnowsTheTemplateThatConvertersGetWrong) {
  const ModelFile model(
      TinyModelOptions{.architecture = "bitnet-b1.58",
                       .chat_template = "{{ 'Human: ' + messages[0]['content'] + 'BITNETAssistant: ' }}"});
  const auto findings = examine_model(model.path());
  EXPECT_TRUE(std::ranges::any_of(findings, [](const Finding& finding) {
    return finding.topic == "model" && finding.text.find("template of BitNet b1.58 2B4T") != std::string::npos;
  }));
}

TEST(DoctorOfAModel, SaysWhyAFileDoesNotOpen) {
  const ModelFile cut(std::vector<std::byte>(100));
  const std::vector<Finding> findings = examine_model(cut.path());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].health, Health::kFault);
  EXPECT_NE(findings[0].text.find("GGUF"), std::string::npos) << findings[0].text;
}

}  // namespace
}  // namespace tern::test
