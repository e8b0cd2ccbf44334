#include "tools/chat_options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "tools/input.h"

namespace tern::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxTemplateBytes = std::size_t{1} << 20;

}  // namespace

void ChatFlags::declare(Command& cli, std::optional<Option> needs) {
  const Option with_system =
      cli.option("--system", system, "What the model is told before the first question").value_name("TEXT");
  const Option with_template =
      cli.option("--chat-template", chat_template,
                 fmt::format("Instead of the model's own: {}, or a file", fmt::join(ChatTemplate::names(), ", ")))
          .value_name("NAME|FILE");
  if (!needs) return;
  with_system.needs(*needs);
  with_template.needs(*needs);
}

std::optional<ChatTemplate> ChatFlags::given_template() const {
  if (chat_template.empty()) return std::nullopt;
  const auto names = ChatTemplate::names();
  if (std::ranges::find(names, chat_template) != names.end()) return ChatTemplate::named(chat_template);
  const std::string source = read_file(chat_template, kMaxTemplateBytes);
  try {
    return ChatTemplate::compile(source);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", chat_template, error.what()));
  }
}

ChatTemplate template_for(const Model& model, std::optional<ChatTemplate> given) {
  if (!given) given = chat_template(model);
  if (given) return *std::move(given);
  throw Error(
      ErrorKind::kInvalidArgument,
      fmt::format("{}: has no chat template: tern run goes on with a text, or --chat-template gives one ({}, or "
                  "a file)",
                  model.summary().path.string(), fmt::join(ChatTemplate::names(), ", ")));
}

void SessionFlag::declare(Command& cli, const std::string& help) {
  cli.option("--session", path, help).value_name("FILE");
}

void SessionFlag::load(Session& session) const {
  if (path.empty()) return;
  std::error_code ignored;
  if (fs::exists(path, ignored)) return session.load(path);
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty() && !fs::is_directory(folder, ignored)) {
    throw Error(ErrorKind::kIo, fmt::format("{}: cannot be written: {} is no folder", path, folder.string()));
  }
}

void SessionFlag::save(const Session& session) const {
  if (!path.empty()) session.save(path);
}

}  // namespace tern::tools
