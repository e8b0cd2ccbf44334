// What tern bench measured, as JSON and back.
#include "tools/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/output.h"

namespace tern::tools {
namespace {

constexpr const char* kFormat = "tern bench 1";
constexpr std::size_t kMostPoints = 10'000;
constexpr std::size_t kMostSamples = 100'000;

Json to_json(const Spread& spread) {
  return {{"median", spread.median},
          {"first_quartile", spread.first},
          {"third_quartile", spread.third},
          {"least", spread.low},
          {"most", spread.high}};
}

Json to_json(const MachineLimits& limits) {
  return {{"threads", limits.threads},
          {"read_bytes", limits.read_bytes},
          {"read_bytes_per_s", limits.read_bytes_per_s},
          {"int8_instruction", limits.int8_instruction},
          {"int8_macs_per_s", limits.int8_macs_per_s}};
}

Json to_json(const std::vector<MachineLimits>& list) {
  Json json = Json::array();
  for (const MachineLimits& limits : list) json.push_back(to_json(limits));
  return json;
}

Json to_json(const MachineDescription& machine) {
  return {{"cpu", machine.cpu},
          {"instruction_set", machine.instruction_set},
          {"cores", machine.cores},
          {"processors", machine.processors},
          {"memory_bytes", machine.memory_bytes},
          {"last_level_cache_bytes", machine.last_level_cache_bytes},
          {"energy", machine.energy}};
}

Json to_json(const BenchedModel& model) {
  return {{"name", model.name},
          {"architecture", model.architecture},
          {"n_parameters", model.n_parameters},
          {"ternary_bytes", model.ternary_bytes},
          {"head_bytes", model.head_bytes},
          {"float_bytes", model.float_bytes},
          {"kv_type", model.kv_type},
          {"kv_bytes_per_token", model.kv_bytes_per_token},
          {"decode_kernel", model.decode_kernel},
          {"prompt_kernel", model.prompt_kernel},
          {"float_kernel", model.float_kernel},
          {"head_kernel", model.head_kernel},
          {"head_type", model.head_type}};
}

Json to_json(const SpeedPoint& point) {
  const auto known = [](double value) { return value > 0.0 ? Json(value) : Json(nullptr); };
  const std::vector<double> speeds = speeds_of(point);
  const Spread spread = spread_of(speeds);
  const double limit = limit_speed(point);
  return {{"phase", point.phase},
          {"tokens", point.tokens},
          {"texts", point.texts},
          {"depth", point.depth},
          {"threads", point.threads},
          {"tokens_per_s", to_json(spread)},
          {"bytes", point.bytes},
          {"bytes_per_s", static_cast<double>(point.bytes) / spread_of(point.seconds).median},
          {"macs", point.macs},
          {"limit_tokens_per_s", known(limit)},
          {"limited_by", point.limited_by},
          {"share_of_limit", known(limit > 0.0 ? spread.median / limit : 0.0)},
          {"joules_per_token", known(joules_per_token(point))},
          {"seconds", point.seconds}};
}

// --- reading ----------------------------------------------------------------------------------------------------

/// Values of a JSON object that somebody else may have written.
class Reader {
 public:
  Reader(const Json& object, const std::string& source) : object_(object), source_(source) {}

  [[nodiscard]] const Json& at(const char* key) const {
    const auto found = object_.is_object() ? object_.find(key) : object_.end();
    if (found == object_.end()) refuse(key, "something", "nothing");
    return *found;
  }
  [[nodiscard]] std::string string(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) refuse(key, "a string", value.type_name());
    return value.get<std::string>();
  }
  [[nodiscard]] std::size_t count(const char* key) const {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
    const Json& value = at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMost) {
      refuse(key, fmt::format("a number of 0 to {}", kMost), value.type_name());
    }
    return value.get<std::size_t>();
  }
  [[nodiscard]] std::vector<double> samples(const char* key) const {
    const Json& list = at(key);
    if (!list.is_array() || list.size() > kMostSamples) refuse(key, "a list of numbers", list.type_name());
    std::vector<double> values;
    for (const Json& value : list) {
      if (!value.is_number()) refuse(key, "positive numbers", value.type_name());
      values.push_back(value.get<double>());
      if (!std::isfinite(values.back()) || values.back() <= 0.0) {
        refuse(key, "positive numbers", fmt::format("{}", values.back()));
      }
    }
    return values;
  }
  [[nodiscard]] const Json& list(const char* key) const {
    const Json& value = at(key);
    if (!value.is_array() || value.size() > kMostPoints) refuse(key, "a list", value.type_name());
    return value;
  }

