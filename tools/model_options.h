#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "tern/tern.h"
#include "tools/command_line.h"

namespace tern::tools {

inline constexpr unsigned kMaxThreads = 1024;
inline constexpr std::size_t kMaxContext = std::size_t{1} << 31;  // tokens

/// Which model, and how it is read. Shared by the commands that need one.
struct ModelOptions {
  std::string path;  ///< empty: TERN_MODEL, else the bundled model
  std::string i2s_layout = "128";
  std::string head = "int8";
  OpenOptions open;

  /// Adds -m and --pre, and returns the first. `names`: of that, e.g. to make it positional too.
  Option declare_file(Command& cli, const std::string& names = "-m,--model");
  /// Adds --kernel, --head, --i2s-layout and -t.
  void declare_kernels(Command& cli);
  /// Adds --cache and --cache-size, which load() heeds.
  void declare_cache(Command& cli);

  /// The model that -m or TERN_MODEL names; empty when none does.
  [[nodiscard]] std::string named_path() const;
  /// Errors    Error(kInvalidArgument): no model was named and none is bundled
  [[nodiscard]] std::string resolved_path() const;
  [[nodiscard]] OpenOptions open_options() const;
  /// Takes the kernels and threads that `tern bench --sweep --remember` found best for this model, where the command
  /// line names neither. They change speed only.
  void use_remembered_choice();
  /// Whether it found some.
  [[nodiscard]] bool uses_remembered_choice() const noexcept { return remembered_; }
  /// The same for a line of figures, to follow the threads: " (...)" or nothing.
  [[nodiscard]] std::string_view remembered_note() const noexcept {
    return remembered_ ? " (kernels and threads as remembered by tern bench)" : "";
  }
  /// Opens the model, with a progress bar and the model's notes unless `quiet`.
  [[nodiscard]] std::shared_ptr<const Model> load(bool quiet) const;

 private:
  bool uses_cache_ = false;
  double cache_gib_ = 20.0;
  Option threads_;
  Option kernel_;
  bool remembered_ = false;
};

/// How a session over the model is made.
struct ContextOptions {
  std::size_t context = 0;
  std::string kv = "f16";
  std::size_t batch = SessionOptions{}.batch;

  /// Adds -c and --kv, which decide on the memory of the KV cache.
  void declare_memory(Command& cli);
  /// Adds -c, --kv and --batch.
  void declare(Command& cli);
  [[nodiscard]] SessionOptions session_options(unsigned threads) const;
  /// Remarks on standard error that the context is longer than the model was trained for, if it is.
  void print_note_if_too_long(const Model& model) const;
};

/// The model that comes with tern, or an empty string when this installation has none.
[[nodiscard]] std::string bundled_model();

}  // namespace tern::tools
