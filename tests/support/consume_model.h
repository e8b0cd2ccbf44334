#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tern/session.h"
#include "tests/support/tiny_model.h"

/// Damaged model files: opened, and a few tokens computed with whatever was let through.
namespace tern::test {

/// A file in memory that has a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : descriptor_(::memfd_create("tern-test", MFD_CLOEXEC)) {
    if (descriptor_ < 0) throw std::runtime_error("no file in memory");
    write_file(path(), {bytes.begin(), bytes.end()});
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// Evaluates a prompt of so many tokens, and one more. Throws Error for what is refused.
inline void consume_model(std::span<const std::byte> bytes, const std::string& kernel, std::size_t n_tokens) {
  const MemoryFile file(bytes);
  Session session(Model::open(file.path(), {.threads = 1, .kernel = kernel}), {.context = 64, .threads = 1});
  std::vector<Token> tokens(n_tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<Token>(i % session.model().summary().vocab_size);
  }
  static_cast<void>(session.evaluate(tokens));
  static_cast<void>(session.evaluate(std::vector<Token>{1}));
}

}  // namespace tern::test
