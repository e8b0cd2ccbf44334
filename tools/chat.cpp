// tern chat: questions and answers with a model, in turn.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <optional>

#include "tern/tern.h"
#include "tools/chat_commands.h"
#include "tools/chat_options.h"
#include "tools/command.h"
#include "tools/conversation_file.h"
#include "tools/interrupt.h"
#include "tools/line_input.h"
#include "tools/model_options.h"
#include "tools/output.h"
#include "tools/sampling_options.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr const char* kExamples = R"(Examples:
  tern chat -m model.gguf
  tern chat -m model.gguf --system "Answer in one sentence." --temp 0.5
  tern chat -m model.gguf --session work.tern    # goes on where it was left
  printf 'Who are you?\nWhy?\n' | tern chat -m model.gguf -q > answers.txt

A line is a question; one that ends in a backslash goes on in the next. Ctrl-C stops
an answer, which stays as far as it came; at the prompt it clears the line, and a
second one leaves, as does Ctrl-D. Lines that begin with / are commands:
)";

constexpr const char* kMoreHelp = R"(
A line that begins with // is a question that begins with /. Answers go to standard
output, all else to standard error. Without a terminal every line of standard input
is taken as it is, and the status is that of the first line that went wrong. Lines
typed into a terminal are kept in ~/.local/state/tern/history.
)";

struct ChatCommandOptions {
  ModelOptions model;
  ContextOptions context;
  GenerateOptions generate = {.max_tokens = 1024};
  SamplingFlags sampling;
  ChatFlags chat;
  SessionFlag session;
  bool quiet = false;
};

/// The texts before a line that is typed.
struct Prompts {
  std::string first = "> ";
  std::string more = ". ";
};

Prompts make_prompts() {
  const char* terminal = std::getenv("TERM");
  const bool has_colours = terminal != nullptr && std::string_view(terminal) != "dumb";
  if (!has_colours || std::getenv("NO_COLOR") != nullptr) return {};
  return {"\x1b[1;32m>\x1b[0m ", "\x1b[1;32m.\x1b[0m "};  // libedit loses an escape sequence at the end
}

void say(std::string_view text) { print_to_stderr(fmt::format("{}\n", text)); }

/// The conversation of --session, beside what was computed of it.
class KeptConversation {
 public:
  KeptConversation(const SessionFlag& flag, Conversation& conversation)
      : path_(flag.is_given() ? flag.path + ".json" : ""), conversation_(conversation) {}

  void load() {
    std::error_code ignored;
    if (!path_.empty() && std::filesystem::exists(path_, ignored)) load_conversation(path_, conversation_);
  }
  void save() const {
    if (!path_.empty()) save_conversation(path_, conversation_);
  }

 private:
  std::string path_;
  Conversation& conversation_;
};

/// Reads, answers, reads again. What a terminal adds is here as well: prompts, and Ctrl-C as an event.
class ChatLoop {
 public:
  /// `signals`: null without a terminal.
  ChatLoop(const ChatCommandOptions& options, Conversation& conversation, LineInput& input, TerminalSignals* signals)
      : options_(options),
        conversation_(conversation),
        kept_(options.session, conversation),
        input_(input),
        signals_(signals) {
    kept_.load();
    if (!options.chat.system.empty()) conversation.set_system(options.chat.system);
  }

  /// Returns the exit status.
  int run() {
    while (const auto text = read_text()) {
      if (text->find_first_not_of(" \t\r\n") == std::string::npos) continue;
      const ChatLine line = parse_chat_line(*text);
      try {
        const bool goes_on = line.is_command ? run_chat_command(line.text, conversation_) : answer(line.text);
        kept_.save();
        if (!goes_on) break;
      } catch (const Error& error) {
        const bool is_output_lost = !line.is_command && error.kind() == ErrorKind::kIo;
        if (is_output_lost) throw;
        print_error(error.what());
        if (status_ == kSuccess && signals_ == nullptr) status_ = status_of(error.kind());
      }
    }
    return status_;
  }

 private:
  /// One line, with those that it goes on in; nothing when there are no more.
  std::optional<std::string> read_text() {
    std::string text;
    while (true) {
      const InputLine line = input_.next(text.empty() ? prompts_.first : prompts_.more);
      if (line.end == InputLine::End::kNoMore) return text.empty() ? std::nullopt : std::optional(text);
      if (line.end == InputLine::End::kInterrupted) {
        const bool was_empty = text.empty() && line.text.empty();
        if (was_interrupted_ && was_empty) return std::nullopt;
        was_interrupted_ = true;
        text.clear();
        if (!options_.quiet) say("(Ctrl-C again, or Ctrl-D, leaves)");
        continue;
      }
      was_interrupted_ = false;
      text += line.text;
      if (text.ends_with('\r')) text.pop_back();
      if (!text.ends_with('\\')) return text;
      text.back() = '\n';
    }
  }

