#pragma once

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tern/tern.h"
#include "tests/support/tiny_model.h"

namespace tern::test {

/// A model file that lives as long as this object.
class ModelFile {
 public:
  explicit ModelFile(const TinyModelOptions& options) : ModelFile(make_tiny_model(options).build()) {}
  explicit ModelFile(const std::vector<std::byte>& bytes) {
    static int count = 0;
    const std::string name = "tern-test-" + std::to_string(::getpid()) + "-" + std::to_string(count++) + ".gguf";
    path_ = std::filesystem::temp_directory_path() / name;
    write_file(path_.string(), bytes);
  }
  ~ModelFile() { std::filesystem::remove(path_); }
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::shared_ptr<const Model> open(const std::string& kernel = "auto",
                                                  HeadType head = HeadType::kInt8) const {
    return Model::open(path_, {.threads = 2, .kernel = kernel, .head = head});
  }

 private:
  std::filesystem::path path_;
};

/// Logits after every token, (tokens, vocab_size).
inline std::vector<float> all_logits(Session& session, const std::vector<Token>& tokens) {
  std::vector<float> all;
  session.evaluate_all(
      tokens, [&](std::size_t, std::span<const float> logits) { all.insert(all.end(), logits.begin(), logits.end()); });
  return all;
}

/// Relative root-mean-square difference: |a - b| / |b|.
inline double relative_rms(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0.0, size = 0.0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += d * d;
    size += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return std::sqrt(difference / size);
}

}  // namespace tern::test
