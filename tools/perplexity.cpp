// tern perplexity: how well a model predicts a text.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

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
  tern perplexity -f book.txt
  tern perplexity -m model.gguf -f book.txt -c 512 --max-tokens 10000 --json

The text is cut into windows of the context, without overlap; each begins with
the model's BOS token if it has one, and nothing is known across windows.
)";

struct PerplexityOptions {
  ModelOptions model;
  ContextOptions context;
  std::string file;
  std::size_t max_tokens = 0;
  bool json = false;
  bool quiet = false;
};

/// What was predicted, and how well.
struct Score {
  std::size_t tokens = 0;
  std::size_t bytes = 0;  // of text that these tokens stand for
  double nats = 0.0;      // -ln of the probability that the model gave to them

  [[nodiscard]] double nats_per_token() const { return nats / static_cast<double>(tokens); }
  [[nodiscard]] double perplexity() const { return std::exp(nats_per_token()); }
  [[nodiscard]] double bits_per_byte() const { return nats / std::log(2.0) / static_cast<double>(bytes); }
};

/// -ln softmax(logits)[token].  logits: (vocab_size)
double surprise(std::span<const float> logits, Token token) {
  const auto best = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return std::log(sum) + best - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

/// BOS, where the model's file asks for one.
std::vector<Token> beginning(const Tokenizer& tokenizer) {
  const std::vector<Token> added = tokenizer.encode("", {.add_special = true});
  const bool has_bos = tokenizer.bos() && !added.empty() && added.front() == *tokenizer.bos();
  return has_bos ? std::vector<Token>{*tokenizer.bos()} : std::vector<Token>{};
}

void score_window(Session& session, std::span<const Token> window, Score& score) {
  session.rewind(0);
  const Tokenizer& tokenizer = session.model().tokenizer();
  session.evaluate_all(window, [&](std::size_t index, std::span<const float> logits) {
    if (index + 1 == window.size()) return;
    const Token next = window[index + 1];
    score.nats += surprise(logits, next);
    score.tokens += 1;
    score.bytes += tokenizer.piece(next).size();
  });
}

Score score_text(Session& session, std::span<const Token> text, bool quiet) {
  const std::vector<Token> prefix = beginning(session.model().tokenizer());
  const std::size_t room = session.context() - std::min(prefix.size(), session.context());
  if (room == 0 || prefix.size() + room < 2) {
    throw Error(ErrorKind::kInvalidArgument, "the context is too small: a token can only be predicted from another");
  }
  Score score;
  Progress progress("scoring", quiet);
  for (std::size_t done = 0; done < text.size();) {
    const std::span<const Token> part = text.subspan(done, std::min(room, text.size() - done));
    std::vector<Token> window = prefix;
    window.insert(window.end(), part.begin(), part.end());
    score_window(session, window, score);
    done += part.size();
    progress.update(static_cast<double>(done) / static_cast<double>(text.size()));
  }
  return score;
}

std::string describe(const Score& score, std::size_t window, bool json) {
  if (json) {
    return to_line({{"perplexity", score.perplexity()},
                    {"nats_per_token", score.nats_per_token()},
                    {"bits_per_byte", score.bits_per_byte()},
                    {"tokens", score.tokens},
                    {"bytes", score.bytes},
                    {"window", window}});
  }
  return fmt::format(
      "perplexity      {:.4f}\nnats per token  {:.5f}\nbits per byte   {:.5f}\ntokens          {} in windows of {}\n",
      score.perplexity(), score.nats_per_token(), score.bits_per_byte(), score.tokens, window);
}

int run(const PerplexityOptions& options) {
  const std::string text = read_file(options.file);
  const auto model = options.model.load(options.quiet);
  std::vector<Token> tokens = model->tokenizer().encode(text);
  if (options.max_tokens > 0 && tokens.size() > options.max_tokens) tokens.resize(options.max_tokens);
  Session session(model, options.context.session_options(options.model.open.threads));
  const Score score = score_text(session, tokens, options.quiet);
  if (score.tokens == 0) {
    throw Error(ErrorKind::kInvalidArgument, fmt::format("{}: too short: no token could be predicted", options.file));
  }
  print(describe(score, session.context(), options.json));
  return kSuccess;
}

}  // namespace

Action declare_perplexity(CLI::App& app) {
  const auto options = std::make_shared<PerplexityOptions>();
  app.footer(kExamples);
  options->model.declare_file(app);
  app.add_option("-f,--file", options->file, "Text to predict, - for standard input")->type_name("FILE")->required();
  app.add_option("--max-tokens", options->max_tokens, "Score only the first N tokens; 0 = all")
      ->type_name("N")
      ->capture_default_str();
  options->context.declare(app);
  options->model.declare_kernels(app);
  app.add_flag("--json", options->json, "Print one JSON object");
  app.add_flag("-q,--quiet", options->quiet, "No notes or progress on standard error");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
