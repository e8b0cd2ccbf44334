// tern batch: generates a text for every record of a file.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <unordered_set>

#include "tern/tern.h"
#include "tools/batch_log.h"
#include "tools/batch_record.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/model_options.h"
#include "tools/output.h"
#include "tools/sampling_options.h"
#include "tools/shard.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kExamples = R"(Examples:
  tern batch -i prompts.jsonl -o results.jsonl
  tern batch -m model.gguf -i chats.jsonl -o results.jsonl --parallel 32 --memory 4G
  tern batch -i prompts.jsonl -o results.jsonl --resume     # after a crash, or Ctrl-C
  printf '{"prompt": "One day"}\n' | tern batch -i - -o - --seed 3 | jq -r .text
  mpirun -n 4 tern batch -i in.jsonl -o out-{shard}.jsonl --shard auto -t 1

A record is one line of JSON: {"prompt": "..."} or {"messages": [{"role": "user",
"content": "..."}]}, and what it may say besides: id, max_tokens, stop, seed,
temperature, top_k, top_p, min_p, repeat_penalty, frequency_penalty,
presence_penalty, penalty_window, logit_bias, ignore_eos, logprobs. What it does
not say is as in the options. A result is one line: line, id, text, finish_reason,
prompt_tokens, generated_tokens and perhaps logprobs; or line, id and error. Empty
lines are passed over.

A record that cannot be carried out has an error of its own, and the others go on:
no JSON or not UTF-8, an unknown field, a value of the wrong type or out of range,
a prompt that is empty (where the model adds no beginning) or longer than the
context, an id that was there before. The status is then 5. A full disk, a reader
that went away or a kill end the run; whole results stay, and --resume goes on with
them. It refuses another model, other options, and other ids on lines that are done.

A text depends on its record, the model and the options alone: not on --parallel,
threads, order, shards or --resume. The results of shards belong together:
  sort -t: -k2n out-*.jsonl > out.jsonl
)";

struct Options {
  ModelOptions model;
  ContextOptions context;
  SamplingFlags sampling;
  GenerateOptions generate;
  std::string input = "-";
  std::string output = "-";
  std::string parallel = "auto";
  std::string memory = "auto";
  std::string shard = "1/1";
  bool resume = false;
  bool force = false;
  bool unordered = false;
  bool quiet = false;
};

/// "4G" in bytes; "auto" is 0.
std::uint64_t parse_memory(std::string_view text) {
  if (text == "auto") return 0;
  constexpr std::string_view kUnits = "KMGT";
  const std::size_t unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
  const bool has_unit = unit != std::string_view::npos;
  const auto number = parse_number<std::size_t>(has_unit ? text.substr(0, text.size() - 1) : text);
  const std::size_t shift = has_unit ? 10 * (unit + 1) : 0;
  if (!number || *number == 0 || *number > (std::uint64_t{1} << 60) >> shift) {
    throw Error(ErrorKind::kInvalidArgument,
                fmt::format("--memory: expected bytes such as 800M or 4G, or auto, found '{}'", one_line(text)));
  }
  return std::uint64_t{*number} << shift;
}

std::size_t parse_parallel(std::string_view text) {
  if (text == "auto") return 0;
  const auto number = parse_number<std::size_t>(text);
  if (number && *number > 0) return *number;
  throw Error(ErrorKind::kInvalidArgument,
              fmt::format("--parallel: expected a number of texts or auto, found '{}'", one_line(text)));
}

/// The file of this shard's results.
std::string output_of(const Options& options, const Shard& shard) {
  constexpr std::string_view kPlace = "{shard}";
  std::string path = options.output;
  const std::size_t at = path.find(kPlace);
  if (at != std::string::npos) {
    path.replace(at, kPlace.size(), shard.name());
  } else if (shard.count > 1 && path != "-") {
    throw Error(ErrorKind::kInvalidArgument,
                "--shard: each needs a file of its own: put {shard} into the name after -o");
  }
  return path;
}

/// What results depend on, besides their records.
Json run_of(const Options& options, const Model& model, const Shard& shard) {
  const SamplingOptions& s = options.generate.sampling;
  Json biases = Json::array();
  for (const auto& [token, bias] : s.logit_bias) biases.push_back({token, bias});
  return {{"model", fmt::format("{:016x}", model.fingerprint())},
          {"head", model.summary().head_type},
          {"pre", model.tokenizer().pre_rule()},
          {"kv", options.context.kv},
          {"context", options.context.context},
          {"max_tokens", options.generate.max_tokens},
          {"stop", options.generate.stop},
          {"ignore_eos", options.generate.ignore_eos},
          {"temperature", s.temperature},
          {"top_k", s.top_k},
          {"top_p", s.top_p},
          {"min_p", s.min_p},
          {"repeat_penalty", s.repeat_penalty},
          {"frequency_penalty", s.frequency_penalty},
          {"presence_penalty", s.presence_penalty},
          {"penalty_window", s.penalty_window},
          {"seed", s.seed},
          {"logit_bias", biases},
          {"shard", shard.name()}};
}

