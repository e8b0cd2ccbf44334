#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <utility>

#include "kernels/cpu_features.h"
#include "kernels/dispatch.h"
#include "tests/kernels/error_message.h"

namespace tern::kernels {
namespace {

/// Sets TERN_ISA for the length of a test; a null value removes it.
class ForcedIsa {
 public:
  explicit ForcedIsa(const char* value) {
    if (const char* old = std::getenv("TERN_ISA"); old != nullptr) {
      old_ = old;
    }
    value != nullptr ? setenv("TERN_ISA", value, 1) : unsetenv("TERN_ISA");
  }
  ~ForcedIsa() { old_.empty() ? unsetenv("TERN_ISA") : setenv("TERN_ISA", old_.c_str(), 1); }
  ForcedIsa(const ForcedIsa&) = delete;
  ForcedIsa& operator=(const ForcedIsa&) = delete;

 private:
  std::string old_;
};

TEST(Kernels, HaveUniqueNamesAndWholeTables) {
  std::set<std::string> names;
  for (const TernaryKernel* kernel : all_ternary_kernels()) {
    EXPECT_TRUE(names.insert(kernel->name).second) << kernel->name;
    EXPECT_NE(kernel->layout, nullptr);
    EXPECT_GE(kernel->min_prompt_tokens, 1U);
    for (const TernaryRoutine* routine : {&kernel->decode, &kernel->prompt}) {
      const bool whole = routine->operand_bytes != nullptr && routine->prepare != nullptr &&
                         routine->scratch_bytes != nullptr && routine->grain != nullptr && routine->multiply != nullptr;
      const bool absent = routine->operand_bytes == nullptr && routine->prepare == nullptr &&
                          routine->scratch_bytes == nullptr && routine->grain == nullptr &&
                          routine->multiply == nullptr;
      EXPECT_TRUE(whole || absent) << kernel->name;
    }
  }
}

TEST(Kernels, AreOrderedBestFirst) {
  const auto kernels = all_ternary_kernels();
  EXPECT_EQ(kernels.back()->family, Family::kReference);
  for (std::size_t i = 1; i < kernels.size(); ++i) {
    if (kernels[i]->family == kernels[i - 1]->family) {
      EXPECT_LT(kernels[i]->isa, kernels[i - 1]->isa) << kernels[i]->name;
    }
  }
  const auto floats = all_float_kernels();
  EXPECT_EQ(floats.back()->isa, Isa::kScalar);
  EXPECT_TRUE(std::ranges::is_sorted(floats, std::greater{}, [](const FloatKernels* table) { return table->isa; }));
  const auto heads = all_head_kernels();
  EXPECT_EQ(heads.back()->isa, Isa::kScalar);
  EXPECT_TRUE(std::ranges::is_sorted(heads, std::greater{}, [](const HeadKernels* table) { return table->isa; }));
}

TEST(MissingFor, GrowsWithTheInstructionSet) {
  EXPECT_EQ(missing_for(Isa::kScalar), "");
  EXPECT_EQ(missing_for(Isa::kBaseline), "");
  for (const Isa isa : kAllIsas) {
    EXPECT_GE(missing_for(isa).size(), missing_for(parent_of(isa)).size()) << to_string(isa);
    EXPECT_TRUE(parent_of(isa) < isa || isa == Isa::kScalar) << to_string(isa);
  }
}

TEST(MissingFor, NamesEveryAbsentFeature) {
  for (const CpuFeature& feature : cpu_features()) {
    EXPECT_EQ(contains(missing_for(feature.isa), feature.name), !feature.present) << feature.name;
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
// The compiler's own detection is an independent witness, operating system's support included.
TEST(CpuFeatures, AgreeWithTheCompiler) {
  const std::pair<std::string_view, int> known[] = {
      {"avx2", __builtin_cpu_supports("avx2")},         {"avx512f", __builtin_cpu_supports("avx512f")},
      {"avx512dq", __builtin_cpu_supports("avx512dq")}, {"avx512bw", __builtin_cpu_supports("avx512bw")},
      {"avx512vl", __builtin_cpu_supports("avx512vl")}, {"avx512vnni", __builtin_cpu_supports("avx512vnni")},
      {"fma", __builtin_cpu_supports("fma")},           {"avx512vbmi", __builtin_cpu_supports("avx512vbmi")}};
  for (const auto& [name, supported] : known) {
    const auto feature = std::ranges::find(cpu_features(), name, &CpuFeature::name);
    ASSERT_NE(feature, cpu_features().end()) << name;
    EXPECT_EQ(feature->present, supported != 0) << name;
  }
}
#endif

TEST(UsableIsa, IsTheBestThereIsWithoutTheVariable) {
  const ForcedIsa none(nullptr);
  const Isa best = usable_isa();
  EXPECT_EQ(missing_for(best), "");
  for (const Isa isa : kAllIsas) {
    EXPECT_TRUE(isa <= best || !missing_for(isa).empty()) << to_string(isa);
  }
}

TEST(UsableIsa, ObeysTheVariable) {
  for (const Isa isa : kAllIsas) {
    const ForcedIsa forced(std::string(to_string(isa)).c_str());
    if (missing_for(isa).empty()) {
      EXPECT_EQ(usable_isa(), isa);
    } else {
      EXPECT_TRUE(contains(message_of([] { return usable_isa(); }), missing_for(isa))) << to_string(isa);
    }
  }
}

TEST(UsableIsa, RefusesUnknownNames) {
  const ForcedIsa forced("avx9000");
  const std::string message = message_of([] { return usable_isa(); });
  EXPECT_TRUE(contains(message, "avx9000")) << message;
  EXPECT_TRUE(contains(message, "scalar, baseline, dotprod")) << message;
}

}  // namespace
}  // namespace tern::kernels
