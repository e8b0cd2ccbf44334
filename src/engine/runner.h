#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "src/architectures/architecture.h"
#include "src/base/thread_pool.h"
#include "src/engine/loaded_model.h"
#include "src/nn/kv_cache.h"
#include "tern/session.h"

namespace tern::engine {

/// A text that a model has read: what its tokens have to say to later ones.
struct TextState {
  nn::KvCache kv;
  std::vector<Token> tokens = {};

  [[nodiscard]] std::size_t position() const noexcept { return tokens.size(); }
  /// Becomes a text with the same first tokens as another one.
  void share(const TextState& other, std::size_t n_tokens) {
    kv.share(other.kv, n_tokens);
    tokens.assign(other.tokens.begin(), other.tokens.begin() + static_cast<std::ptrdiff_t>(n_tokens));
  }
};

/// Consecutive new tokens of one text, which follow those it holds.
struct Segment {
  TextState* text;
  std::span<const Token> tokens;
};

/// Threads and memory that run a model's layers over the tokens of any texts.
///
/// Threads   one caller at a time
/// Exact     what a text gets does not depend on the segments beside it
class Runner {
 public:
  /// `batch`: tokens computed together at most. `threads`: 0 = physical cores
  Runner(const LoadedModel& model, unsigned threads, std::size_t batch);

  /// Appends every segment to its text and returns the final states of all tokens in order, (n_tokens, dim), valid
  /// until the next call. Requires  no text twice; 1 to batch() tokens in all; each known
  /// to the model; room for them.  Errors  Error(kBadFile): a file of the model was truncated meanwhile
  nn::MatrixView forward(std::span<const Segment> segments);

  /// Logits of some final states, (n, dim) -> (n, vocab_size); valid until the next call.
  std::span<const float> logits(nn::MatrixView hidden);

  [[nodiscard]] std::size_t batch() const noexcept { return batch_; }
  [[nodiscard]] ThreadPool& pool() noexcept { return pool_; }
  [[nodiscard]] const ThreadPool& pool() const noexcept { return pool_; }

 private:
  [[nodiscard]] nn::Compute compute() { return {pool_, model_.kernels, *model_.kernels.floats, workspace_}; }

  const LoadedModel& model_;
  std::size_t batch_;
  ThreadPool pool_;
  nn::Workspace workspace_;
  nn::RopeTable rope_;
  nn::RopeTable local_rope_;
  architectures::Activations activations_;
  std::vector<Token> tokens_;           // of the current batch
  std::vector<nn::TokenPlace> places_;  // of these
  std::vector<float> logits_;           // of the last call
};

/// Bytes that the KV caches of several texts may take: as asked for, or with 0 half of what the machine has left.
[[nodiscard]] std::uint64_t kv_memory(std::uint64_t asked_for);

}  // namespace tern::engine
