#include "tern/embed.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "src/base/check.h"
#include "src/engine/loaded_model.h"
#include "src/engine/runner.h"

namespace tern {
namespace engine {
namespace {

constexpr std::size_t kBatch = 256;    // tokens of a pass
constexpr std::size_t kMaxTexts = 32;  // in progress: each takes a page of the KV cache at least

Pooling read_pooling(const LoadedModel& model) {
  if (model.has_input_norms()) return Pooling::kLast;
  const std::uint64_t type = model.pooling_type();
  if (type == 0 || type == 3) return Pooling::kLast;
  if (type == 1) return Pooling::kMean;
  fail(ErrorKind::kUnsupported, "{}: key {}: expected 1 (mean) or 3 (last), found {}; name a pooling to override it",
       model.gguf.metadata.source(), model.pooling_key(), type);
}

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// A text in progress.
struct Text {
  TextState state;
  std::vector<Token> tokens = {};
  std::vector<double> pooled = {};  // (dim) so far

  [[nodiscard]] std::span<const Token> to_compute() const { return std::span(tokens).subspan(state.position()); }
};

}  // namespace

class EmbedderImpl {
 public:
  EmbedderImpl(std::shared_ptr<const Model> model, const EmbedOptions& options)
      : model_(std::move(model)),
        loaded_(model_->loaded()),
        config_(loaded_.architecture->config()),
        options_(options),
        context_(options.context == 0 ? config_.context_length : options.context),
        pooling_(options.pooling ? *options.pooling : read_pooling(loaded_)),
        runner_(loaded_, options.threads, kBatch) {
    page_bytes_ = new_text()->state.kv.page_bytes();
    max_pages_ = static_cast<std::size_t>(kv_memory(options.memory_bytes) / page_bytes_);
  }

  [[nodiscard]] std::vector<Token> encode(std::string_view text) const {
    const Tokenizer& tokenizer = model_->tokenizer();
    std::vector<Token> tokens = tokenizer.encode(text, {.add_special = true});
    if (tokens.empty()) fail(ErrorKind::kInvalidArgument, "a text without tokens has no vector");
    if (tokens.size() > context_ && options_.truncate) {
      // A control token never comes out of the text itself: this one was added.
      const bool adds_eos = tokenizer.eos() == tokens.back() && tokenizer.is_control(tokens.back());
      const Token last = adds_eos ? tokens.back() : tokens[context_ - 1];
      tokens.resize(context_);
      tokens.back() = last;
    }
    check_size(tokens.size());
    return tokens;
  }

  bool run(const Embedder::Callbacks& callbacks) {
    next_.reset();  // what a run left that ended with an exception
    more_ = true;
    texts_.clear();
    while (true) {
      admit(callbacks);
      if (texts_.empty()) return true;
      pass();
      hand_out(callbacks);
      if (callbacks.keep_going && !callbacks.keep_going()) return false;
    }
  }

  [[nodiscard]] std::size_t dim() const noexcept { return config_.dim; }
  [[nodiscard]] std::size_t context() const noexcept { return context_; }
  [[nodiscard]] Pooling pooling() const noexcept { return pooling_; }
  [[nodiscard]] unsigned threads() const noexcept { return runner_.pool().size(); }

 private:
  [[nodiscard]] std::unique_ptr<Text> new_text() const {
    const nn::KvShape shape{config_.n_layers, config_.n_kv_heads, context_, config_.head_dim};
    return std::make_unique<Text>(Text{.state = {nn::KvCache(shape, options_.kv_type), {}}});
  }

  void check_size(std::size_t n_tokens) const {
    if (n_tokens <= context_) return;
    fail(ErrorKind::kInvalidArgument, "a text of {} tokens does not fit in the context of {} tokens", n_tokens,
         context_);
  }

  void check(const std::vector<Token>& tokens) const {
    if (tokens.empty()) fail(ErrorKind::kInvalidArgument, "a text without tokens has no vector");
    check_size(tokens.size());
    for (const Token token : tokens) {
      if (token < 0 || static_cast<std::size_t>(token) >= config_.vocab_size) {
        fail(ErrorKind::kInvalidArgument, "token {} is not in the vocabulary of {} tokens", token, config_.vocab_size);
      }
    }
    if (pages_of(tokens) > max_pages_) {
      fail(ErrorKind::kInvalidArgument, "the keys and values of {} tokens need {} bytes: the memory limit allows {}",
           tokens.size(), pages_of(tokens) * page_bytes_, max_pages_ * page_bytes_);
    }
  }

  static std::size_t pages_of(const std::vector<Token>& tokens) {
    return (tokens.size() + nn::KvCache::kPagePositions - 1) / nn::KvCache::kPagePositions;
  }

  /// Takes on texts until they fill a pass, or memory.
  void admit(const Embedder::Callbacks& callbacks) {
    std::size_t n_tokens = 0;
    std::size_t n_pages = 0;
    for (const auto& text : texts_) {
      n_tokens += text->to_compute().size();
      n_pages += pages_of(text->tokens);
    }
    while (n_tokens < kBatch && texts_.size() < kMaxTexts) {
      if (!next_ && more_) {
        next_ = callbacks.next();
        more_ = next_.has_value();
        if (next_) check(*next_);
      }
      if (!next_ || n_pages + pages_of(*next_) > max_pages_) return;
      n_tokens += next_->size();
      n_pages += pages_of(*next_);
      start(std::move(*next_));
      next_.reset();
      if (n_pages + idle_.size() > max_pages_) idle_.resize(max_pages_ - n_pages);
    }
  }

