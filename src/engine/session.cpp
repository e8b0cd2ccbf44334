#include "tern/session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "src/base/check.h"
#include "src/base/fnv1a.h"
#include "src/engine/loaded_model.h"
#include "src/engine/runner.h"
#include "src/engine/session_file.h"

namespace tern {
namespace engine {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::size_t context_of(const architectures::Config& config, const SessionOptions& options) {
  return options.context == 0 ? config.context_length : options.context;
}

}  // namespace

/// One text, and what computes it.
class SessionImpl {
 public:
  SessionImpl(std::shared_ptr<const Model> model, const SessionOptions& options)
      : model_(std::move(model)),
        loaded_(model_->loaded()),
        config_(loaded_.architecture->config()),
        context_(context_of(config_, options)),
        runner_(loaded_, options.threads, std::clamp<std::size_t>(options.batch, 1, context_)),
        text_{nn::KvCache({config_.n_layers, config_.n_kv_heads, context_, config_.head_dim}, options.kv_type), {}} {}

  using OnHidden = std::function<void(std::size_t first, nn::MatrixView hidden)>;

  /// Runs tokens of this text through the layers, batch by batch. `on_hidden` gets the final states, (n, dim), of every
  /// batch. Returns false when keep_going said so.
  bool run(std::span<const Token> new_tokens, const std::function<bool()>& keep_going, const OnHidden& on_hidden,
           bool decoding = false) {
    check(new_tokens);
    const std::vector<Token> copy(new_tokens.begin(), new_tokens.end());  // they may be some of text_, which grows
    const std::span<const Token> tokens = copy;
    rows_ = {};
    n_guesses_ = 0;
    for (std::size_t done = 0; done < tokens.size();) {
      if (done > 0 && keep_going && !keep_going()) return false;
      const std::size_t n = std::min(runner_.batch(), tokens.size() - done);
      const auto start = Clock::now();
      const Segment segment{&text_, tokens.subspan(done, n)};
      on_hidden(done, runner_.forward({&segment, 1}));
      done += n;
      count(n, seconds_since(start), text_.kv.bytes_read(text_.position()), decoding || n == 1);
    }
    return true;
  }

  /// The next token of several texts, this one's among them, with the memory and threads of this one. Returns the
  /// logits, (n_sessions, vocab_size).
  std::span<const float> run_together(std::span<SessionImpl* const> sessions, std::span<const Token> new_tokens) {
    check_together(sessions, new_tokens);
    forget_logits();
    const std::vector<Token> copy(new_tokens.begin(), new_tokens.end());  // as in run()
    const std::span<const Token> tokens = copy;
    together_.resize(sessions.size() * config_.vocab_size);
    for (std::size_t done = 0; done < sessions.size();) {
      const std::size_t n = std::min(runner_.batch(), sessions.size() - done);
      std::vector<Segment> segments;
      for (std::size_t i = done; i < done + n; ++i) {
        segments.push_back({&sessions[i]->text_, tokens.subspan(i, 1)});
        sessions[i]->rows_ = {};
      }
      const auto start = Clock::now();
      keep_logits(done, runner_.forward(segments));
      count(n, seconds_since(start), sessions[done]->text_.kv.bytes_read(sessions[done]->text_.position()), n == 1);
      done += n;
    }
    last_logits_ = rows_ = std::span(together_).last(config_.vocab_size);
    return together_;
  }

  /// Logits of some final states, (n, dim) -> (n, vocab_size); valid until the next call.
  std::span<const float> logits(nn::MatrixView hidden) {
    rows_ = runner_.logits(hidden);
    last_logits_ = rows_.last(config_.vocab_size);
    return rows_;
  }

  /// As run(), and returns the logits after every token, (n_tokens, vocab_size).
  std::span<const float> run_rows(std::span<const Token> tokens) {
    check(tokens);
    forget_logits();
    together_.resize(tokens.size() * config_.vocab_size);
    run(
        tokens, {}, [&](std::size_t first, nn::MatrixView hidden) { keep_logits(first, hidden); }, true);
    n_guesses_ = tokens.size() - 1;
    last_logits_ = std::span(together_).last(config_.vocab_size);
    rows_ = together_;
    return together_;
  }

