#include "tern/batch.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/engine/answer.h"
#include "src/engine/loaded_model.h"
#include "src/engine/runner.h"

namespace tern {
namespace engine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kAutoParallel = 16;   // texts; beyond it the products are bound by arithmetic, not by memory
constexpr std::size_t kMaxParallel = 1024;  // texts
constexpr std::size_t kPromptBatch = 256;   // tokens of prompts in a pass that nobody waits for
constexpr std::size_t kPromptShare = 64;    // and in one that others take part in
constexpr std::size_t kMinShared = 16;      // tokens; a shorter beginning is sooner computed than shared
constexpr std::size_t kMaxKept = 64;        // finished texts whose beginning others may share

/// How many texts are computed at a time when so many were asked for.
std::size_t checked_parallel(std::size_t asked_for) {
  if (asked_for > kMaxParallel) {
    fail(ErrorKind::kInvalidArgument, "{} texts at a time: expected at most {}", asked_for, kMaxParallel);
  }
  return asked_for == 0 ? kAutoParallel : asked_for;
}

std::size_t common_beginning(std::span<const Token> a, std::span<const Token> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

/// A text and the tokens that it is made of: those computed, those of its prompt that are still to be, and at most one
/// that was chosen and is to be fed back.
struct Text {
  TextState state;
  std::vector<Token> tokens;

  [[nodiscard]] std::span<const Token> to_compute() const { return std::span(tokens).subspan(state.position()); }
};

/// A text in progress.
struct Job {
  Job(const LoadedModel& model, BatchRequest&& request_, std::shared_ptr<Text> text_)
      : request(std::move(request_)),
        text(std::move(text_)),
        answer(*model.tokenizer, request.options, request.prompt, nobody) {}

  [[nodiscard]] bool decoding() const { return text->state.position() >= request.prompt.size(); }

  BatchRequest request;
  std::shared_ptr<Text> text;
  std::function<void(std::string_view)> nobody;  // listens to the text as it comes
  Answer answer;
  std::shared_ptr<const Text> source;  // the beginning is taken over from it, once it is computed
  std::size_t n_shared = 0;
  bool done = false;
  std::optional<std::string> error;
};

}  // namespace

class BatchImpl {
 public:
  BatchImpl(std::shared_ptr<const Model> model, const BatchOptions& options)
      : model_(std::move(model)),
        loaded_(model_->loaded()),
        config_(loaded_.architecture->config()),
        context_(options.context == 0 ? config_.context_length : options.context),
        parallel_(checked_parallel(options.parallel)),
        kv_type_(options.kv_type),
        runner_(loaded_, options.threads, kPromptBatch + parallel_) {
    check_predicts(*model_);
    const std::uint64_t bytes = kv_memory(options.memory_bytes);
    page_bytes_ = new_text().state.kv.page_bytes();
    max_pages_ = static_cast<std::size_t>(bytes / page_bytes_);
    if (max_pages_ == 0) {
      fail(ErrorKind::kInvalidArgument, "a memory limit of {} bytes: {} tokens of this model take {}", bytes,
           nn::KvCache::kPagePositions, page_bytes_);
    }
  }

  bool run(const Batch::Callbacks& callbacks) {
    more_ = true;
    jobs_.clear();  // what a run left that ended with an exception
    next_.reset();
    while (true) {
      admit(callbacks);
      if (jobs_.empty()) return true;
      const auto start = Clock::now();
      pass();
      progress_.seconds += std::chrono::duration<double>(Clock::now() - start).count();
      hand_out(callbacks);
      if (callbacks.keep_going && !callbacks.keep_going(progress_)) {
        jobs_.clear();
        return false;
      }
    }
  }

  [[nodiscard]] const BatchProgress& progress() const noexcept { return progress_; }
  [[nodiscard]] std::size_t parallel() const noexcept { return parallel_; }
  [[nodiscard]] std::size_t context() const noexcept { return context_; }
  [[nodiscard]] unsigned threads() const noexcept { return runner_.pool().size(); }

 private:
  [[nodiscard]] Text new_text() const {
    return {{nn::KvCache({config_.n_layers, config_.n_kv_heads, context_, config_.head_dim}, kv_type_), {}}, {}};
  }

  // --- texts come and go -----------------------------------------------------------------------------------------

