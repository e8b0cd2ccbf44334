// tern run: continues a text.
#include <fmt/ranges.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "tern/tern.h"
#include "tools/chat_options.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/json.h"
#include "tools/model_options.h"
#include "tools/output.h"
#include "tools/sampling_options.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

constexpr const char* kExamples = R"(Examples:
  tern run "Once upon a time"
  tern run -m model.gguf -n 100 --temp 0 -f prompt.txt
  echo "The little boat" | tern run --seed 7 --stop "The end"
  tern run --json -p "One day" | jq -r .text
  tern run -m model.gguf --chat "Why is the sky blue?" --system "Be brief."
  tern run --session story.tern -f story.txt    # again with more text: starts at once

The text alone goes to standard output as it is produced, with a newline at its
end only on a terminal; notes and figures go to standard error. The same model,
prompt, options and seed give the same text with every kernel and any threads.
)";

struct RunOptions {
  ModelOptions model;
  ContextOptions context;
  GenerateOptions generate;
  SamplingFlags sampling;
  TextSource prompt;
  ChatFlags chat_flags;
  SessionFlag session;
  bool chat = false;
  bool echo = false;
  bool json = false;
  bool quiet = false;
};

void declare_options(Command& cli, RunOptions& options) {
  cli.footer(kExamples);
  options.model.declare_file(cli);
  options.prompt.declare(cli, "Text to continue");
  cli.option("-n,--max-tokens", options.generate.max_tokens, "Tokens to generate at most")
      .range(1, kMaxContext)
      .value_name("N")
      .show_default();
  const Option chat = cli.flag("--chat", options.chat, "Take the text as a question, in the model's chat template");
  options.chat_flags.declare(cli, chat);
  options.session.declare(cli,
                          "Go on from what FILE holds computed of the prompt, if it is there, and keep the rest in it");
  options.context.declare(cli);
  options.model.declare_kernels(cli);
  options.model.declare_cache(cli);
  options.sampling.declare(cli);
  cli.option("--stop", options.generate.stop, "End before this text; repeatable").value_name("TEXT").repeatable();
  cli.flag("--ignore-eos", options.generate.ignore_eos, "Go on after the model ends its answer");
  cli.flag("--lookup", options.generate.lookup,
           "Guess ahead where the text repeats itself: the same text, sooner if it does");
  const Option json = cli.flag("--json", options.json, "Print one JSON object instead of the text");
  cli.flag("--echo", options.echo, "Print the prompt too").excludes(chat).excludes(json);
  cli.flag("-q,--quiet", options.quiet, "No notes, progress or figures on standard error");
}

std::string read_prompt(const RunOptions& options) {
  std::string prompt = options.prompt.read();
  // Editors and echo end a file with a newline that its author does not see as part of the text.
  if (!options.prompt.is_argument() && prompt.ends_with('\n')) prompt.pop_back();
  return prompt;
}

double per_second(double amount, double seconds) { return seconds > 0.0 ? amount / seconds : 0.0; }

/// The tokens that the text begins with.
std::vector<Token> encode_prompt(const Model& model, const std::string& prompt, const RunOptions& options,
                                 std::optional<ChatTemplate> given_template) {
  if (!options.chat) return model.tokenizer().encode(prompt, {.add_special = true});
  std::vector<ChatMessage> messages;
  if (!options.chat_flags.system.empty()) messages.push_back({"system", options.chat_flags.system});
  messages.push_back({"user", prompt});
  return encode_chat(model.tokenizer(), template_for(model, std::move(given_template)), messages);
}

