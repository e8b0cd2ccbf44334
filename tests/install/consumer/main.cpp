// What another project writes: opens a model and continues a text.
#include <cstdio>

#include "tern/tern.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto model = tern::Model::open(argv[1]);
  tern::Session session(model);
  const auto prompt = model->tokenizer().encode("Once upon a time", {.add_special = true});
  const auto result = tern::generate(session, prompt, {.max_tokens = 4});
  std::printf("tern %s: %zu tokens\n", TERN_VERSION, result.tokens.size());
  return result.tokens.empty() ? 1 : 0;
}
