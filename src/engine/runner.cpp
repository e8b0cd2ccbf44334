#include "src/engine/runner.h"

#include <algorithm>

#include "src/base/check.h"
#include "src/nn/linear.h"
#include "tern/bench_model.h"

namespace tern::engine {

Runner::Runner(const LoadedModel& model, unsigned threads, std::size_t batch)
    : model_(model),
      batch_(batch),
      pool_(threads),
      rope_(model.architecture->config().rope),
      local_rope_(model.architecture->config().local_rope),
      activations_(model.architecture->config(), batch) {}

nn::MatrixView Runner::forward(std::span<const Segment> segments) {
  model_.files.check_not_truncated();  // embeddings, and more of some models, are read from the mapped files
  tokens_.clear();
  places_.clear();
  std::size_t n_positions = 0;
  for (const Segment& segment : segments) {
    segment.text->kv.reserve(segment.text->position(), segment.text->position() + segment.tokens.size());
    for (std::size_t i = 0; i < segment.tokens.size(); ++i) {
      tokens_.push_back(segment.tokens[i]);
      places_.push_back({&segment.text->kv, segment.text->position() + i});
    }
    n_positions = std::max(n_positions, segment.text->position() + segment.tokens.size());
  }
  TERN_DCHECK(!tokens_.empty() && tokens_.size() <= batch_);
  rope_.reserve(n_positions);
  if (model_.architecture->config().window > 0) local_rope_.reserve(n_positions);
  architectures::Pass pass{compute(), tokens_, places_, rope_, local_rope_, activations_.views(tokens_.size())};
  model_.architecture->forward(pass);
  for (const auto& [text, tokens] : segments) text->tokens.insert(text->tokens.end(), tokens.begin(), tokens.end());
  return pass.act.x;
}

std::span<const float> Runner::logits(nn::MatrixView hidden) {
  const std::size_t vocab_size = model_.architecture->config().vocab_size;
  logits_.resize(hidden.rows * vocab_size);
  const nn::Projection head[] = {{&model_.architecture->head(), {logits_.data(), hidden.rows, vocab_size}}};
  nn::project(compute(), hidden, head);
  return logits_;
}

std::uint64_t kv_memory(std::uint64_t asked_for) {
  return asked_for == 0 ? describe_machine().available_bytes / 2 : asked_for;
}

}  // namespace tern::engine