  void rewind(std::size_t n_tokens) {
    if (n_tokens > text_.position()) {
      fail(ErrorKind::kInvalidArgument, "cannot rewind to {} tokens: only {} are held", n_tokens, text_.position());
    }
    // The last logits are then those after the last token that is left, if they are still here.
    const std::size_t n_dropped = text_.position() - n_tokens;
    const std::size_t vocab_size = config_.vocab_size;
    if (n_dropped * vocab_size < rows_.size()) {
      last_logits_ = rows_.subspan(rows_.size() - (n_dropped + 1) * vocab_size, vocab_size);
    }
    rows_ = last_logits_;
    stats_.decode_tokens -= std::min(n_dropped, std::exchange(n_guesses_, 0));  // they came to nothing
    text_.tokens.resize(n_tokens);
  }

  void save(const std::filesystem::path& path) { save_text(path, model_->fingerprint(), text_); }

  void load(const std::filesystem::path& path) {
    load_text(path, model_->fingerprint(), config_.vocab_size, text_);
    forget_logits();
  }

  [[nodiscard]] SessionStats stats() const noexcept {
    SessionStats stats = stats_;
    if (!last_logits_.empty()) stats.logits_hash = fnv1a(std::as_bytes(last_logits_));
    return stats;
  }

  [[nodiscard]] std::span<const Token> tokens() const noexcept { return text_.tokens; }
  [[nodiscard]] std::size_t position() const noexcept { return text_.position(); }
  [[nodiscard]] std::size_t context() const noexcept { return context_; }
  [[nodiscard]] unsigned threads() const noexcept { return runner_.pool().size(); }
  [[nodiscard]] const Model& model() const noexcept { return *model_; }

 private:
  /// Before the memory moves that they lie in.
  void forget_logits() noexcept { rows_ = last_logits_ = {}; }

  /// Puts the logits of some final states, (n, dim), into their rows of together_.
  void keep_logits(std::size_t first, nn::MatrixView hidden) {
    std::ranges::copy(runner_.logits(hidden),
                      together_.begin() + static_cast<std::ptrdiff_t>(first * config_.vocab_size));
  }

  void check_together(std::span<SessionImpl* const> sessions, std::span<const Token> tokens) const {
    if (sessions.size() != tokens.size()) {
      fail(ErrorKind::kInvalidArgument, "{} sessions with {} tokens: expected one token for each", sessions.size(),
           tokens.size());
    }
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      if (&sessions[i]->loaded_ != &loaded_) {
        fail(ErrorKind::kInvalidArgument, "session {} is of another model than the first", i);
      }
      if (std::ranges::find(sessions.first(i), sessions[i]) != sessions.begin() + static_cast<std::ptrdiff_t>(i)) {
        fail(ErrorKind::kInvalidArgument, "session {} is there twice", i);
      }
      sessions[i]->check(tokens.subspan(i, 1));
    }
  }

  void check(std::span<const Token> tokens) const {
    if (tokens.empty()) fail(ErrorKind::kInvalidArgument, "no tokens to evaluate");
    if (tokens.size() > context_ - text_.position()) {
      fail(ErrorKind::kInvalidArgument, "{} tokens after {} do not fit in the context of {} tokens", tokens.size(),
           text_.position(), context_);
    }
    for (const Token token : tokens) {
      if (token < 0 || static_cast<std::size_t>(token) >= config_.vocab_size) {
        fail(ErrorKind::kInvalidArgument, "token {} is not in the vocabulary of {} tokens", token, config_.vocab_size);
      }
    }
  }