  void start(std::vector<Token>&& tokens) {
    std::unique_ptr<Text> text = idle_.empty() ? new_text() : std::move(idle_.back());
    if (!idle_.empty()) idle_.pop_back();
    text->tokens = std::move(tokens);
    text->pooled.assign(config_.dim, 0.0);
    texts_.push_back(std::move(text));
  }

  /// The next tokens of the oldest texts, through the model.
  void pass() {
    segments_.clear();
    std::size_t left = kBatch;
    for (const auto& text : texts_) {
      const std::span<const Token> tokens = text->to_compute();
      if (left == 0) break;
      segments_.push_back({&text->state, tokens.first(std::min(tokens.size(), left))});
      left -= segments_.back().tokens.size();
    }
    const nn::MatrixView hidden = runner_.forward(segments_);
    std::size_t row = 0;
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      for (std::size_t t = 0; t < segments_[i].tokens.size(); ++t) pool(*texts_[i], hidden.row_span(row++));
    }
  }

  /// Adds a token's final state, (dim).
  void pool(Text& text, std::span<const float> state) const {
    for (std::size_t i = 0; i < state.size(); ++i) {
      const double value{state[i]};
      text.pooled[i] = pooling_ == Pooling::kMean ? text.pooled[i] + value : value;
    }
  }

  void hand_out(const Embedder::Callbacks& callbacks) {
    while (!texts_.empty() && texts_.front()->to_compute().empty()) {
      const std::unique_ptr<Text> text = std::move(texts_.front());
      texts_.pop_front();
      callbacks.on_result({.values = finish(*text), .n_tokens = text->tokens.size()});
      keep_pages(*text);
    }
  }

  [[nodiscard]] std::vector<float> finish(const Text& text) const {
    double factor = pooling_ == Pooling::kMean ? 1.0 / static_cast<double>(text.tokens.size()) : 1.0;
    const double length = std::sqrt(dot(text.pooled, text.pooled));
    if (options_.normalize) factor = length > 0.0 ? 1.0 / length : 0.0;
    std::vector<float> values;
    for (const double value : text.pooled) values.push_back(static_cast<float>(value * factor));
    return values;
  }

  /// Pages of short texts serve the next ones.
  void keep_pages(Text& text) {
    if (text.state.kv.n_pages() != 1 || idle_.size() + texts_.size() >= std::min(kMaxTexts, max_pages_)) return;
    auto idle = std::make_unique<Text>(std::move(text));
    idle->state.tokens.clear();
    idle_.push_back(std::move(idle));
  }

  std::shared_ptr<const Model> model_;
  const LoadedModel& loaded_;
  const architectures::Config& config_;
  EmbedOptions options_;
  std::size_t context_;
  Pooling pooling_;
  Runner runner_;
  std::uint64_t page_bytes_ = 0;
  std::size_t max_pages_ = 0;
  std::optional<std::vector<Token>> next_;   // that there was no room for yet
  bool more_ = true;                         // texts to come
  std::deque<std::unique_ptr<Text>> texts_;  // in progress, the oldest first
  std::vector<std::unique_ptr<Text>> idle_;  // of one page each
  std::vector<Segment> segments_;            // of the current pass: segment i is of text i
};

}  // namespace engine

Embedder::Embedder(std::shared_ptr<const Model> model, const EmbedOptions& options)
    : impl_(or_out_of_memory("an embedder of this context",
                             [&] { return std::make_unique<engine::EmbedderImpl>(std::move(model), options); })) {}
Embedder::~Embedder() = default;
Embedder::Embedder(Embedder&&) noexcept = default;
Embedder& Embedder::operator=(Embedder&&) noexcept = default;

std::vector<Token> Embedder::encode(std::string_view text) const { return impl_->encode(text); }

std::vector<float> Embedder::embed(std::span<const std::string> texts) {
  std::vector<float> rows;
  std::size_t n_read = 0;
  run({.next = [&]() -> std::optional<std::vector<Token>> {
         if (n_read == texts.size()) return std::nullopt;
         return encode(texts[n_read++]);
       },
       .on_result = [&](Embedding e) { rows.insert(rows.end(), e.values.begin(), e.values.end()); }});
  return rows;
}

bool Embedder::run(const Callbacks& callbacks) {
  return or_out_of_memory("the texts to embed", [&] { return impl_->run(callbacks); });
}

std::size_t Embedder::dim() const noexcept { return impl_->dim(); }
std::size_t Embedder::context() const noexcept { return impl_->context(); }
Pooling Embedder::pooling() const noexcept { return impl_->pooling(); }
unsigned Embedder::threads() const noexcept { return impl_->threads(); }

double cosine_similarity(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) {
    fail(ErrorKind::kInvalidArgument, "vectors of {} and {} numbers: expected the same", a.size(), b.size());
  }
  const std::vector<double> x(a.begin(), a.end());
  const std::vector<double> y(b.begin(), b.end());
  const double lengths = std::sqrt(engine::dot(x, x)) * std::sqrt(engine::dot(y, y));
  return lengths > 0.0 ? engine::dot(x, y) / lengths : 0.0;
}

}  // namespace tern
