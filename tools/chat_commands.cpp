#include "tools/chat_commands.h"

#include <fmt/format.h>

#include <cstdlib>

#include "tern/error.h"
#include "tools/conversation_file.h"
#include "tools/output.h"

namespace tern::tools {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorKind::kInvalidArgument, message); }

/// "~/notes.json" as shells understand it.
std::string expand_home(std::string_view path) {
  const char* home = std::getenv("HOME");
  if (!path.starts_with("~/") || home == nullptr) return std::string(path);
  return home + std::string(path.substr(1));
}

std::string count_turns(const Conversation& c) {
  return fmt::format("{} {}", c.n_turns(), c.n_turns() == 1 ? "question" : "questions");
}

void say(std::string_view text) { print_to_stderr(fmt::format("{}\n", text)); }

void reset(Conversation& c, std::string_view /*argument*/) {
  c.reset();
  say("a new conversation begins");
}

void undo(Conversation& c, std::string_view /*argument*/) {
  if (!c.undo()) refuse("/undo: there is no question to take back");
  say(fmt::format("the last question and its answer are taken back: {} left", count_turns(c)));
}

void save(Conversation& c, std::string_view argument) {
  const std::string path = expand_home(argument);
  save_conversation(path, c);
  say(fmt::format("{} saved to {}", count_turns(c), one_line(path)));
}

void load(Conversation& c, std::string_view argument) {
  const std::string path = expand_home(argument);
  load_conversation(path, c);
  say(fmt::format("{} loaded from {}", count_turns(c), one_line(path)));
}

void set_system(Conversation& c, std::string_view argument) {
  c.set_system(argument);
  say(argument.empty() ? "no system message" : "the system message is set");
}

double per_second(std::size_t n_tokens, double seconds) {
  return seconds > 0.0 ? static_cast<double>(n_tokens) / seconds : 0.0;
}

void show_statistics(Conversation& c, std::string_view /*argument*/) {
  const Session& session = c.session();
  const SessionStats stats = session.stats();
  say(fmt::format("context  {} of {} tokens", session.position(), session.context()));
  say(fmt::format("prompt   {} tokens, {:.1f} tok/s; {} more were reused", stats.prompt_tokens,
                  per_second(stats.prompt_tokens, stats.prompt_seconds), c.n_reused()));
  say(fmt::format("decode   {} tokens, {:.1f} tok/s", stats.decode_tokens,
                  per_second(stats.decode_tokens, stats.decode_seconds)));
}

void show_help(Conversation& /*c*/, std::string_view /*argument*/) { print_to_stderr(describe_chat_commands()); }

enum class Argument { kNone, kOptional, kNeeded };

struct Command {
  std::string_view name;
  std::string_view argument_name;  // in help
  Argument argument;
  std::string_view help;
  void (*run)(Conversation& conversation, std::string_view argument);  // null: leaves
};

constexpr Command kCommands[] = {
    {"help", "", Argument::kNone, "list the commands", show_help},
    {"reset", "", Argument::kNone, "begin a new conversation; the system message stays", reset},
    {"undo", "", Argument::kNone, "take back the last question and its answer", undo},
    {"save", "FILE", Argument::kNeeded, "write the conversation to a file, as JSON", save},
    {"load", "FILE", Argument::kNeeded, "go on with a conversation from such a file", load},
    {"stats", "", Argument::kNone, "tokens in the context, speed, tokens reused", show_statistics},
    {"system", "TEXT", Argument::kOptional, "set the system message; without TEXT, remove it", set_system},
    {"quit", "", Argument::kNone, "leave", nullptr},
};

const Command& find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return command;
  }
  refuse(fmt::format("no command /{}: /help lists them, // sends a line that begins with /", one_line(name)));
}

}  // namespace

ChatLine parse_chat_line(std::string_view line) {
  if (!line.starts_with('/')) return {false, std::string(line)};
  return {!line.starts_with("//"), std::string(line.substr(1))};
}

bool run_chat_command(std::string_view command, Conversation& conversation) {
  constexpr std::string_view kBlanks = " \t\n";
  const std::string_view name = command.substr(0, command.find_first_of(kBlanks));
  std::string_view argument = command.substr(name.size());
  argument.remove_prefix(std::min(argument.find_first_not_of(kBlanks), argument.size()));
  argument = argument.substr(0, argument.find_last_not_of(kBlanks) + 1);
  const Command& found = find_command(name);
  if (found.argument == Argument::kNone && !argument.empty()) {
    refuse(fmt::format("/{} takes no argument, found '{}'", name, one_line(argument)));
  }
  if (found.argument == Argument::kNeeded && argument.empty()) {
    refuse(fmt::format("/{0} needs an argument: /{0} {1}", name, found.argument_name));
  }
  if (found.run == nullptr) return false;
  found.run(conversation, argument);
  return true;
}

std::string describe_chat_commands() {
  std::string text;
  for (const Command& command : kCommands) {
    text += fmt::format("  {:<14}{}\n", fmt::format("/{} {}", command.name, command.argument_name), command.help);
  }
  return text;
}

}  // namespace tern::tools
