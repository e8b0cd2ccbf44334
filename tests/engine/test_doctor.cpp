#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "src/engine/self_test.h"
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

std::vector<std::byte> bundled_model() {
  std::ifstream in(fs::path(TERN_TEST_MODELS) / "tern-stories.gguf", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  return {data, data + bytes.size()};
}

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

TEST(DoctorOfAModel, SaysWhyAFileDoesNotOpen) {
  const ModelFile cut(std::vector<std::byte>(100));
  const std::vector<Finding> findings = examine_model(cut.path());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].health, Health::kFault);
  EXPECT_NE(findings[0].text.find("GGUF"), std::string::npos) << findings[0].text;
}

}  // namespace
}  // namespace tern::test
