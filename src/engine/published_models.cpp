#include "tern/predict.h"

namespace tern {
namespace {

constexpr HeadKind kTied = HeadKind::kTied;
constexpr HeadKind kOwn = HeadKind::kOwn;
constexpr HeadKind kNone = HeadKind::kNone;

}  // namespace

/// Source: config.json of each model on https://huggingface.co. Those that end in `false` were not found there in full,
/// but in files made of the model, or in the model that it descends from.
std::span<const ModelShape> published_models() {
  // clang-format off
  static const ModelShape kModels[] = {
    // name                      architecture       layers  dim    ffn  heads kv  head  vocab  context  head   confirmed, scale_cols, ternary_head
    {"bitnet_b1_58-large",       "bitnet",              24, 1536,  4096, 16, 16,  96,  32002,   2048,  kTied},
    {"bitnet_b1_58-xl",          "bitnet",              24, 2048,  5460, 32, 32,  64,  32002,   2048,  kTied, false},
    {"bitnet_b1_58-3B",          "bitnet",              26, 3200,  8640, 32, 32, 100,  32002,   2048,  kTied},
    {"bitnet-b1.58-2B-4T",       "bitnet-b1.58",        30, 2560,  6912, 20,  5, 128, 128256,   4096,  kTied},
    {"Llama3-8B-1.58",           "llama",               32, 4096, 14336, 32,  8, 128, 128256,   8192,  kOwn},
    {"Falcon3-1B-1.58bit",       "llama",               18, 2048,  8192,  8,  4, 256, 131072,   8192,  kOwn, false},
    {"Falcon3-3B-1.58bit",       "llama",               22, 3072,  9216, 12,  4, 256, 131072,  32768,  kOwn, false},
    {"Falcon3-7B-1.58bit",       "llama",               28, 3072, 23040, 12,  4, 256, 131072,  32768,  kOwn, false},
    {"Falcon3-10B-1.58bit",      "llama",               40, 3072, 23040, 12,  4, 256, 131072,  32768,  kOwn, false},
    {"Falcon-E-1B",              "llama",               24, 2048,  9216, 16,  2, 128,  32768,  32768,  kOwn, false},
    {"Falcon-E-3B",              "llama",               32, 2048, 13312, 16,  2, 128,  32768,  32768,  kOwn, false},
    {"Ternary-Bonsai-1.7B",      "qwen3",               28, 2048,  6144, 16,  8, 128, 151936,  32768,  kTied, false, 128, true},
    {"Ternary-Bonsai-4B",        "qwen3",               36, 2560,  9728, 32,  8, 128, 151936,  32768,  kTied, false, 128, true},
    {"Ternary-Bonsai-8B",        "qwen3",               36, 4096, 12288, 32,  8, 128, 151936,  65536,  kOwn, false, 128, true},
    {"BitNet-embedding-0.6B",    "qwen3",               28, 1024,  3072, 16,  8, 128, 151936,  32768,  kNone},
    {"BitNet-embedding-270M",    "gemma3",              18,  640,  2048,  4,  1, 256, 262144,  32768,  kNone},
  };
  // clang-format on
  return kModels;
}

}  // namespace tern
