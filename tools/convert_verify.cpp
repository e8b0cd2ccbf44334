#include "tools/convert_verify.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "tern/tern.h"

namespace tern::tools {
namespace {

constexpr std::size_t kMaxTokens = 256;  // whose logits are kept: 156 MB of 152 000 each

/// Plain words, figures, quotes and code: what a vocabulary has its parts for.
constexpr const char* kText =
    "The ferry left the harbour at 7:45, a little late, with forty-one passengers and two bicycles on board. \"Is it "
    "always this windy?\" asked the boy, and held on to his cap. His grandmother laughed. \"This? This is nothing; in "
    "1987 the waves came over the roof.\" Behind them the town grew small: first the church, then the white houses on "
    "the hill, at last the long line of the mole. A ship of 120 tonnes needs about 3.5 kilometres to come to a stop, "
    "which is why its captain looks far ahead. The same is true of programs that other programs rely on.\n\n"
    "def mean(values):\n    return sum(values) / len(values)\n\n"
    "On the island a bus was waiting. It went up through the pines, past the old quarry, and whoever wanted to get off "
    "pulled the cord. Nobody spoke much. In the evening, when the lamps along the quay were lit, they took the last "
    "boat home, tired, salty and content.\n";

std::vector<Token> tokens_of(const Model& model, const std::optional<std::string>& text) {
  std::vector<Token> tokens = model.tokenizer().encode(text ? std::string_view(*text) : kText, {.add_special = true});
  tokens.resize(std::min({tokens.size(), kMaxTokens, model.summary().context_length}));
  if (tokens.empty()) throw Error(ErrorKind::kInvalidArgument, "the text to verify with has no tokens");
  return tokens;
}

/// What a model says of every token, with the head that it was opened with.
struct Predictions {
  std::vector<Token> tokens;
  std::vector<std::vector<float>> logits;  // (tokens, vocab_size)
};

template <typename Use>
void predict(const std::shared_ptr<const Model>& model, const std::vector<Token>& tokens, unsigned threads,
             const Use& use) {
  Session session(model, {.context = tokens.size(), .threads = threads});
  session.evaluate_all(
      tokens, [&](std::size_t i, std::span<const float> logits) { use(i, of_tokens(model->tokenizer(), logits)); });
}

Predictions predictions_of(const std::filesystem::path& path, const std::optional<std::string>& text,
                           const OpenOptions& options) {
  const auto model = Model::open(path, options);
  Predictions predictions;
  predictions.tokens = tokens_of(*model, text);
  predict(model, predictions.tokens, options.threads, [&](std::size_t, std::span<const float> logits) {
    predictions.logits.emplace_back(logits.begin(), logits.end());
  });
  return predictions;
}

}  // namespace

PredictionDistance compare_models(const std::filesystem::path& p, const std::filesystem::path& q,
                                  const std::optional<std::string>& text, const OpenOptions& p_options,
                                  const OpenOptions& q_options) {
  const Predictions expected = predictions_of(p, text, p_options);  // its model is closed again
  const auto model = Model::open(q, q_options);
  PredictionDistance distance;
  predict(model, expected.tokens, q_options.threads, [&](std::size_t i, std::span<const float> logits) {
    const std::size_t n = std::min(expected.logits[i].size(), logits.size());
    distance.add(std::span(expected.logits[i]).first(n), logits.first(n));
  });
  return distance;
}

}  // namespace tern::tools
