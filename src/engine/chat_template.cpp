#include "src/engine/chat_template.h"

#include "src/chat/named_templates.h"
#include "src/engine/loaded_model.h"
#include "tern/chat.h"

namespace tern {
namespace engine {
namespace {

// Converters put a template into BitNet's files that has its turns begin with "Human" and "BITNETAssistant": the model
// never saw that.
constexpr std::string_view kBitnetMistake = "BITNETAssistant";

/// A key of another type counts as none: it is no reason to refuse the model.
std::optional<std::string_view> find_text(const format::Metadata& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata.entries()) {
    if (name != key) continue;
    const auto* text = std::get_if<std::string_view>(&value);
    return text == nullptr ? std::nullopt : std::optional(*text);
  }
  return std::nullopt;
}

}  // namespace

std::optional<TemplateSource> find_chat_template(const format::Metadata& metadata) {
  auto text = find_text(metadata, "tokenizer.chat_template");
  if (!text) text = find_text(metadata, "tokenizer.chat_template.default");
  if (!text) return std::nullopt;
  const std::string_view architecture = find_text(metadata, "general.architecture").value_or("");
  const bool is_bitnet = architecture == "bitnet" || architecture == "bitnet-b1.58" || architecture == "bitnet-25";
  if (is_bitnet && text->find(kBitnetMistake) != std::string_view::npos) {
    return TemplateSource{*chat::find_named_template("bitnet"),
                          "tokenizer.chat_template is a converter's default that the model was not trained with; chose "
                          "the template of BitNet b1.58 2B4T"};
  }
  return TemplateSource{*text, {}};
}

}  // namespace engine

std::optional<ChatTemplate> chat_template(const Model& model) {
  const auto source = engine::find_chat_template(model.loaded().gguf.metadata);
  if (!source) return std::nullopt;
  return ChatTemplate::compile(source->text);
}

}  // namespace tern