  /// Takes on new texts while there is room.
  void admit(const Batch::Callbacks& callbacks) {
    while (jobs_.size() < parallel_) {
      if (!next_ && more_) {
        next_ = callbacks.next();
        more_ = next_.has_value();
      }
      if (!next_) return;
      try {
        check(*next_);
        if (!make_room(pages_of(*next_))) return;
        auto job = std::make_unique<Job>(loaded_, std::move(*next_), std::make_shared<Text>(new_text()));
        start(*job);
        jobs_.push_back(std::move(job));
      } catch (const Error& error) {
        give(callbacks,
             {.id = next_->id, .prompt_tokens = next_->prompt.size(), .generated = {}, .error = error.what()});
      }
      next_.reset();
    }
  }

  /// Errors    Error(kInvalidArgument): a request that can never be carried out
  void check(const BatchRequest& request) const {
    engine::check(request.options);
    static_cast<void>(Sampler(request.options.sampling));
    const std::size_t n = request.prompt.size();
    if (n == 0) fail(ErrorKind::kInvalidArgument, "the prompt is empty, and this model needs a beginning");
    if (n > context_) {
      fail(ErrorKind::kInvalidArgument, "a prompt of {} tokens does not fit in the context of {} tokens", n, context_);
    }
    for (const Token token : request.prompt) {
      if (token < 0 || static_cast<std::size_t>(token) >= config_.vocab_size) {
        fail(ErrorKind::kInvalidArgument, "token {} is not in the vocabulary of {} tokens", token, config_.vocab_size);
      }
    }
    if (pages_of(request) > max_pages_) {
      fail(ErrorKind::kInvalidArgument, "the keys and values of {} tokens need {} bytes: the memory limit allows {}",
           most_tokens(request), pages_of(request) * page_bytes_, max_pages_ * page_bytes_);
    }
  }

  [[nodiscard]] std::size_t most_tokens(const BatchRequest& request) const {
    const std::size_t n = request.prompt.size();
    return n + std::min(request.options.max_tokens, context_ - n);
  }
  [[nodiscard]] std::size_t pages_of(const BatchRequest& request) const {
    return (most_tokens(request) + nn::KvCache::kPagePositions - 1) / nn::KvCache::kPagePositions;
  }

  /// Lets finished texts go until n_pages more fit in memory; false when texts in progress hold too much.
  bool make_room(std::size_t n_pages) {
    while (pages_spoken_for() + n_pages > max_pages_) {
      if (kept_.empty()) return false;
      kept_.pop_front();
    }
    return true;
  }

  /// Pages that there are, shared ones counted once, and those that texts in progress may still make.
  [[nodiscard]] std::size_t pages_spoken_for() const {
    std::unordered_set<const void*> pages;
    std::size_t to_come = 0;
    const auto count = [&](const Text& text) {
      for (std::size_t i = 0; i < text.state.kv.n_pages(); ++i) pages.insert(text.state.kv.page_id(i));
    };
    for (const auto& text : kept_) count(*text);
    for (const auto& job : jobs_) {
      count(*job->text);
      to_come += pages_of(job->request) - job->text->state.kv.n_pages();
    }
    return pages.size() + to_come;
  }

  /// Finds out whose beginning a new text can take over.
  void start(Job& job) {
    const std::vector<Token>& prompt = job.request.prompt;
    job.text->tokens = prompt;
    const auto consider = [&](const std::shared_ptr<Text>& other) {
      // The last token of a prompt is always computed: its logits are needed.
      const std::size_t n = std::min(common_beginning(prompt, other->tokens), prompt.size() - 1);
      if (n < kMinShared || n <= job.n_shared) return;
      job.source = other;
      job.n_shared = n;
    };
    for (const auto& text : kept_) consider(text);
    for (const auto& other : jobs_) consider(other->text);
  }

  void give(const Batch::Callbacks& callbacks, BatchResult&& result) {
    progress_.n_done += 1;
    callbacks.on_result(std::move(result));
  }

  /// Hands out the texts that are done and keeps them for the sake of their beginnings.
  void hand_out(const Batch::Callbacks& callbacks) {
    for (std::unique_ptr<Job>& job : jobs_) {
      if (!job->done) continue;
      kept_.push_back(job->text);
      if (kept_.size() > kMaxKept) kept_.pop_front();
      const std::unique_ptr<Job> finished = std::move(job);
      give(callbacks, {.id = finished->request.id,
                       .prompt_tokens = finished->request.prompt.size(),
                       .shared_tokens = finished->n_shared,
                       .generated = finished->answer.finish(),
                       .error = std::move(finished->error)});
    }
    std::erase(jobs_, nullptr);
    progress_.n_active = jobs_.size();
  }

  // --- one pass through the model --------------------------------------------------------------------------------

