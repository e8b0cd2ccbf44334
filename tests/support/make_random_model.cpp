// make_random_model ARCHITECTURE TYPE OUT.gguf [SHAPE [TEMPLATE]]: writes a model with random weights, for trying a
// command by hand or for measuring speed: with the shape of a published model it takes that model's memory and time.
// TEMPLATE is the text of a chat template.
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include "tests/support/tiny_model.h"

namespace {

using tern::test::TinyModelOptions;

/// Sets the sizes of a published model; "tiny" keeps the defaults.
void set_shape(TinyModelOptions& o, const std::string& shape) {
  if (shape == "tiny") return;
  if (shape == "2b4t") {  // BitNet b1.58 2B4T
    o.n_layers = 30, o.dim = 2560, o.ffn_dim = 6912, o.n_heads = 20, o.n_kv_heads = 5, o.head_dim = 128;
    o.context = 4096, o.vocab_rows = 128256;
  } else if (shape == "large") {  // bitnet_b1_58-large
    o.n_layers = 24, o.dim = 1536, o.ffn_dim = 4096, o.n_heads = 16, o.n_kv_heads = 16, o.head_dim = 96;
    o.context = 2048, o.vocab_rows = 32002;
  } else {
    throw std::runtime_error("unknown shape " + shape + "; known: tiny, 2b4t, large");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 6) {
    std::fputs("usage: make_random_model ARCHITECTURE TYPE OUT.gguf [tiny|2b4t|large [TEMPLATE]]\n", stderr);
    return 2;
  }
  try {
    TinyModelOptions options{.architecture = argv[1], .type = argv[2]};
    set_shape(options, argc > 4 ? argv[4] : "tiny");
    if (argc > 5) options.chat_template = argv[5];
    tern::test::write_file(argv[3], tern::test::make_tiny_model(options).build());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_random_model: %s\n", error.what());
    return 1;
  }
  return 0;
}
