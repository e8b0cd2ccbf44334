// tern perplexity: how well a model predicts a text.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "tern/tern.h"
#include "tools/command.h"
#include "tools/divergence.h"
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
  tern perplexity -f book.txt --compare-head

The text is cut into windows of the context, without overlap; each begins with
the model's BOS token if it has one, and nothing is known across windows.

--compare-head says what the int8 output head costs: it opens the model a second
time with the other head and gives the Kullback-Leibler divergence KL(f16 || int8)
of the two predictions of every token, and how often their best tokens are equal.
)";

struct PerplexityOptions {
  ModelOptions model;
  ContextOptions context;
  std::string file;
  std::size_t max_tokens = 0;
  bool compare_head = false;
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

/// BOS, where the model's file asks for one.
std::vector<Token> beginning(const Tokenizer& tokenizer) {
  const std::vector<Token> added = tokenizer.encode("", {.add_special = true});
  const bool has_bos = tokenizer.bos() && !added.empty() && added.front() == *tokenizer.bos();
  return has_bos ? std::vector<Token>{*tokenizer.bos()} : std::vector<Token>{};
}

/// Scores every token of a window but the first.
void score_window(Session& session, std::span<const Token> window, Score& score) {
  session.rewind(0);
  const Tokenizer& tokenizer = session.model().tokenizer();
  session.evaluate_all(window, [&](std::size_t index, std::span<const float> logits) {
    if (index + 1 == window.size()) return;
    const Token next = window[index + 1];
    score.nats += surprise(of_tokens(tokenizer, logits), next);
    score.tokens += 1;
    score.bytes += tokenizer.piece(next).size();
  });
}

/// Runs a window through both sessions, whose hidden states are the same, and compares what the heads make of them.
void compare_window(Session& file, Session& int8, std::span<const Token> window, PredictionDistance& comparison) {
  constexpr std::size_t kTogether = 64;  // tokens whose logits are kept
  const Tokenizer& tokenizer = file.model().tokenizer();
  file.rewind(0);
  int8.rewind(0);
  for (std::size_t begin = 0; begin < window.size(); begin += kTogether) {
    const std::span<const Token> part = window.subspan(begin, std::min(kTogether, window.size() - begin));
    std::vector<std::vector<float>> expected;
    file.evaluate_all(part, [&](std::size_t, std::span<const float> logits) {
      const std::span<const float> kept = of_tokens(tokenizer, logits);
      expected.emplace_back(kept.begin(), kept.end());
    });
    int8.evaluate_all(part, [&](std::size_t index, std::span<const float> logits) {
      comparison.add(expected[index], of_tokens(tokenizer, logits));
    });
  }
}

/// Cuts a text into windows and calls use(window) for each.
void for_each_window(const Session& session, std::span<const Token> text, bool quiet,
                     const std::function<void(std::span<const Token>)>& use) {
  const std::vector<Token> prefix = beginning(session.model().tokenizer());
  const std::size_t room = session.context() - std::min(prefix.size(), session.context());
  if (room == 0 || prefix.size() + room < 2) {
    throw Error(ErrorKind::kInvalidArgument, "the context is too small: a token can only be predicted from another");
  }
  Progress progress("scoring", quiet);
  for (std::size_t done = 0; done < text.size();) {
    const std::span<const Token> part = text.subspan(done, std::min(room, text.size() - done));
    std::vector<Token> window = prefix;
    window.insert(window.end(), part.begin(), part.end());
    use(window);
    done += part.size();
    progress.update(static_cast<double>(done) / static_cast<double>(text.size()));
  }
}

/// What a run found out.
struct Findings {
  Score score;
  std::string head;  // type of the weights that the score was made with
  std::size_t window = 0;
  std::optional<PredictionDistance> comparison;
};

Json to_json(const Findings& found) {
  const Score& score = found.score;
  Json json = {{"perplexity", score.perplexity()},
               {"nats_per_token", score.nats_per_token()},
               {"bits_per_byte", score.bits_per_byte()},
               {"tokens", score.tokens},
               {"bytes", score.bytes},
               {"window", found.window},
               {"head", found.head}};
  if (const auto& comparison = found.comparison) {
    json["head_comparison"] = {{"mean_kl_nats", comparison->mean_nats()},
                               {"largest_kl_nats", comparison->largest_nats},
                               {"equal_best_share", comparison->equal_share()},
                               {"tokens", comparison->tokens}};
  }
  return json;
}

std::string describe(const Findings& found) {
  const Score& score = found.score;
  std::string text = fmt::format(
      "perplexity      {:.4f}\nnats per token  {:.5f}\nbits per byte   {:.5f}\ntokens          {} in windows of {}\n",
      score.perplexity(), score.nats_per_token(), score.bits_per_byte(), score.tokens, found.window);
  text += fmt::format("head            {}\n", found.head);
  if (const auto& comparison = found.comparison) {
    text += fmt::format(
        "KL of int8      {:.3g} nats per token, at most {:.3g}\nsame best token {:.3f} % of {} predictions\n",
        comparison->mean_nats(), comparison->largest_nats, 100.0 * comparison->equal_share(), comparison->tokens);
  }
  return text;
}

/// The same model with the other head.
std::shared_ptr<const Model> load_other_head(const PerplexityOptions& options) {
  ModelOptions other = options.model;
  other.head = options.model.head == "f16" ? "int8" : "f16";
  return other.load(/*quiet=*/true);
}

Findings examine(const std::shared_ptr<const Model>& model, std::span<const Token> text,
                 const PerplexityOptions& options) {
  const SessionOptions session_options = options.context.session_options(options.model.open.threads);
  Session session(model, session_options);
  Findings found = {.score = {}, .head = model->summary().head_type, .window = session.context(), .comparison = {}};
  std::optional<Session> other;
  if (options.compare_head) {
    other.emplace(load_other_head(options), session_options);
    found.comparison.emplace();
  }
  const bool is_file = options.model.head == "f16";
  for_each_window(session, text, options.quiet, [&](std::span<const Token> window) {
    score_window(session, window, found.score);
    if (other) compare_window(is_file ? session : *other, is_file ? *other : session, window, *found.comparison);
  });
  return found;
}

int run(const PerplexityOptions& options) {
  const std::string text = read_file(options.file);
  const auto model = options.model.load(options.quiet);
  check_predicts(*model);
  std::vector<Token> tokens = model->tokenizer().encode(text);
  if (options.max_tokens > 0 && tokens.size() > options.max_tokens) tokens.resize(options.max_tokens);
  const Findings found = examine(model, tokens, options);
  if (found.score.tokens == 0) {
    throw Error(ErrorKind::kInvalidArgument, fmt::format("{}: too short: no token could be predicted", options.file));
  }
  print(options.json ? to_line(to_json(found)) : describe(found));
  return kSuccess;
}

}  // namespace

Action declare_perplexity(Command& cli) {
  const auto options = std::make_shared<PerplexityOptions>();
  cli.footer(kExamples);
  options->model.declare_file(cli);
  cli.option("-f,--file", options->file, "Text to predict, - for standard input").value_name("FILE").required();
  cli.option("--max-tokens", options->max_tokens, "Score only the first N tokens; 0 = all")
      .value_name("N")
      .show_default();
  cli.flag("--compare-head", options->compare_head,
           "Say how far the int8 head is from the file's (three times the work)");
  options->context.declare(cli);
  options->model.declare_kernels(cli);
  options->model.declare_cache(cli);
  cli.flag("--json", options->json, "Print one JSON object");
  cli.flag("-q,--quiet", options->quiet, "No notes or progress on standard error");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
