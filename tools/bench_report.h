#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tern/tern.h"
#include "tools/json.h"

namespace tern::tools {

/// What was measured, in the words of its summary.
struct BenchedModel {
  std::string name;  ///< the file's own, or its path
  std::string architecture;
  std::string kv_type;
  std::string decode_kernel;
  std::string prompt_kernel;
  std::string float_kernel;
  std::string head_kernel;
  std::string head_type;
  std::uint64_t n_parameters = 0;
  std::uint64_t ternary_bytes = 0;
  std::uint64_t head_bytes = 0;
  std::uint64_t float_bytes = 0;
  std::uint64_t kv_bytes_per_token = 0;  ///< that attention reads for every token held
};

/// Everything that `tern bench` found out in one run.
struct BenchReport {
  std::string version;
  MachineDescription machine;
  std::vector<MachineLimits> memory;  ///< of more bytes than caches hold, by threads
  BenchedModel model;
  ModelBenchmark benchmark;
};

[[nodiscard]] BenchedModel describe_benched(const ModelSummary& model, KvType kv_type);

[[nodiscard]] Json to_json(const BenchReport& report);
/// What to_json() wrote; `source` names it in errors. Reads what comparing needs: version, processor, model, limits and
/// the samples of all points.
///
/// Errors    Error(kInvalidArgument): not such a report
[[nodiscard]] BenchReport parse_report(std::string_view text, const std::string& source);

/// Tokens per second of every repetition.
[[nodiscard]] std::vector<double> speeds_of(const SpeedPoint& point);
/// What memory and processor allow at most, in tokens per second; 0 when unknown.
[[nodiscard]] double limit_speed(const SpeedPoint& point);
/// "prompt 512", "decode 32", "decode 32, 4 texts, depth 512".
[[nodiscard]] std::string title_of(const SpeedPoint& point);
/// Joules for each token, median; 0 when not measured.
[[nodiscard]] double joules_per_token(const SpeedPoint& point);

[[nodiscard]] std::string to_table(const BenchReport& report);
[[nodiscard]] std::string to_csv(const BenchReport& report);
[[nodiscard]] std::string to_markdown(const BenchReport& report);
/// One page without scripts or anything from elsewhere.
[[nodiscard]] std::string to_html(const BenchReport& report);

/// A remark on machine or model, for people.
struct ReportLine {
  std::string name;
  std::string text;
};
[[nodiscard]] std::vector<ReportLine> describe(const BenchReport& report);

}  // namespace tern::tools