/// One line with what the run did and how fast, after a prompt of n_prompt tokens.
std::string describe(const Session& session, const GenerateResult& result, const RunOptions& options,
                     std::size_t n_prompt) {
  const SessionStats stats = session.stats();
  const ModelSummary& model = session.model().summary();
  const bool kept = options.session.is_given();
  const double prompt_rate = per_second(static_cast<double>(stats.prompt_tokens), stats.prompt_seconds);
  return fmt::format(
      "prompt {} tokens{}{}; generated {}, {:.1f} tok/s, {:.2f} GB/s; {} + {}, {}, head {}, threads {}{}; "
      "logits {:016x}\n",
      kept ? n_prompt : stats.prompt_tokens, kept ? fmt::format(" ({} reused)", result.n_reused) : "",
      prompt_rate > 0.0 ? fmt::format(", {:.1f} tok/s", prompt_rate) : "", result.tokens.size(),
      per_second(static_cast<double>(stats.decode_tokens), stats.decode_seconds),
      per_second(static_cast<double>(stats.decode_bytes) / 1e9, stats.decode_seconds), model.decode_kernel,
      model.prompt_kernel, model.float_kernel, model.head_type, session.threads(), options.model.remembered_note(),
      stats.logits_hash);
}

Json to_json(const Session& session, std::string_view prompt, const GenerateResult& result, const RunOptions& options) {
  const SessionStats stats = session.stats();
  const ModelSummary& model = session.model().summary();
  return {{"model", model.path.string()},
          {"prompt", prompt},
          {"text", result.text},
          {"tokens", result.tokens},
          {"finish_reason", to_string(result.reason)},
          {"seed", options.generate.sampling.seed},
          {"timings",
           {{"prompt_tokens", stats.prompt_tokens},
            {"reused_tokens", result.n_reused},
            {"prompt_seconds", stats.prompt_seconds},
            {"decode_tokens", stats.decode_tokens},
            {"decode_seconds", stats.decode_seconds},
            {"decode_bytes", stats.decode_bytes}}},
          {"kernels",
           {{"decode", model.decode_kernel},
            {"prompt", model.prompt_kernel},
            {"float", model.float_kernel},
            {"head", model.head_kernel}}},
          {"head", model.head_type},
          {"threads", session.threads()},
          {"remembered", options.model.uses_remembered_choice()},
          {"logits_hash", fmt::format("{:016x}", stats.logits_hash)}};
}

/// Generates, with the text on standard output as it comes unless it goes into a JSON object.
GenerateResult generate_and_print(Session& session, const std::vector<Token>& prompt, const RunOptions& options,
                                  std::string_view prompt_text) {
  const bool stream = !options.json;
  if (stream && options.echo) print(prompt_text);
  const GenerateResult result = generate_after(session, prompt, options.generate, [&](std::string_view text) {
    if (stream) print(text);
  });
  const bool line_is_open = !result.text.ends_with('\n');
  if (stream && line_is_open && ::isatty(STDOUT_FILENO) != 0) print("\n");
  return result;
}

int run(RunOptions options) {
  options.generate.sampling = options.sampling.options();
  options.generate.continues_text = !options.chat;
  auto given_template = options.chat_flags.given_template();
  const std::string prompt = read_prompt(options);
  options.model.use_remembered_choice();
  const auto model = options.model.load(options.quiet);
  const std::vector<Token> tokens = encode_prompt(*model, prompt, options, std::move(given_template));
  if (tokens.empty()) throw Error(ErrorKind::kInvalidArgument, "the prompt is empty, and this model needs a beginning");
  if (!options.quiet) options.context.print_note_if_too_long(*model);
  Session session(model, options.context.session_options(options.model.open.threads));
  options.session.load(session);

  const InterruptGuard interrupt;
  options.generate.keep_going = [&] { return !interrupt.requested(); };
  const GenerateResult result = generate_and_print(session, tokens, options, prompt);
  options.session.save(session);
  if (options.json) {
    print(to_line(to_json(session, prompt, result, options)));
  }
  if (!options.quiet) print_to_stderr(describe(session, result, options, tokens.size()));
  return result.reason == FinishReason::kCancelled ? InterruptGuard::status() : kSuccess;
}

}  // namespace

Action declare_run(Command& cli) {
  const auto options = std::make_shared<RunOptions>();
  declare_options(cli, *options);
  return [options] { return run(*options); };
}

}  // namespace tern::tools