std::vector<ChatMessage> messages_of(const Json& json) {
  std::vector<ChatMessage> messages;
  for (Json message : json) {
    ChatMessage& m = messages.emplace_back(ChatMessage{message["role"], message["content"]});
    message.erase("role");
    message.erase("content");
    if (!message.empty()) m.more_json = message.dump();
  }
  return messages;
}

/// A line on a terminal that is drawn again and again; elsewhere a new one now and then.
class BatchProgressLine {
 public:
  BatchProgressLine(bool quiet, std::optional<std::size_t> total)
      : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) != 0), total_(total) {}

  void update(const BatchProgress& p, std::size_t n_results) {
    const auto now = Clock::now();
    if (quiet_ || now - last_ < (terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(10))) return;
    last_ = now;
    const std::chrono::duration<double> seconds = now - start_;
    std::string line = total_ ? fmt::format("{}/{} records", n_results, *total_) : fmt::format("{} records", n_results);
    line += fmt::format(", {} at once, {:.0f} tok/s", p.n_active,
                        static_cast<double>(p.generated_tokens) / std::max(seconds.count(), 1e-9));
    if (total_ && n_results > 0) {
      const double left = seconds.count() / static_cast<double>(n_results) * static_cast<double>(*total_ - n_results);
      line += fmt::format(", {:.0f} s left", left);
    }
    print_to_stderr(terminal_ ? "\r\x1b[K" + line : line + "\n");
    drawn_ = terminal_;
  }
  void finish() {
    if (drawn_) print_to_stderr("\r\x1b[K");
    drawn_ = false;
  }

 private:
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  std::optional<std::size_t> total_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

/// One run of the command, from the model's being there.
class BatchRun {
 public:
  BatchRun(const Options& options, std::shared_ptr<const Model> model, const Shard& shard)
      : options_(options),
        model_(std::move(model)),
        chat_(chat_template(*model_)),
        shard_(shard),
        lines_(options.input),
        log_(output_of(options, shard), run_of(options, *model_, shard),
             options.resume  ? BatchLog::Existing::kResume
             : options.force ? BatchLog::Existing::kReplace
                             : BatchLog::Existing::kRefuse),
        in_order_(log_, !options.unordered),
        batch_(model_, {.parallel = parse_parallel(options.parallel),
                        .memory_bytes = parse_memory(options.memory),
                        .context = options.context.context,
                        .kv_type = options.context.session_options(0).kv_type,
                        .threads = options.model.open.threads}) {}

  int run() {
    const InterruptGuard interrupt;
    BatchProgressLine progress(options_.quiet, total());
    const bool finished = batch_.run({.next = [&] { return next(); },
                                      .on_result = [&](BatchResult result) { give(std::move(result)); },
                                      .keep_going =
                                          [&](const BatchProgress& p) {
                                            progress.update(p, n_results_);
                                            return !interrupt.requested();
                                          }});
    progress.finish();
    if (!options_.quiet) print_to_stderr(describe());
    if (!finished) return InterruptGuard::status();
    return n_errors_ + log_.errors_done() > 0 ? kRecordErrors : kSuccess;
  }

 private:
  /// Records of this shard, those with results included; empty lines count as well.
  [[nodiscard]] std::optional<std::size_t> total() const {
    const auto lines = lines_.count();
    if (!lines) return std::nullopt;
    return *lines / shard_.count + (*lines % shard_.count >= shard_.index ? 1 : 0) - log_.done().size();
  }

