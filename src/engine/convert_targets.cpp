#include "src/engine/convert_targets.h"

#include <algorithm>

#include "src/engine/convert_gguf.h"
#include "src/engine/convert_ready.h"
#include "src/weights/codecs.h"

namespace tern::engine {
namespace {

// A new kind of file is one line here, with a function that writes it.
constexpr ConvertTarget kTargets[] = {
    {"keep", nullptr, 0, convert_to_gguf},
    {"tq1_0", &weights::kTq1_0, 36, convert_to_gguf},
    {"tq2_0", &weights::kTq2_0, 37, convert_to_gguf},
    {"i2_s", &weights::kI2s, 40, convert_to_gguf},
    {"kernel-ready", nullptr, 0, convert_to_kernel_ready},
};

std::string lower_case(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

}  // namespace

std::span<const ConvertTarget> convert_targets() noexcept { return kTargets; }

void count_tensor(std::string_view type, std::uint64_t bytes, ConvertSummary& summary) {
  auto found = std::ranges::find(summary.types, type, &ConvertedType::type);
  if (found == summary.types.end()) found = summary.types.insert(found, {.type = std::string(type)});
  ++found->n_tensors;
  found->bytes += bytes;
}

const weights::TensorCodec* find_float_type(std::string_view name) {
  for (const weights::TensorCodec* codec : weights::all_codecs()) {
    if (codec->encode_row != nullptr && lower_case(codec->name) == name) return codec;
  }
  return nullptr;
}

}  // namespace tern::engine

namespace tern {

std::vector<std::string> convert_types() {
  std::vector<std::string> names;
  for (const engine::ConvertTarget& target : engine::kTargets) names.emplace_back(target.name);
  return names;
}

std::vector<std::string> convert_float_types() {
  std::vector<std::string> names = {"keep"};
  for (const weights::TensorCodec* codec : weights::all_codecs()) {
    if (codec->encode_row != nullptr) names.push_back(engine::lower_case(codec->name));
  }
  return names;
}

}  // namespace tern
