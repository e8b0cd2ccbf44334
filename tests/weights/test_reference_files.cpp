// The same weights in three ternary types must decode to the same numbers. Reads model files that are not part of the
// repository: set TERN_SHARED to a folder with golden/NAME.{TQ1_0,TQ2_0,I2_S}.gguf.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "src/base/mapped_file.h"
#include "src/format/gguf.h"
#include "src/weights/codec.h"

namespace tern::weights {
namespace {

namespace fs = std::filesystem;

/// Codes of every ternary tensor by name.
std::map<std::string, std::vector<std::uint8_t>> ternary_codes(const fs::path& path) {
  std::map<std::string, std::vector<std::uint8_t>> all;
  const MappedFile file(path);
  const format::Gguf gguf = format::parse_gguf(file.bytes(), path.string(), tensor_size);
  for (const format::TensorInfo& tensor : gguf.tensors) {
    const TensorCodec& codec = *find_codec(tensor.type);
    if (!codec.is_ternary()) continue;
    std::vector<std::uint8_t>& codes = all[std::string(tensor.name)];
    codes.resize(tensor.n_elements);
    for (std::size_t row = 0; row < tensor.rows(); ++row) {
      EXPECT_TRUE(codec.unpack_row(tensor.data.data(), row, tensor.cols(), codes.data() + row * tensor.cols()));
    }
  }
  return all;
}

TEST(ReferenceFiles, HoldTheSameCodesInEveryType) {
  const char* folder = std::getenv("TERN_SHARED");
  if (folder == nullptr) GTEST_SKIP() << "TERN_SHARED is not set";
  std::size_t n_models = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(folder) / "golden")) {
    const std::string name = entry.path().string();
    const std::size_t suffix = name.rfind(".TQ2_0.gguf");
    if (suffix == std::string::npos) continue;
    const auto codes = ternary_codes(entry.path());
    EXPECT_FALSE(codes.empty()) << name;
    EXPECT_EQ(ternary_codes(name.substr(0, suffix) + ".TQ1_0.gguf"), codes) << name;
    EXPECT_EQ(ternary_codes(name.substr(0, suffix) + ".I2_S.gguf"), codes) << name;
    ++n_models;
  }
  EXPECT_GT(n_models, 0u);
}

}  // namespace
}  // namespace tern::weights