  /// `kv_bytes`: what a single token read of its KV cache.
  void count(std::size_t n_tokens, double seconds, std::uint64_t kv_bytes, bool decoding) {
    if (!decoding) {
      stats_.prompt_tokens += n_tokens;
      stats_.prompt_seconds += seconds;
      return;
    }
    stats_.decode_tokens += n_tokens;
    stats_.decode_seconds += seconds;
    stats_.decode_bytes += loaded_.summary.bytes_read_per_token + kv_bytes;
  }

  std::shared_ptr<const Model> model_;
  const LoadedModel& loaded_;
  const architectures::Config& config_;
  std::size_t context_;
  Runner runner_;
  TextState text_;
  std::vector<float> together_;         // logits of run_together() and run_rows()
  std::span<const float> rows_;         // logits after the last tokens, (n, vocab_size)
  std::span<const float> last_logits_;  // (vocab_size)
  std::size_t n_guesses_ = 0;           // of the last run_rows(), which rewind() may take back
  SessionStats stats_;
};

}  // namespace engine

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : impl_(or_out_of_memory("a session of this context and batch",
                             [&] { return std::make_unique<engine::SessionImpl>(model, options); })) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

std::span<const float> Session::evaluate(std::span<const Token> tokens, const std::function<bool()>& keep_going) {
  std::span<const float> logits;
  or_out_of_memory("a batch of tokens", [&] {
    impl_->run(tokens, keep_going, [&](std::size_t first, nn::MatrixView hidden) {
      const bool last_batch = first + hidden.rows == tokens.size();
      if (last_batch) logits = impl_->logits({hidden.row(hidden.rows - 1), 1, hidden.cols});
    });
  });
  return logits;
}

std::span<const float> Session::evaluate_rows(std::span<const Token> tokens) {
  return or_out_of_memory("a batch of tokens", [&] { return impl_->run_rows(tokens); });
}

void Session::evaluate_all(std::span<const Token> tokens,
                           const std::function<void(std::size_t, std::span<const float>)>& on_logits) {
  // Few rows at a time: the logits of a whole batch would be a hundred megabytes for a large vocabulary.
  constexpr std::size_t kRows = 16;
  const std::size_t vocab_size = impl_->model().summary().vocab_size;
  const auto hand_out = [&](std::size_t first, nn::MatrixView hidden) {
    for (std::size_t t = 0; t < hidden.rows; t += kRows) {
      const std::size_t n = std::min(kRows, hidden.rows - t);
      const std::span<const float> logits = impl_->logits({hidden.row(t), n, hidden.cols});
      for (std::size_t i = 0; i < n; ++i) on_logits(first + t + i, logits.subspan(i * vocab_size, vocab_size));
    }
  };
  or_out_of_memory("a batch of tokens", [&] { impl_->run(tokens, {}, hand_out); });
}

std::span<const float> evaluate_together(std::span<Session* const> sessions, std::span<const Token> tokens) {
  if (sessions.empty()) fail(ErrorKind::kInvalidArgument, "no sessions to evaluate");
  return or_out_of_memory("the next token of these sessions", [&] {
    std::vector<engine::SessionImpl*> impls;
    for (const Session* session : sessions) {
      if (session == nullptr) fail(ErrorKind::kInvalidArgument, "session {} is null", impls.size());
      impls.push_back(session->impl_.get());
    }
    return impls.front()->run_together(impls, tokens);
  });
}

void Session::rewind(std::size_t n_tokens) { impl_->rewind(n_tokens); }
void Session::save(const std::filesystem::path& path) const { impl_->save(path); }
void Session::load(const std::filesystem::path& path) {
  or_out_of_memory("a saved text", [&] { impl_->load(path); });
}
std::span<const Token> Session::tokens() const noexcept { return impl_->tokens(); }
std::size_t Session::position() const noexcept { return impl_->position(); }
std::size_t Session::context() const noexcept { return impl_->context(); }
unsigned Session::threads() const noexcept { return impl_->threads(); }
SessionStats Session::stats() const noexcept { return impl_->stats(); }
const Model& Session::model() const noexcept { return impl_->model(); }

}  // namespace tern
