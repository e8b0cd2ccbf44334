// tern tokenize: text to token ids.
#include <fmt/ranges.h>

#include "tern/tern.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/json.h"
#include "tools/model_options.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr const char* kExamples = R"(Examples:
  tern tokenize "Once upon a time"
  tern tokenize -m model.gguf --ids --add-bos -f prompt.txt
  echo '{"text":"<s>hi","special":true}' | tern tokenize --jsonl

Only the tokenizer of the file is read, so files without tensors work too. A text from
a file or a pipe is taken whole, with the newline at its end that tern run leaves out.
)";

struct TokenizeOptions {
  ModelOptions model;
  TextSource text;
  EncodeOptions encode;
  bool ids_only = false;
  bool jsonl = false;
};

/// Text within quotes, as in C: control characters and bytes that are not ASCII as \xNN, but whole UTF-8 as it is.
std::string quote(std::string_view text) {
  // JSON's rules for what is printable; a piece may be part of a UTF-8 sequence, which JSON cannot hold.
  const Json json(text);
  try {
    return json.dump();
  } catch (const Json::type_error&) {
    std::string quoted = "\"";
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      quoted += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
    }
    return quoted + "\"";
  }
}

void print_tokens(const Tokenizer& tokenizer, const std::vector<Token>& tokens, bool ids_only) {
  if (ids_only) return print(fmt::format("{}\n", fmt::join(tokens, " ")));
  std::string lines;
  for (const Token token : tokens) lines += fmt::format("{:6} {}\n", token, quote(tokenizer.piece(token, true)));
  print(lines);
}

/// {"text":"...","special":false} -> {"ids":[...]}
std::string answer_line(const Tokenizer& tokenizer, std::string_view line, std::size_t number,
                        const TokenizeOptions& options) {
  const Json request = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  const bool has_text = request.is_object() && request.contains("text") && request["text"].is_string();
  const bool special_is_bool = has_text && (!request.contains("special") || request["special"].is_boolean());
  if (!special_is_bool) {
    throw Error(
        ErrorKind::kInvalidArgument,
        fmt::format("{}: line {}: expected {{\"text\": STRING, \"special\": BOOL}}", options.text.name(), number));
  }
  EncodeOptions encode = options.encode;
  encode.parse_special = request.value("special", encode.parse_special);
  const std::string text = request["text"].get<std::string>();
  return to_line({{"ids", tokenizer.encode(options.text.escapes ? interpret_escapes(text) : text, encode)}});
}

void answer_lines(const Tokenizer& tokenizer, const TokenizeOptions& options) {
  std::size_t number = 0;
  options.text.for_each_line([&](std::string_view line) {
    ++number;
    if (!line.empty()) print(answer_line(tokenizer, line, number, options));
  });
}

int run(const TokenizeOptions& options) {
  const Tokenizer tokenizer = Tokenizer::open(options.model.resolved_path(), options.model.open.pre_rule);
  if (!options.ids_only && !options.jsonl) {
    for (const std::string& note : tokenizer.notes()) print_note(note);
  }
  if (options.jsonl) {
    answer_lines(tokenizer, options);
  } else {
    print_tokens(tokenizer, tokenizer.encode(options.text.read(), options.encode), options.ids_only);
  }
  return kSuccess;
}

}  // namespace

Action declare_tokenize(Command& cli) {
  const auto options = std::make_shared<TokenizeOptions>();
  cli.footer(kExamples);
  options->model.declare_file(cli);
  options->text.declare(cli, "Text to split");
  cli.flag("--ids", options->ids_only, "Print the ids alone, on one line");
  cli.flag("--special", options->encode.parse_special, "Recognise the text of control tokens");
  cli.flag("--add-bos", options->encode.add_special, "Add the tokens that the model wants around a text");
  cli.flag("--jsonl", options->jsonl, R"(Read lines of {"text":...,"special":...}, answer {"ids":[...]})");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
