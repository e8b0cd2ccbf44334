// Prints a hash of a model's logits under a kernel: what every machine has to agree on.
//   print_logits_hash MODEL KERNEL
#include <fmt/core.h>

#include <cstdio>
#include <exception>

#include "tern/tern.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: print_logits_hash MODEL KERNEL\n");
    return 2;
  }
  try {
    fmt::print("{:016x}\n", tern::fingerprint_of(argv[1], {.kernel = argv[2]}).logits);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "print_logits_hash: {}\n", error.what());
    return 1;
  }
}
