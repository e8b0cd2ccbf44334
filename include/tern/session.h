#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "tern/model.h"

namespace tern {

/// Number type of the KV cache.
enum class KvType {
  kF16,
  kF32,
  kInt8,  ///< one scale per token and head; half of the memory of kF16
};

struct SessionOptions {
  /// Tokens that the session can hold; 0 = what the model was trained for.
  std::size_t context = 0;
  KvType kv_type = KvType::kF16;
  /// 0 = physical cores.
  unsigned threads = 0;
  /// Tokens of a prompt computed together. Changes speed and memory, never a result.
  std::size_t batch = 256;
};

/// What a session has done so far.
struct SessionStats {
  std::size_t prompt_tokens = 0;  ///< tokens computed two or more at a time, but by evaluate_rows()
  double prompt_seconds = 0.0;
  std::size_t decode_tokens = 0;  ///< tokens computed one at a time, or by evaluate_rows() and not taken back at once
  double decode_seconds = 0.0;
  std::uint64_t decode_bytes = 0;  ///< weights and KV cache read while decoding
  std::uint64_t logits_hash = 0;   ///< FNV-1a of the bytes of the last logits; 0 before any
};

namespace engine {
class SessionImpl;
}

/// One text in progress: KV cache, position and scratch memory over a shared model.
///
/// Threads   one caller at a time; it runs its own pool of workers
/// Exact     the logits depend on model, tokens and kv_type only, not on threads, batch or instruction set
class Session {
 public:
  /// Errors    Error: kInvalidArgument (context, batch or threads beyond what the machine gives)
  explicit Session(std::shared_ptr<const Model> model, const SessionOptions& options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  /// Appends tokens and returns the logits after the last one, (vocab_size); valid until the next call.
  ///
  /// `keep_going` is asked between batches; when it says false the call returns early with an empty span and the
  /// session holds only whole batches.
  /// Errors    Error: kInvalidArgument (no tokens, a token out of range, more than the context holds: the session is
  ///           as before; no memory for the KV cache: it holds whole batches of the tokens); kBadFile (a file
  ///           of the model was truncated meanwhile: whole batches too)
  std::span<const float> evaluate(std::span<const Token> tokens, const std::function<bool()>& keep_going = {});

  /// As evaluate(), and hands out the logits after every token, in order: (index in tokens, (vocab_size)).
  void evaluate_all(std::span<const Token> tokens,
                    const std::function<void(std::size_t index, std::span<const float> logits)>& on_logits);

  /// As evaluate(), and returns the logits after every token, (n_tokens, vocab_size); valid until the next call.
  std::span<const float> evaluate_rows(std::span<const Token> tokens);

  /// Forgets everything after the first `n_tokens` tokens.
  ///
  /// Errors    Error: kInvalidArgument (more than are held); the session is as before
  void rewind(std::size_t n_tokens);

  /// Writes the text and what was computed of it to a file, for a session of the same model and KV type to go on with.
  ///
  /// Errors    Error: kIo
  void save(const std::filesystem::path& path) const;
  /// Replaces the text by a saved one.
  ///
  /// Errors    Error: kIo; kBadFile (truncated, changed, something else); kUnsupported (another model or KV type);
  ///           kInvalidArgument (longer than the context); the session is as before
  void load(const std::filesystem::path& path);

  [[nodiscard]] std::span<const Token> tokens() const noexcept;  ///< held, in order
  [[nodiscard]] std::size_t position() const noexcept;           ///< how many
  [[nodiscard]] std::size_t context() const noexcept;            ///< tokens that fit
  [[nodiscard]] unsigned threads() const noexcept;
  /// Computes the hash of the last logits, which takes a millisecond for a large vocabulary.
  [[nodiscard]] SessionStats stats() const noexcept;
  [[nodiscard]] const Model& model() const noexcept;

 private:
  friend std::span<const float> evaluate_together(std::span<Session* const> sessions, std::span<const Token> tokens);

  std::unique_ptr<engine::SessionImpl> impl_;
};

/// Appends one token to each of several texts in one pass, which reads the weights once for all of them: token i to
/// session i. Returns the logits after each, (n_sessions, vocab_size); valid until the next call of the first session,
/// whose threads and batch do the work and whose statistics count it.
///
/// Requires  sessions of one model, no two the same; contexts and KV types may differ
/// Errors    Error: kInvalidArgument (none of the above, or what Session::evaluate() refuses); nothing is changed then
/// Exact     the same logits as each session's own evaluate()
std::span<const float> evaluate_together(std::span<Session* const> sessions, std::span<const Token> tokens);

}  // namespace tern