  void pass() {
    for (const auto& job : jobs_) take_over_beginning(*job);
    compose();
    const nn::MatrixView hidden = runner_.forward(segments_);
    progress_.n_passes += 1;
    if (!ready_.empty()) choose(logits_of_ready(hidden));
  }

  /// A text that shares its beginning waits until that is computed.
  void take_over_beginning(Job& job) {
    if (!job.source || job.source->state.position() < job.n_shared) return;
    job.text->state.share(job.source->state, job.n_shared);
    job.source = nullptr;
    progress_.shared_tokens += job.n_shared;
  }

  /// One token of every text that is being generated, and a share of the prompts of the others.
  void compose() {
    segments_.clear();
    ready_.clear();
    const bool others_go_on = std::ranges::any_of(jobs_, [](const auto& job) { return job->decoding(); });
    std::size_t prompt_left = others_go_on ? kPromptShare : kPromptBatch;
    std::size_t n_tokens = 0;
    for (const auto& job : jobs_) {
      if (job->source) continue;
      std::span<const Token> tokens = job->text->to_compute();
      if (!job->decoding()) {
        tokens = tokens.first(std::min(tokens.size(), prompt_left));
        prompt_left -= tokens.size();
        progress_.prompt_tokens += tokens.size();
      }
      if (tokens.empty()) continue;
      n_tokens += tokens.size();
      segments_.push_back({&job->text->state, tokens});
      if (tokens.size() == job->text->to_compute().size()) ready_.push_back({job.get(), n_tokens - 1});
    }
  }

  /// (ready, vocab_size), from the final states of all tokens of a pass.
  std::span<const float> logits_of_ready(nn::MatrixView hidden) {
    states_.resize(ready_.size() * hidden.cols);
    for (std::size_t i = 0; i < ready_.size(); ++i) {
      std::ranges::copy(hidden.row_span(ready_[i].row), states_.begin() + static_cast<std::ptrdiff_t>(i * hidden.cols));
    }
    return runner_.logits({states_.data(), ready_.size(), hidden.cols});
  }

  /// Chooses the next token of every text that is ready.  logits: (ready, vocab_size)
  void choose(std::span<const float> logits) {
    runner_.pool().parallel_for(ready_.size(), 1, [&](std::size_t begin, std::size_t end, unsigned) {
      for (std::size_t i = begin; i < end; ++i) {
        choose_one(*ready_[i].job, logits.subspan(i * config_.vocab_size, config_.vocab_size));
      }
    });
    for (const Ready& ready : ready_) progress_.generated_tokens += ready.job->done ? 0 : 1;
  }

  /// Called by several threads at once, each for another text: nothing may be thrown.
  void choose_one(Job& job, std::span<const float> logits) const noexcept {
    try {
      const std::optional<Token> token = job.answer.next(logits, job.text->state.position() < context_);
      if (token) return job.text->tokens.push_back(*token);
    } catch (const std::exception& error) {
      job.error = error.what();
    }
    job.done = true;
  }

  /// A text whose last token was computed, and the row of that token's state in the pass.
  struct Ready {
    Job* job;
    std::size_t row;
  };

  std::shared_ptr<const Model> model_;
  const LoadedModel& loaded_;
  const architectures::Config& config_;
  std::size_t context_;
  std::size_t parallel_;
  KvType kv_type_;
  Runner runner_;
  std::uint64_t page_bytes_ = 0;
  std::size_t max_pages_ = 0;
  std::optional<BatchRequest> next_;        // that there was no room for yet
  bool more_ = true;                        // requests to come
  std::vector<std::unique_ptr<Job>> jobs_;  // in progress, the oldest first
  std::deque<std::shared_ptr<Text>> kept_;  // finished, the oldest first
  std::vector<Segment> segments_;           // of the current pass
  std::vector<Ready> ready_;                // of the current pass
  std::vector<float> states_;               // (ready, dim)
  BatchProgress progress_;
};

}  // namespace engine

Batch::Batch(std::shared_ptr<const Model> model, const BatchOptions& options)
    : impl_(or_out_of_memory("a batch of this size",
                             [&] { return std::make_unique<engine::BatchImpl>(std::move(model), options); })) {}
Batch::~Batch() = default;
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;

bool Batch::run(const Callbacks& callbacks) {
  return or_out_of_memory("the texts of a batch", [&] { return impl_->run(callbacks); });
}
const BatchProgress& Batch::progress() const noexcept { return impl_->progress(); }
std::size_t Batch::parallel() const noexcept { return impl_->parallel(); }
std::size_t Batch::context() const noexcept { return impl_->context(); }
unsigned Batch::threads() const noexcept { return impl_->threads(); }

}  // namespace tern
