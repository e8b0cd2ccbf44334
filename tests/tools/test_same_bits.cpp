#include <nlohmann/json.hpp>

#include "tests/tools/fixture.h"

// One stream of logits, whatever computes it.
namespace tern::test {
namespace {

class SameBits : public CommandTest {
 protected:
  /// The bytes of the logits after each of 96 tokens; empty when this machine cannot run that.
  [[nodiscard]] std::string logits(std::vector<std::string> options, const char* isa = nullptr) const {
    std::string tokens = "0";
    for (int i = 1; i < 96; ++i) tokens += "," + std::to_string(i * 31 % 250 + 3);
    options.insert(options.end(), {"--tokens", tokens, "-o", "-", "-q"});
    Launch launch{.arguments = with_model("logits", options)};
    if (isa != nullptr) launch.environment = {{"TERN_ISA", isa}};
    const Outcome outcome = run_tern(launch);
    if (outcome.status == 2) return "";
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.out;
  }
};

TEST_F(SameBits, OfEveryKernelBatchAndNumberOfThreads) {
  const std::string expected = logits({"--kernel", "reference", "-t", "1", "--batch", "1"});
  ASSERT_FALSE(expected.empty());
  const auto object = nlohmann::json::parse(run_tern({"inspect", "--json", model_}).out);
  for (const auto& kernel : object["kernels"]["available"]) {
    if (kernel["missing"] != "") continue;
    for (const char* batch : {"1", "7", "32", "512"}) {
      for (const char* threads : {"1", "2"}) {
        EXPECT_EQ(logits({"--kernel", kernel["name"], "--batch", batch, "-t", threads}), expected)
            << kernel["name"] << ", batch " << batch << ", threads " << threads;
      }
    }
  }
}

TEST_F(SameBits, OfEveryInstructionSet) {
  for (const char* kv : {"f16", "int8"}) {
    const std::string expected = logits({"--kv", kv}, "scalar");
    ASSERT_FALSE(expected.empty());
    for (const char* isa :
         {"baseline", "dotprod", "i8mm", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512vbmi", "amx"}) {
      for (const char* batch : {"1", "7", "512"}) {
        const std::string found = logits({"--kv", kv, "--batch", batch}, isa);
        if (found.empty()) continue;
        EXPECT_EQ(found, expected) << isa << ", batch " << batch << ", kv " << kv;
      }
    }
  }
}

}  // namespace
}  // namespace tern::test
