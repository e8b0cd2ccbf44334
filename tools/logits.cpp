// tern logits: the raw numbers behind every next token.

#include <bit>

#include "tern/tern.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/model_options.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian");

constexpr const char* kExamples = R"(Examples:
  tern logits --tokens 1,450,29879 -o logits.f32
  tern logits -m model.gguf --tokens 1,2 --kernel dot -t 1 -o - | sha256sum

The output is (tokens, vocabulary) little-endian 32-bit floats: row i holds the
logits of the token that follows token i. The same bytes come out whatever the
kernel, the threads and the batch. An output file appears only when complete.
)";

struct LogitsOptions {
  ModelOptions model;
  ContextOptions context;
  std::string tokens;
  std::string output;
  bool quiet = false;
};

int run(const LogitsOptions& options) {
  const std::vector<Token> tokens = parse_tokens(options.tokens);
  check_output(options.output, {options.model.resolved_path()});
  const auto model = options.model.load(options.quiet);
  check_predicts(*model);
  Session session(model, options.context.session_options(options.model.open.threads));
  const InterruptGuard interrupt;
  OutputFile output(options.output);
  session.evaluate_all(tokens, [&](std::size_t, std::span<const float> logits) {
    interrupt.stop_if_requested();
    output.write(std::as_bytes(logits));
  });
  output.commit();
  return kSuccess;
}

}  // namespace

Action declare_logits(Command& cli) {
  const auto options = std::make_shared<LogitsOptions>();
  cli.footer(kExamples);
  options->model.declare_file(cli);
  cli.option("--tokens", options->tokens, "Token ids with commas between them").value_name("IDS").required();
  cli.option("-o,--output", options->output, "Where to write, - for standard output").value_name("FILE").required();
  options->context.declare(cli);
  options->model.declare_kernels(cli);
  options->model.declare_cache(cli);
  cli.flag("-q,--quiet", options->quiet, "No notes or progress on standard error");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
