#pragma once

#include <optional>
#include <string>

#include "tern/tern.h"
#include "tools/command_line.h"

namespace tern::tools {

/// How a conversation becomes text.
struct ChatFlags {
  std::string system;
  std::string chat_template;  ///< a name or a file; empty: the model's own

  /// Adds --system and --chat-template. `needs`: an option without which they make no sense.
  void declare(Command& cli, std::optional<Option> needs = std::nullopt);
  /// What --chat-template names, before a model is read; nothing without it.
  ///
  /// Errors    Error(kIo); Error(kBadFile), Error(kUnsupported): no template that tern can carry out
  [[nodiscard]] std::optional<ChatTemplate> given_template() const;
};

/// `given`, else the model's own template.
///
/// Errors    Error(kInvalidArgument): neither is there
[[nodiscard]] ChatTemplate template_for(const Model& model, std::optional<ChatTemplate> given);

/// Where a session's computations are kept between runs.
struct SessionFlag {
  std::string path;  ///< empty: nowhere

  void declare(Command& cli, const std::string& help);
  [[nodiscard]] bool is_given() const noexcept { return !path.empty(); }
  /// Reads the file if it is there.
  ///
  /// Errors    as Session::load(); Error(kIo): it could not be written later
  void load(Session& session) const;
  /// Errors    as Session::save()
  void save(const Session& session) const;
};

}  // namespace tern::tools
