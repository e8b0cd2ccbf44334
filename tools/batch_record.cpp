#include "tools/batch_record.h"

#include <fmt/format.h>

#include <limits>

#include "tern/error.h"
#include "tools/input.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

constexpr JsonLimits kLimits = {.bytes = std::size_t{64} << 20, .depth = 16};  // messages need a depth of 3
constexpr std::size_t kMaxLogprobs = 100;                                      // alternatives of a token
constexpr std::size_t kMaxStops = 64;

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::kInvalidArgument, message); }

[[noreturn]] void refuse_value(std::string_view name, const Json& value, std::string_view expected) {
  std::string found = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (found.size() > 60) found = "a longer " + std::string(value.type_name());
  refuse(fmt::format("{}: expected {}, found {}", name, expected, one_line(found)));
}

std::string text_of(std::string_view name, const Json& value) {
  if (!value.is_string()) refuse_value(name, value, "a text");
  return value.get<std::string>();
}

std::uint64_t count_of(std::string_view name, const Json& value, std::uint64_t most) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
    refuse_value(name, value, fmt::format("a whole number up to {}", most));
  }
  return value.get<std::uint64_t>();
}

float number_of(std::string_view name, const Json& value) {
  if (!value.is_number()) refuse_value(name, value, "a number");
  return static_cast<float>(value.get<double>());
}

bool flag_of(std::string_view name, const Json& value) {
  if (!value.is_boolean()) refuse_value(name, value, "true or false");
  return value.get<bool>();
}

std::vector<std::string> stops_of(std::string_view name, const Json& value) {
  if (value.is_string()) return {value.get<std::string>()};
  if (!value.is_array() || value.size() > kMaxStops) {
    refuse_value(name, value, fmt::format("a text or a list of at most {}", kMaxStops));
  }
  std::vector<std::string> stops;
  for (const Json& stop : value) stops.push_back(text_of(name, stop));
  return stops;
}

/// {"42": -1.5}
std::vector<std::pair<Token, float>> biases_of(std::string_view name, const Json& value) {
  if (!value.is_object()) refuse_value(name, value, "an object of token ids and numbers");
  std::vector<std::pair<Token, float>> biases;
  for (const auto& [key, bias] : value.items()) {
    const auto token = parse_number<Token>(key);
    if (!token) refuse(fmt::format("{}: expected token ids, found '{}'", name, one_line(key)));
    biases.emplace_back(*token, number_of(name, bias));
  }
  return biases;
}

/// A number of alternatives; true asks for none but the token's own.
std::optional<std::size_t> logprobs_of(std::string_view name, const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? std::optional<std::size_t>(0) : std::nullopt;
  return count_of(name, value, kMaxLogprobs);
}

Json messages_of(std::string_view name, const Json& value) {
  if (!value.is_array() || value.empty()) refuse_value(name, value, "a list of messages");
  for (const Json& message : value) {
    if (!message.is_object()) refuse_value(name, message, "messages of role and content");
    for (const char* field : {"role", "content"}) {
      if (!message.contains(field)) refuse(fmt::format("{}: a message without {}", name, field));
      static_cast<void>(text_of(fmt::format("{}: {}", name, field), message[field]));
    }
  }
  return value;
}

Json checked_id(std::string_view name, const Json& value) {
  if (!value.is_string() && !value.is_number_integer()) refuse_value(name, value, "a text or a whole number");
  return value;
}

struct Field {
  std::string_view name;
  void (*read)(BatchRecord& record, std::string_view name, const Json& value);
};

using R = BatchRecord;
using V = std::string_view;
constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 31;