  /// The next record that can be carried out; those that cannot have their errors at once.
  std::optional<BatchRequest> next() {
    while (const auto line = lines_.next()) {
      ++line_number_;
      if (line->find_first_not_of(" \t\r") == std::string::npos) continue;
      const Json id = id_of(*line, line_number_);
      const bool is_new = ids_.insert(id.dump()).second;
      if (!shard_.holds(line_number_) || is_done(id)) continue;
      in_order_.expect(line_number_);
      open_ids_.emplace(line_number_, id);
      try {
        if (!is_new) {
          throw Error(ErrorKind::kInvalidArgument, fmt::format("id {} was there before", one_line(id.dump())));
        }
        return request_of(*line);
      } catch (const Error& error) {
        give({.id = line_number_, .generated = {}, .error = error.what()});
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] bool is_done(const Json& id) const {
    const auto found = log_.done().find(line_number_);
    if (found == log_.done().end()) return false;
    if (found->second == id) return true;
    throw Error(ErrorKind::kInvalidArgument,
                fmt::format("{}: line {} has id {}, but {} when its result was made: the input has changed",
                            options_.input, line_number_, one_line(id.dump()), one_line(found->second.dump())));
  }

  [[nodiscard]] BatchRequest request_of(const std::string& line) const {
    BatchRecord record = parse_record(line, line_number_, options_.generate);
    BatchRequest request{.id = line_number_, .prompt = {}, .options = std::move(record.options)};
    if (record.messages.is_null()) {
      request.prompt = model_->tokenizer().encode(record.prompt, {.add_special = true});
    } else if (chat_) {
      request.prompt = encode_chat(model_->tokenizer(), *chat_, messages_of(record.messages));
      request.options.continues_text = false;
    } else {
      throw Error(ErrorKind::kInvalidArgument, "messages: the model has no chat template");
    }
    return request;
  }

  void give(BatchResult&& result) {
    const auto id = open_ids_.find(result.id);
    n_results_ += 1;
    n_errors_ += result.error ? 1 : 0;
    in_order_.write(result.id, to_output(result.id, id->second, result));
    open_ids_.erase(id);
  }

  [[nodiscard]] std::string describe() const {
    const BatchProgress& p = batch_.progress();
    const ModelSummary& m = model_->summary();
    std::string line = fmt::format("{} result{}", n_results_, n_results_ == 1 ? "" : "s");
    if (n_errors_ > 0) line += fmt::format(", {} of them errors", n_errors_);
    if (!log_.done().empty()) line += fmt::format(", {} were there", log_.done().size());
    const double rate = p.seconds > 0.0 ? static_cast<double>(p.generated_tokens) / p.seconds : 0.0;
    return line + fmt::format(
                      "; prompt tokens {} computed, {} shared; generated {}, {:.1f} tok/s; up to {} at once; {} + "
                      "{}, {}, head {}, threads {}{}\n",
                      p.prompt_tokens, p.shared_tokens, p.generated_tokens, rate, batch_.parallel(), m.decode_kernel,
                      m.prompt_kernel, m.float_kernel, m.head_type, batch_.threads(), options_.model.remembered_note());
  }

  const Options& options_;
  std::shared_ptr<const Model> model_;
  std::optional<ChatTemplate> chat_;
  Shard shard_;
  LineReader lines_;
  BatchLog log_;
  InOrder in_order_;
  Batch batch_;
  std::size_t line_number_ = 0;
  std::unordered_set<std::string> ids_;             // of all records so far, as JSON
  std::unordered_map<std::size_t, Json> open_ids_;  // of records whose results are to come
  std::size_t n_results_ = 0;
  std::size_t n_errors_ = 0;
};

int run(Options options) {
  options.generate.sampling = options.sampling.options();
  if (options.resume && options.force) {
    throw Error(ErrorKind::kInvalidArgument, "--resume and --force: expected at most one of them");
  }
  options.model.use_remembered_choice();
  const Shard shard = parse_shard(options.shard);
  const std::string output = output_of(options, shard);
  check_output(output, {options.model.resolved_path(), options.input});
  if (output != "-") check_output(run_path_of(output), {options.model.resolved_path(), options.input});
  static_cast<void>(parse_memory(options.memory));  // before the model is read
  static_cast<void>(parse_parallel(options.parallel));
  return BatchRun(options, options.model.load(options.quiet), shard).run();
}

}  // namespace

Action declare_batch(Command& cli) {
  const auto options = std::make_shared<Options>();
  cli.footer(kExamples);
  options->model.declare_file(cli);
  cli.option("-i,--input", options->input, "Records, - for standard input").value_name("FILE").show_default();
  cli.option("-o,--output", options->output, "Results, - for standard output; {shard} becomes the shard's name")
      .value_name("FILE")
      .show_default();
  cli.flag("--resume", options->resume, "Go on where a run was stopped or killed");
  cli.flag("--force", options->force, "Replace results that are there");
  cli.flag("--unordered", options->unordered, "Write results as they are done, not in the order of the records");
  cli.option("--parallel", options->parallel, "Texts at once").value_name("N|auto").show_default();
  cli.option("--memory", options->memory, "For the KV caches of all texts at once, such as 800M or 4G")
      .value_name("SIZE|auto")
      .show_default();
  cli.option("--shard", options->shard,
             "Take only every N-th record from the I-th on; auto asks Slurm, MPI, Kubernetes")
      .value_name("I/N|auto")
      .show_default();
  cli.option("-n,--max-tokens", options->generate.max_tokens, "Tokens to generate at most, for each record")
      .range(1, kMaxContext)
      .value_name("N")
      .show_default();
  options->context.declare_memory(cli);
  options->model.declare_kernels(cli);
  options->model.declare_cache(cli);
  options->sampling.declare(cli);
  cli.option("--stop", options->generate.stop, "End before this text; repeatable").value_name("TEXT").repeatable();
  cli.flag("--ignore-eos", options->generate.ignore_eos, "Go on after the model ends its answer");
  cli.flag("-q,--quiet", options->quiet, "No notes, progress or figures on standard error");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
