#pragma once

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/tools/fixture.h"

namespace tern::test {

/// A tiny model with a chat template.
class ChatCommandTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    chat_model_ = temporary_path("chat.gguf");
    write_file(chat_model_, make_tiny_model({.architecture = "llama",
                                             .chat_template = "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ "
                                                              "'</s>' }}{% endfor %}assistant: "})
                                .build());
    saved_ = temporary_path("saved.json");
  }

  /// Arguments of a command over the model with a template. Answers never end by themselves, and are printable: JSON
  /// can hold nothing but UTF-8, and a terminal would take some bytes for more than text.
  [[nodiscard]] std::vector<std::string> with_chat_model(const std::string& command,
                                                         std::vector<std::string> more) const {
    more.insert(more.begin(), {command, "-m", chat_model_, "-t", "1"});
    for (int token = 0; token < 3 + 256; ++token) {  // three special tokens, then the bytes
      const bool is_printable = token >= 3 + 0x20 && token < 3 + 0x7f;
      if (!is_printable) more.insert(more.end(), {"--logit-bias", std::to_string(token) + "=-inf"});
    }
    return more;
  }
  /// tern chat with these lines on standard input.
  [[nodiscard]] Outcome chat(const std::string& lines, std::vector<std::string> more = {},
                             const std::string& context = "1000") const {
    more.insert(more.begin(), {"-q", "-n", "8", "-c", context});
    return run_tern({.arguments = with_chat_model("chat", more), .input = lines});
  }
  /// The messages that a chat saved to saved_.
  [[nodiscard]] nlohmann::json saved_messages() const { return nlohmann::json::parse(read(saved_))["messages"]; }

  static std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

  std::string chat_model_;
  std::string saved_;
};

}  // namespace tern::test