  /// False when the chat is to end.
  bool answer(std::string_view question) {
    const std::optional<InterruptGuard> guard =
        signals_ == nullptr ? std::optional<InterruptGuard>(std::in_place) : std::nullopt;
    if (signals_ != nullptr) signals_->forget();
    GenerateOptions generate = options_.generate;
    generate.keep_going = [&] { return guard ? !guard->requested() : !signals_->interrupted(); };
    const GenerateResult result = conversation_.ask(question, generate, [](std::string_view text) { print(text); });
    if (result.reason == FinishReason::kContext && result.tokens.empty()) {
      throw Error(ErrorKind::kInvalidArgument,
                  fmt::format("the context of {} tokens is full: /reset begins a new conversation, /undo takes back "
                              "the last question, -c N makes the context larger",
                              conversation_.session().context()));
    }
    if (!result.text.ends_with('\n')) print("\n");
    if (!options_.quiet) explain_end(result);
    if (signals_ != nullptr) {
      print_to_stderr("\n");
      signals_->forget();  // Ctrl-C pressed twice stops the answer, and does not leave
    }
    if (result.reason != FinishReason::kCancelled || signals_ != nullptr) return true;
    status_ = InterruptGuard::status();
    return false;
  }

  /// Says why an answer is not whole.
  void explain_end(const GenerateResult& result) const {
    if (result.reason == FinishReason::kCancelled) {
      say(result.tokens.empty() ? "(stopped before the answer: the question is taken back)"
                                : "(stopped: the answer stays as far as it came)");
    } else if (result.reason == FinishReason::kLength) {
      say(fmt::format("(cut after {} tokens: -n N allows more)", result.tokens.size()));
    } else if (result.reason == FinishReason::kContext) {
      say(fmt::format("(the context of {} tokens is full: /reset begins a new conversation, -c N makes it larger)",
                      conversation_.session().context()));
    }
  }

  const ChatCommandOptions& options_;
  Conversation& conversation_;
  KeptConversation kept_;
  LineInput& input_;
  TerminalSignals* signals_;
  Prompts prompts_ = make_prompts();
  bool was_interrupted_ = false;  // by the last thing that was typed
  int status_ = kSuccess;
};

/// A conversation that keeps to the time at which it began: a template that prints the date says the same every turn.
ChatOptions options_of_now() {
  const std::time_t now = std::time(nullptr);
  std::tm date{};
  localtime_r(&now, &date);
  return {.now = date};
}

int chat_on_terminal(const ChatCommandOptions& options, Conversation& conversation) {
  TerminalSignals signals;
  LineHistory history(history_file());
  const auto input = make_terminal_input(signals, history);
  ChatLoop loop(options, conversation, *input, &signals);
  if (!options.quiet) {
    const ModelSummary& model = conversation.session().model().summary();
    const std::string name = model.name.empty() ? model.path.filename().string() : model.name;
    say(fmt::format("{}, context {} tokens. /help lists commands, Ctrl-D leaves.", one_line(name),
                    conversation.session().context()));
    if (conversation.n_turns() > 0) {
      say(fmt::format("Going on after {} question{}.", conversation.n_turns(), conversation.n_turns() == 1 ? "" : "s"));
    }
  }
  return loop.run();
}

int run(ChatCommandOptions options) {
  options.generate.sampling = options.sampling.options();
  auto given_template = options.chat.given_template();
  options.model.use_remembered_choice();
  const auto model = options.model.load(options.quiet);
  check_predicts(*model);
  ChatTemplate chat_template = template_for(*model, std::move(given_template));
  if (!options.quiet) options.context.print_note_if_too_long(*model);
  Session session(model, options.context.session_options(options.model.open.threads));
  options.session.load(session);
  Conversation conversation(session, std::move(chat_template), options_of_now());

  const bool on_terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
  const int status = on_terminal ? chat_on_terminal(options, conversation)
                                 : ChatLoop(options, conversation, *make_plain_input(), nullptr).run();
  options.session.save(session);
  return status;
}

}  // namespace

Action declare_chat(Command& cli) {
  const auto options = std::make_shared<ChatCommandOptions>();
  cli.footer(kExamples + describe_chat_commands() + kMoreHelp);
  options->model.declare_file(cli);
  options->chat.declare(cli);
  options->session.declare(cli, "Keep the conversation in FILE.json, and what was computed of it in FILE");
  cli.option("-n,--max-tokens", options->generate.max_tokens, "Tokens of an answer at most")
      .range(1, kMaxContext)
      .value_name("N")
      .show_default();
  options->context.declare(cli);
  options->model.declare_kernels(cli);
  options->model.declare_cache(cli);
  options->sampling.declare(cli);
  cli.option("--stop", options->generate.stop, "End an answer before this text; repeatable")
      .value_name("TEXT")
      .repeatable();
  cli.flag("-q,--quiet", options->quiet, "No notes or progress on standard error");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
