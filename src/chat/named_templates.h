#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace tern::chat {

/// A chat template that is known by name.
struct NamedTemplate {
  std::string_view name;
  std::string_view source;
};

[[nodiscard]] std::span<const NamedTemplate> named_templates() noexcept;

/// The source of one; none if the name is not known.
[[nodiscard]] std::optional<std::string_view> find_named_template(std::string_view name) noexcept;

}  // namespace tern::chat
