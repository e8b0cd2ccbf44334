#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tern/tern.h"
#include "tools/model_options.h"

/// The parts of `tern bench`: one file each.
namespace tern::tools {

struct BenchOptions {
  ModelOptions model;  ///< kernel and threads are those below
  std::string kernel;  ///< empty: what each part takes by itself
  std::string kv = "f16";

  bool kernels = false;
  bool sweep = false;
  std::string predict;
  std::vector<std::string> compare;

  std::vector<std::size_t> prompt;  ///< empty, as all lists here: what each part takes by itself
  std::optional<std::size_t> generate;
  std::vector<std::size_t> texts;
  std::vector<std::size_t> depths;
  std::vector<unsigned> threads;
  std::vector<std::size_t> tokens;        ///< of kernels
  std::optional<std::size_t> scale_cols;  ///< empty: as the model has them
  std::size_t context = 0;                ///< tokens, of a prediction's KV cache
  std::size_t repetitions = 5;
  std::size_t warm_up = 1;
  double seconds = 0.5;
  bool quick = false;

  bool json = false;
  bool csv = false;
  bool markdown = false;
  std::string html;  ///< file
  bool remember = false;
  bool forget = false;

  /// An option that means something for some parts alone.
  struct Limited {
    std::string name;
    Option option;
    unsigned parts;  // BenchPart, or'ed
  };
  std::vector<Limited> limited;

  [[nodiscard]] KvType kv_type() const noexcept {
    return kv == "f32" ? KvType::kF32 : kv == "int8" ? KvType::kInt8 : KvType::kF16;
  }
  [[nodiscard]] std::string kernel_or(const char* otherwise) const { return kernel.empty() ? otherwise : kernel; }
  /// The one number of threads that a part takes; 0 = physical cores.
  [[nodiscard]] unsigned one_thread_count() const;
};

// Each returns the exit status.
int bench_a_model(const BenchOptions& options);      // bench_speed.cpp
int bench_all_kernels(const BenchOptions& options);  // bench_ternary.cpp
int sweep(const BenchOptions& options);              // bench_sweep.cpp
int predict_a_model(const BenchOptions& options);    // bench_predict.cpp
int compare_reports(const BenchOptions& options);    // bench_compare.cpp

/// 1, 2, 4, ... and `most`.
[[nodiscard]] std::vector<unsigned> doubling_threads(unsigned most);

/// The sizes in a config.json as published beside a model's weights. `source` names it in errors.
///
/// Errors    Error(kInvalidArgument): not JSON, a size missing or out of range
[[nodiscard]] ModelShape parse_config(std::string_view text, const std::string& source);

}  // namespace tern::tools
