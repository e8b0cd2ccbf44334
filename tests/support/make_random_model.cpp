// make_random_model ARCHITECTURE TYPE OUT.gguf [SHAPE] [KEY=VALUE...]: writes a model with random weights, for trying a
// command by hand or for measuring speed: with the shape of a published model it takes that model's memory and time.
//
//     scales=blocks     every block of TYPE, or every row, has a scale of its own
//     embedding=TYPE    of embedding and head
//     norms=inputs      a norm of its own for every projection
//     window=N          positions that every second layer of gemma3 sees
//     template=TEXT     a chat template
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/tiny_model.h"

namespace {

using tern::test::TinyModelOptions;

/// Sets the sizes of a published model; "tiny" keeps the defaults. Every row has its token, so that other engines,
/// which count tokens instead of rows, read the file too.
void set_shape(TinyModelOptions& o, const std::string& shape) {
  if (shape == "tiny") return;
  if (shape == "2b4t") {  // BitNet b1.58 2B4T
    o.n_layers = 30, o.dim = 2560, o.ffn_dim = 6912, o.n_heads = 20, o.n_kv_heads = 5, o.head_dim = 128;
    o.context = 4096, o.vocab_tokens = 128256;
  } else if (shape == "large") {  // bitnet_b1_58-large
    o.n_layers = 24, o.dim = 1536, o.ffn_dim = 4096, o.n_heads = 16, o.n_kv_heads = 16, o.head_dim = 96;
    o.context = 2048, o.vocab_tokens = 32002;
  } else {
    throw std::runtime_error("unknown shape " + shape + "; known: tiny, 2b4t, large");
  }
}

void set_option(TinyModelOptions& o, const std::string& key, const std::string& value) {
  if (key == "scales" && value == "blocks") {
    o.one_scale = false;
  } else if (key == "embedding") {
    o.embedding_type = value;
  } else if (key == "norms" && value == "inputs") {
    o.input_norms = true;
  } else if (key == "window") {
    o.window = std::stoul(value);
  } else if (key == "template") {
    o.chat_template = value;
  } else {
    throw std::runtime_error("unknown option " + key + "=" + value);
  }
}

TinyModelOptions parse_options(const std::vector<std::string>& args) {
  TinyModelOptions options{.architecture = args[0], .type = args[1]};
  for (std::size_t i = 3; i < args.size(); ++i) {
    const std::size_t equals = args[i].find('=');
    if (i == 3 && equals == std::string::npos) {
      set_shape(options, args[i]);
    } else {
      set_option(options, args[i].substr(0, equals), equals == std::string::npos ? "" : args[i].substr(equals + 1));
    }
  }
  options.zeros = options.type != "Q1_0" && options.embedding_type != "Q1_0";
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() < 3) {
    std::fputs(
        "usage: make_random_model ARCHITECTURE TYPE OUT.gguf [tiny|2b4t|large] [scales=blocks] [embedding=TYPE] "
        "[norms=inputs] [window=N] [template=TEXT]\n",
        stderr);
    return 2;
  }
  try {
    tern::test::write_file(args[2], tern::test::make_tiny_model(parse_options(args)).build());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_random_model: %s\n", error.what());
    return 1;
  }
  return 0;
}
