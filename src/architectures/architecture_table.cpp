#include <fmt/ranges.h>

#include <vector>

#include "src/architectures/architecture.h"
#include "src/architectures/builders.h"
#include "src/base/check.h"
#include "src/base/printable.h"

namespace tern::architectures {
namespace {

constexpr Entry kTable[] = {
    {"bitnet", build_bitnet},         {"bitnet-b1.58", build_bitnet_b158},
    {"bitnet-25", build_bitnet_b158},  // the name of an early upload of the same model
    {"gemma3", build_gemma3},         {"llama", build_llama},
    {"minicpm", build_minicpm},       {"qwen3", build_qwen3},
};

}  // namespace

std::span<const Entry> all_architectures() noexcept { return kTable; }

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
