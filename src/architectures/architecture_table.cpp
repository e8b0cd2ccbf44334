#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "src/architectures/architecture.h"
#include "src/architectures/builders.h"
#include "src/base/check.h"
#include "src/base/printable.h"

namespace tern::architectures {
namespace {

using nn::Activation;

constexpr LayerForm kBitnetB158Layer = {.activation = Activation::kRelu2, .sub_norms = true};

constexpr Entry kTable[] = {
    {"bitnet", build_bitnet, {.sub_norms = true}},
    {"bitnet-b1.58", build_bitnet_b158, kBitnetB158Layer},
    {"bitnet-25", build_bitnet_b158, kBitnetB158Layer},  // the name of an early upload of the same model
    {"gemma3", build_gemma3, {.activation = Activation::kGelu, .head_norms = true, .post_norms = true}},
    {"llama", build_llama},
    {"minicpm", build_minicpm},
    {"qwen3", build_qwen3, {.head_norms = true}},
};

}  // namespace

std::span<const Entry> all_architectures() noexcept { return kTable; }

LayerForm layer_form(std::string_view architecture) noexcept {
  const auto* entry = std::ranges::find(kTable, architecture, &Entry::name);
  return entry == std::end(kTable) ? LayerForm{} : entry->layer;
}

std::unique_ptr<Architecture> build(const format::Gguf& gguf, nn::WeightStore& weights) {
  const auto name = gguf.metadata.string("general.architecture");
  if (!name) fail(ErrorKind::kBadFile, "{}: key general.architecture is missing", gguf.metadata.source());
  std::vector<std::string_view> known;
  for (const Entry& entry : kTable) {
    if (entry.name == *name) return entry.build(gguf, weights);
    known.push_back(entry.name);
  }
  fail(ErrorKind::kUnsupported, "{}: unknown architecture \"{}\"; known: {}", gguf.metadata.source(), printable(*name),
       fmt::join(known, ", "));
}

}  // namespace tern::architectures