/// What a record may say, one line each.
constexpr Field kFields[] = {
    {"id", [](R& r, V n, const Json& v) { r.id = checked_id(n, v); }},
    {"prompt", [](R& r, V n, const Json& v) { r.prompt = text_of(n, v); }},
    {"messages", [](R& r, V n, const Json& v) { r.messages = messages_of(n, v); }},
    {"max_tokens", [](R& r, V n, const Json& v) { r.options.max_tokens = count_of(n, v, kMaxCount); }},
    {"stop", [](R& r, V n, const Json& v) { r.options.stop = stops_of(n, v); }},
    {"ignore_eos", [](R& r, V n, const Json& v) { r.options.ignore_eos = flag_of(n, v); }},
    {"logprobs", [](R& r, V n, const Json& v) { r.options.logprobs = logprobs_of(n, v); }},
    {"seed",
     [](R& r, V n, const Json& v) {
       r.options.sampling.seed = count_of(n, v, std::numeric_limits<std::uint64_t>::max());
     }},
    {"temperature", [](R& r, V n, const Json& v) { r.options.sampling.temperature = number_of(n, v); }},
    {"top_k", [](R& r, V n, const Json& v) { r.options.sampling.top_k = count_of(n, v, kMaxCount); }},
    {"top_p", [](R& r, V n, const Json& v) { r.options.sampling.top_p = number_of(n, v); }},
    {"min_p", [](R& r, V n, const Json& v) { r.options.sampling.min_p = number_of(n, v); }},
    {"repeat_penalty", [](R& r, V n, const Json& v) { r.options.sampling.repeat_penalty = number_of(n, v); }},
    {"frequency_penalty", [](R& r, V n, const Json& v) { r.options.sampling.frequency_penalty = number_of(n, v); }},
    {"presence_penalty", [](R& r, V n, const Json& v) { r.options.sampling.presence_penalty = number_of(n, v); }},
    {"penalty_window", [](R& r, V n, const Json& v) { r.options.sampling.penalty_window = count_of(n, v, kMaxCount); }},
    {"logit_bias", [](R& r, V n, const Json& v) { r.options.sampling.logit_bias = biases_of(n, v); }},
};

const Field& field_of(std::string_view name) {
  std::string known;
  for (const Field& field : kFields) {
    if (field.name == name) return field;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", field.name);
  }
  refuse(fmt::format("unknown field '{}': known are {}", one_line(name), known));
}

/// Errors    Error(kInvalidArgument)
Json parse_object(std::string_view line) {
  Json json = parse_json(line, kLimits);
  if (!json.is_object()) refuse_value("a record", json, "an object");
  return json;
}

Json to_json(const TokenLogprob& token) {
  Json top = Json::array();
  for (const auto& [alternative, logprob] : token.top) top.push_back({{"token", alternative}, {"logprob", logprob}});
  Json json = {{"token", token.token}, {"logprob", token.logprob}};
  if (!token.top.empty()) json["top"] = std::move(top);
  return json;
}

}  // namespace

BatchRecord parse_record(std::string_view line, std::size_t line_number, const GenerateOptions& defaults) {
  const Json json = parse_object(line);
  BatchRecord record{.id = line_number, .prompt = {}, .messages = {}, .options = defaults};
  for (const auto& [name, value] : json.items()) field_of(name).read(record, name, value);
  if (json.contains("prompt") == json.contains("messages")) {
    refuse(json.contains("prompt") ? "both prompt and messages: expected one of them"
                                   : "neither prompt nor messages: expected one of them");
  }
  return record;
}

Json id_of(std::string_view line, std::size_t line_number) {
  try {
    const Json json = parse_object(line);
    if (json.contains("id")) return checked_id("id", json["id"]);
  } catch (const Error&) {
    return line_number;
  }
  return line_number;
}

std::string to_output(std::size_t line_number, const Json& id, const BatchResult& result) {
  Json json = {{"line", line_number}, {"id", id}};
  if (result.error) {
    json["error"] = *result.error;
    return to_line(json);
  }
  json["text"] = result.generated.text;
  json["finish_reason"] = to_string(result.generated.reason);
  json["prompt_tokens"] = result.prompt_tokens;
  json["generated_tokens"] = result.generated.tokens.size();
  if (!result.generated.logprobs.empty()) {
    Json& list = json["logprobs"] = Json::array();
    for (const TokenLogprob& token : result.generated.logprobs) list.push_back(to_json(token));
  }
  return to_line(json);
}

}  // namespace tern::tools
