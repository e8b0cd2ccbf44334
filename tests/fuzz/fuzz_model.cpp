// A tiny model with some numbers of its header, or some bytes, replaced: opened, and some tokens computed.
//
//     input    | model: 1 byte | which field or byte: 2 bytes | how: 1 byte | value: 1 byte | ...
#include <cstddef>
#include <cstdint>

#include "tern/error.h"
#include "tests/fuzz/gguf_fields.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/consume_model.h"

namespace {

using tern::fuzz::Bytes;
using tern::fuzz::GgufField;

struct Whole {
  Bytes bytes;
  std::vector<GgufField> fields;
};

/// Every architecture, and types of each way to store scales.
std::vector<Whole> tiny_models() {
  const tern::test::TinyModelOptions options[] = {
      {.architecture = "bitnet", .type = "I2_S"},
      {.architecture = "bitnet-b1.58", .type = "TQ2_0"},
      {.architecture = "gemma3", .type = "TQ1_0", .window = 4},
      {.architecture = "llama", .type = "TQ2_0", .one_scale = false, .tied_embeddings = false},
      {.architecture = "minicpm", .type = "F16"},
      {.architecture = "qwen3", .type = "Q2_0", .embedding_type = "Q2_0", .one_scale = false},
      {.architecture = "qwen3", .type = "TQ2_0", .input_norms = true},
  };
  std::vector<Whole> models;
  for (tern::test::TinyModelOptions option : options) {
    option.n_layers = 1;
    option.ffn_dim = 256;
    const std::vector<std::byte> built = tern::test::make_tiny_model(option).build();
    const auto* begin = reinterpret_cast<const std::uint8_t*>(built.data());
    Whole whole = {Bytes(begin, begin + built.size()), {}};
    whole.fields = tern::fuzz::gguf_fields(whole.bytes);
    models.push_back(std::move(whole));
  }
  return models;
}

void change(Bytes& bytes, const std::vector<GgufField>& fields, const std::uint8_t* how) {
  const std::size_t which = how[0] | std::size_t{how[1]} << 8U;
  const std::uint8_t value = how[3];
  const GgufField field = fields[which % fields.size()];
  const std::size_t header = fields.back().at + fields.back().bytes;
  switch (how[2] % 4) {
    case 0:
      return tern::fuzz::set_field(bytes, field, tern::fuzz::edge(value));
    case 1:
      return tern::fuzz::set_field(bytes, field, tern::fuzz::get_field(bytes, field) + value - 128);
    case 2:
      bytes[which % header] = value;
      return;
    default:
      bytes[header + which * 251 % (bytes.size() - header)] = value;  // spread over the data
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Whole> models = tiny_models();
  if (size == 0) return 0;
  const Whole& whole = models[data[0] % models.size()];
  Bytes bytes = whole.bytes;
  for (std::size_t i = 1; i + 4 <= size; i += 4) change(bytes, whole.fields, data + i);
  try {
    tern::test::consume_model(std::as_bytes(std::span(bytes)), "reference", 2);
  } catch (const tern::Error&) {
    // Refused, as most inputs are.
  }
  return 0;
}
