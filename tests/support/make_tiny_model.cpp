// make_tiny_model ARCHITECTURE TYPE OUT.gguf: writes a tiny random model, for trying a command by hand.
#include <cstdio>
#include <exception>

#include "tests/support/tiny_model.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: make_tiny_model ARCHITECTURE TYPE OUT.gguf\n", stderr);
    return 2;
  }
  try {
    tern::test::write_file(argv[3], tern::test::make_tiny_model({.architecture = argv[1], .type = argv[2]}).build());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_tiny_model: %s\n", error.what());
    return 1;
  }
  return 0;
}
