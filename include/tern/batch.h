#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tern/generate.h"
#include "tern/model.h"
#include "tern/session.h"

namespace tern {

/// One text to generate among many.
struct BatchRequest {
  std::uint64_t id = 0;  ///< the caller's own; comes back with the result
  std::vector<Token> prompt;
  /// `keep_going` and `lookup` are not used.
  GenerateOptions options;
};

struct BatchResult {
  std::uint64_t id = 0;
  std::size_t prompt_tokens = 0;
  std::size_t shared_tokens = 0;  ///< of the prompt, that other texts had computed already
  GenerateResult generated;
  /// Why there is no result: a prompt that does not fit, an option out of its range.
  std::optional<std::string> error;
};

struct BatchOptions {
  /// Texts in progress at most; 0 = as many as pay off.
  std::size_t parallel = 0;
  /// Bytes of keys and values of all texts at most; 0 = half of what the machine has left.
  std::uint64_t memory_bytes = 0;
  /// Tokens of one text at most; 0 = what the model was trained for.
  std::size_t context = 0;
  KvType kv_type = KvType::kF16;
  /// 0 = physical cores.
  unsigned threads = 0;
};

/// What a batch has done so far.
struct BatchProgress {
  std::size_t n_done = 0;         ///< results handed out
  std::size_t n_active = 0;       ///< texts in progress
  std::size_t prompt_tokens = 0;  ///< computed
  std::size_t shared_tokens = 0;  ///< of prompts, that did not have to be
  std::size_t generated_tokens = 0;
  std::size_t n_passes = 0;  ///< through the model
  double seconds = 0.0;      ///< in these passes and in sampling
};

namespace engine {
class BatchImpl;
}

/// Generates many texts at once: each pass through the model reads the weights once for all texts in progress. Texts
/// join and leave at any pass; the prompt of a new one is computed in parts, so that the others go on; a beginning that
/// several prompts share is computed once, and stored once as far as it fills whole pages of the KV cache.
///
/// Threads   one caller at a time
/// Exact     a text is that of generate() in a session of its own, whatever runs beside it
class Batch {
 public:
  /// Errors    Error: kInvalidArgument (options beyond what the machine gives)
  explicit Batch(std::shared_ptr<const Model> model, const BatchOptions& options = {});
  ~Batch();
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;

  struct Callbacks {
    /// The next text to generate, or nothing when there are no more. Asked only when there is room for one.
    std::function<std::optional<BatchRequest>()> next;
    /// A finished text, in the order in which they finish.
    std::function<void(BatchResult)> on_result;
    /// Asked after every pass; false ends the run, and the texts in progress have no results. May be empty.
    std::function<bool(const BatchProgress&)> keep_going = {};
  };

  /// Runs until there are no more texts. Returns false when keep_going() said so.
  bool run(const Callbacks& callbacks);

  [[nodiscard]] const BatchProgress& progress() const noexcept;
  [[nodiscard]] std::size_t parallel() const noexcept;  ///< texts in progress at most, decided
  [[nodiscard]] std::size_t context() const noexcept;   ///< tokens of one text at most
  [[nodiscard]] unsigned threads() const noexcept;

 private:
  std::unique_ptr<engine::BatchImpl> impl_;
};

}  // namespace tern
