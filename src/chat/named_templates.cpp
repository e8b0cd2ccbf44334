#include "src/chat/named_templates.h"

#include "src/base/check.h"
#include "src/base/printable.h"
#include "tern/chat.h"

namespace tern {
namespace chat {
namespace {

// The template that BitNet b1.58 2B4T was trained with.
constexpr std::string_view kBitnet =
    "{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

// Turns between control tokens that name their role, as many instruction-tuned models have them.
constexpr std::string_view kChatml =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

// The turns of Llama 3's instruction-tuned models, without their lines about dates.
constexpr std::string_view kLlama3 =
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

// No control tokens at all: for models that were trained on plain text.
constexpr std::string_view kPlain =
    "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content | trim }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}";

constexpr NamedTemplate kTemplates[] = {
    {"bitnet", kBitnet},
    {"chatml", kChatml},
    {"llama3", kLlama3},
    {"plain", kPlain},
};

}  // namespace

std::span<const NamedTemplate> named_templates() noexcept { return kTemplates; }

std::optional<std::string_view> find_named_template(std::string_view name) noexcept {
  for (const NamedTemplate& known : kTemplates) {
    if (known.name == name) return known.source;
  }
  return std::nullopt;
}

}  // namespace chat

ChatTemplate ChatTemplate::named(std::string_view name) {
  const auto source = chat::find_named_template(name);
  if (!source) fail(ErrorKind::kInvalidArgument, "no chat template is known as '{}'", printable(name));
  return compile(*source);
}

std::vector<std::string_view> ChatTemplate::names() {
  std::vector<std::string_view> names;
  for (const chat::NamedTemplate& known : chat::named_templates()) names.push_back(known.name);
  return names;
}

}  // namespace tern
