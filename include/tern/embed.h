#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tern/model.h"
#include "tern/session.h"

namespace tern {

/// How the final states of a text's tokens become one vector.
enum class Pooling {
  kLast,  ///< that of the last token
  kMean,  ///< their mean
};

struct EmbedOptions {
  /// Nothing: what the model's file says; the last token where it says nothing, and for models with a norm before every
  /// projection (BitNet-embedding), whose files name the mean though they were trained with the last.
  std::optional<Pooling> pooling = {};
  /// Scale every vector to length 1.
  bool normalize = true;
  /// Cut texts that are longer than the context, an EOS that the model adds stays; otherwise they are an error.
  bool truncate = false;
  /// Tokens of one text at most; 0 = what the model was trained for.
  std::size_t context = 0;
  KvType kv_type = KvType::kF16;
  /// 0 = physical cores.
  unsigned threads = 0;
  /// Bytes of keys and values of all texts in progress at most; 0 = half of what the machine has left.
  std::uint64_t memory_bytes = 0;
};

struct Embedding {
  std::vector<float> values;  ///< (dim)
  std::size_t n_tokens = 0;
};

namespace engine {
class EmbedderImpl;
}

/// Turns texts into vectors whose directions tell how much the texts have to do with each other. Several texts are
/// computed together, which reads the weights once for all of them.
///
/// Any model will do, but only those that were trained for it give vectors worth comparing. The output head is not
/// used: open the model with HeadType::kFile.
///
/// Threads   one caller at a time
/// Exact     a text's vector does not depend on the texts beside it, nor on threads or instruction set
class Embedder {
 public:
  /// Errors    Error: kInvalidArgument (options beyond what the machine gives); kUnsupported (the file asks for a
  ///           pooling that is none of these, and the options for none)
  explicit Embedder(std::shared_ptr<const Model> model, const EmbedOptions& options = {});
  ~Embedder();
  Embedder(Embedder&&) noexcept;
  Embedder& operator=(Embedder&&) noexcept;

  /// A text's tokens, with BOS and EOS as the model wants them.
  ///
  /// Errors    Error: kInvalidArgument (no tokens, or more than the context holds)
  [[nodiscard]] std::vector<Token> encode(std::string_view text) const;

  /// The vectors of some texts, (n_texts, dim).
  ///
  /// Errors    Error: kInvalidArgument (as encode(), or more tokens than the memory allows)
  [[nodiscard]] std::vector<float> embed(std::span<const std::string> texts);

  struct Callbacks {
    /// The tokens of the next text, or nothing when there are no more. Asked only when there is room for one.
    std::function<std::optional<std::vector<Token>>()> next;
    /// The vectors, in the order of the texts.
    std::function<void(Embedding)> on_result;
    /// Asked after every pass through the model; false ends the run. May be empty.
    std::function<bool()> keep_going = {};
  };
  /// Runs until there are no more texts, with memory for some of them at a time. Returns false when keep_going() said
  /// so.
  ///
  /// Errors    Error: kInvalidArgument (a text that encode() would not give, or more tokens than the memory allows)
  bool run(const Callbacks& callbacks);

  [[nodiscard]] std::size_t dim() const noexcept;      ///< of a vector
  [[nodiscard]] std::size_t context() const noexcept;  ///< tokens of one text at most
  [[nodiscard]] Pooling pooling() const noexcept;      ///< decided
  [[nodiscard]] unsigned threads() const noexcept;

 private:
  std::unique_ptr<engine::EmbedderImpl> impl_;
};

/// The cosine of the angle between two vectors of the same length: 1 for the same direction; 0 where one is zero.
[[nodiscard]] double cosine_similarity(std::span<const float> a, std::span<const float> b);

}  // namespace tern