 private:
  [[noreturn]] void refuse(const char* key, const std::string& expected, const std::string& found) const {
    throw Error(ErrorKind::kInvalidArgument,
                fmt::format("{}: \"{}\": expected {}, found {}", source_, key, expected, found));
  }

  const Json& object_;
  const std::string& source_;
};

SpeedPoint parse_point(const Reader& reader) {
  SpeedPoint point;
  point.phase = reader.string("phase");
  point.tokens = reader.count("tokens");
  point.texts = reader.count("texts");
  point.depth = reader.count("depth");
  point.threads = static_cast<unsigned>(std::min<std::size_t>(reader.count("threads"), 1u << 20));
  point.seconds = reader.samples("seconds");
  return point;
}

MachineLimits parse_limits(const Reader& reader) {
  MachineLimits limits;
  limits.threads = static_cast<unsigned>(std::min<std::size_t>(reader.count("threads"), 1u << 20));
  limits.read_bytes = reader.count("read_bytes");
  limits.read_bytes_per_s = reader.samples("read_bytes_per_s");
  return limits;
}

}  // namespace

BenchedModel describe_benched(const ModelSummary& model, KvType kv_type) {
  const std::string path = model.path.filename().string();
  return {.name = one_line(model.name.empty() ? path : fmt::format("{} ({})", model.name, path)),
          .architecture = model.architecture,
          .kv_type = kv_type == KvType::kF32    ? "f32"
                     : kv_type == KvType::kInt8 ? "int8"
                                                : "f16",
          .decode_kernel = model.decode_kernel,
          .prompt_kernel = model.prompt_kernel,
          .float_kernel = model.float_kernel,
          .head_kernel = model.head_kernel,
          .head_type = model.head_type,
          .n_parameters = model.n_parameters,
          .ternary_bytes = model.ternary_bytes,
          .head_bytes = model.head_bytes,
          .float_bytes = model.float_bytes,
          .kv_bytes_per_token = kv_bytes_read(model, kv_type, 1)};
}

Json to_json(const BenchReport& report) {
  Json points = Json::array();
  for (const SpeedPoint& point : report.benchmark.points) points.push_back(to_json(point));
  return {{"format", kFormat},
          {"tern", report.version},
          {"complete", report.benchmark.complete},
          {"machine", to_json(report.machine)},
          {"memory", to_json(report.memory)},
          {"model", to_json(report.model)},
          {"limits", to_json(report.benchmark.limits)},
          {"points", points}};
}

BenchReport parse_report(std::string_view text, const std::string& source) {
  const Json json = Json::parse(text, nullptr, false);
  const Reader top(json, source);
  if (json.is_discarded() || !json.is_object() || json.value("format", Json()) != kFormat) {
    throw Error(
        ErrorKind::kInvalidArgument,
        fmt::format("{}: expected what `tern bench --json` prints, a JSON object of format \"{}\"", source, kFormat));
  }
  BenchReport report;
  report.version = top.string("tern");
  report.machine.cpu = Reader(top.at("machine"), source).string("cpu");
  const Reader model(top.at("model"), source);
  report.model.name = model.string("name");
  report.model.decode_kernel = model.string("decode_kernel");
  report.model.prompt_kernel = model.string("prompt_kernel");
  for (const Json& limits : top.list("limits")) {
    report.benchmark.limits.push_back(parse_limits(Reader(limits, source)));
  }
  for (const Json& point : top.list("points")) report.benchmark.points.push_back(parse_point(Reader(point, source)));
  return report;
}

std::vector<double> speeds_of(const SpeedPoint& point) {
  std::vector<double> speeds;
  for (const double seconds : point.seconds) speeds.push_back(static_cast<double>(point.total_tokens()) / seconds);
  return speeds;
}

double limit_speed(const SpeedPoint& point) {
  return point.limit_seconds > 0.0 ? static_cast<double>(point.total_tokens()) / point.limit_seconds : 0.0;
}

std::string title_of(const SpeedPoint& point) {
  std::string title = fmt::format("{} {}", point.phase, point.tokens);
  if (point.texts > 1) title += fmt::format(", {} texts", point.texts);
  if (point.depth > 0) title += fmt::format(", depth {}", point.depth);
  return title;
}

double joules_per_token(const SpeedPoint& point) {
  return point.total_tokens() == 0 ? 0.0 : spread_of(point.joules).median / static_cast<double>(point.total_tokens());
}

}  // namespace tern::tools
