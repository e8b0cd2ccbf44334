// tern embed: texts to vectors.
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <deque>

#include "tern/tern.h"
#include "tools/batch_record.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/interrupt.h"
#include "tools/json.h"
#include "tools/model_options.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian");

constexpr const char* kExamples = R"(Examples:
  tern embed -m model.gguf "a cat sat on the mat" "a dog lay on the rug"
  tern embed -m model.gguf -i lines.txt --format f32 -o vectors.f32
  tern embed -m model.gguf -i documents.jsonl --jsonl -o vectors.jsonl
  tern embed -m model.gguf --similarity "a cat sat on the mat" "a dog lay on the rug"

Each argument, line of a file or record is a text; a record is one line of JSON with
a text and perhaps an id: {"id": "a7", "text": "..."}. Empty lines are passed over.
A vector is one line of JSON with id (or the text's number), n_tokens and embedding;
with --format f32 all of them are (texts, dim) little-endian 32-bit floats. An output
file appears only when complete.

Vectors have length 1 unless --no-normalize is given, so that the dot product of two
is the cosine of their angle, which --similarity prints. They depend on the text, the
model, --pooling and --kv alone: not on kernels, threads or the texts beside it. A text
without tokens, or longer than the context, ends the run; --truncate cuts long ones.
Some models want an instruction before a text; their makers say which.
)";

struct Options {
  ModelOptions model;
  ContextOptions context;
  std::vector<std::string> texts;
  std::string input;
  std::string output = "-";
  std::string pooling = "auto";
  std::string format = "json";
  std::vector<std::string> similarity;
  bool jsonl = false;
  bool no_normalize = false;
  bool truncate = false;
  bool quiet = false;
};

/// A text and what its vector is called.
struct Source {
  Json id;
  std::string text;
  std::string name;  // for messages
};

/// {"id", "text"}
Source parse_source(const std::string& line, std::size_t number) {
  constexpr JsonLimits kLimits = {.bytes = std::size_t{64} << 20, .depth = 4};
  const Json json = parse_json(line, kLimits);
  if (!json.is_object() || !json.contains("text") || !json["text"].is_string()) {
    throw Error(ErrorKind::kInvalidArgument, R"(expected a record such as {"id": "a7", "text": "..."})");
  }
  for (const auto& [key, value] : json.items()) {
    if (key == "id" || key == "text") continue;
    throw Error(ErrorKind::kInvalidArgument, fmt::format("unknown field '{}': known are id, text", one_line(key)));
  }
  return {.id = id_of(line, number), .text = json["text"], .name = {}};
}

/// The texts of a command line, one after the other: arguments, or lines of a file.
class Texts {
 public:
  explicit Texts(const Options& options) : options_(options) {
    if (!options.texts.empty() && !options.input.empty()) {
      throw Error(ErrorKind::kInvalidArgument, "texts as arguments and -i FILE: expected one of them");
    }
    if (!options.texts.empty()) return;
    if (options.input.empty() && ::isatty(STDIN_FILENO) != 0) {
      throw Error(ErrorKind::kInvalidArgument, "no text: give some as arguments, with -i FILE, or on standard input");
    }
    lines_.emplace(options.input.empty() ? "-" : options.input);
  }

  std::optional<Source> next() {
    while (true) {
      const std::optional<std::string> text = lines_ ? lines_->next() : next_argument();
      if (!text) return std::nullopt;
      ++number_;
      if (!lines_) return Source{.id = number_, .text = *text, .name = fmt::format("text {}", number_)};
      if (text->find_first_not_of(" \t\r") == std::string::npos) continue;
      return from_line(*text);
    }
  }
  /// How many there are, where that can be known.
  [[nodiscard]] std::optional<std::size_t> count() const { return lines_ ? lines_->count() : options_.texts.size(); }
  [[nodiscard]] std::size_t number() const noexcept { return number_; }

 private:
  std::optional<std::string> next_argument() {
    return number_ < options_.texts.size() ? std::optional(options_.texts[number_]) : std::nullopt;
  }
  [[nodiscard]] Source from_line(const std::string& line) const {
    const std::string name = fmt::format(
        "{}: line {}", options_.input.empty() || options_.input == "-" ? "standard input" : options_.input, number_);
    if (!options_.jsonl) return {.id = number_, .text = line, .name = name};
    try {
      Source source = parse_source(line, number_);
      source.name = name;
      return source;
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}: {}", name, error.what()));
    }
  }

  const Options& options_;
  std::optional<LineReader> lines_;
  std::size_t number_ = 0;  // of texts or lines so far
};

std::vector<Token> encode(const Embedder& embedder, const Source& source) {
  try {
    return embedder.encode(source.text);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", source.name, error.what()));
  }
}

/// One run of the command, from the model's being there.
class EmbedRun {
 public:
  EmbedRun(const Options& options, Embedder& embedder)
      : options_(options),
        embedder_(embedder),
        texts_(options),
        output_(options.output),
        progress_("embedding", options.quiet),
        total_(texts_.count()) {}

  int run() {
    const bool finished = embedder_.run({.next = [&] { return next(); },
                                         .on_result = [&](Embedding embedding) { write(std::move(embedding)); },
                                         .keep_going = [&] { return !interrupt_.requested(); }});
    progress_.finish();
    if (!finished) return InterruptGuard::status();
    output_.commit();
    return kSuccess;
  }

 private:
  std::optional<std::vector<Token>> next() {
    std::optional<Source> source = texts_.next();
    if (!source) return std::nullopt;
    ids_.push_back(std::move(source->id));
    return encode(embedder_, *source);
  }

  void write(Embedding&& embedding) {
    if (options_.format == "f32") {
      output_.write(std::as_bytes(std::span(embedding.values)));
    } else {
      std::string line =
          fmt::format(R"({{"id":{},"n_tokens":{},"embedding":[)", dumped(ids_.front()), embedding.n_tokens);
      // The shortest digits that are read back as the same float.
      line += fmt::format("{}]}}\n", fmt::join(embedding.values, ","));
      output_.write(std::as_bytes(std::span(line)));
    }
    ids_.pop_front();
    if (total_) progress_.update(static_cast<double>(texts_.number() - ids_.size()) / static_cast<double>(*total_));
  }

  static std::string dumped(const Json& id) { return id.dump(-1, ' ', false, Json::error_handler_t::replace); }

  const Options& options_;
  Embedder& embedder_;
  InterruptGuard interrupt_;  // before there is a file to leave behind
  Texts texts_;
  OutputFile output_;
  Progress progress_;
  std::optional<std::size_t> total_;
  std::deque<Json> ids_;  // of texts whose vectors are to come
};

int print_similarity(const Options& options, Embedder& embedder) {
  const std::vector<float> rows = embedder.embed(options.similarity);
  const std::span<const float> all = rows;
  print(fmt::format("{:.6f}\n", cosine_similarity(all.first(embedder.dim()), all.last(embedder.dim()))));
  return kSuccess;
}

EmbedOptions embed_options(const Options& options) {
  EmbedOptions embed{.normalize = !options.no_normalize,
                     .truncate = options.truncate,
                     .context = options.context.context,
                     .kv_type = options.context.session_options(0).kv_type,
                     .threads = options.model.open.threads};
  if (options.pooling != "auto") embed.pooling = options.pooling == "mean" ? Pooling::kMean : Pooling::kLast;
  return embed;
}

int run(Options options) {
  check_output(options.output, {options.model.resolved_path(), options.input.empty() ? "-" : options.input});
  options.model.use_remembered_choice();
  const auto model = options.model.load(options.quiet);
  Embedder embedder(model, embed_options(options));
  if (!options.similarity.empty()) return print_similarity(options, embedder);
  return EmbedRun(options, embedder).run();
}

}  // namespace

Action declare_embed(Command& cli) {
  const auto options = std::make_shared<Options>();
  cli.footer(kExamples);
  options->model.declare_file(cli);
  options->model.head = "f16";  // it is not used
  const Option texts = cli.option("text", options->texts, "Texts").value_name("TEXT");
  const Option input =
      cli.option("-i,--input", options->input, "A text on every line, - for standard input").value_name("FILE");
  const Option jsonl = cli.flag("--jsonl", options->jsonl, "The lines are records of JSON").excludes(texts);
  const Option output =
      cli.option("-o,--output", options->output, "Vectors, - for standard output").value_name("FILE").show_default();
  const Option format = cli.option("--format", options->format, "json, or f32 for the numbers alone")
                            .one_of({"json", "f32"})
                            .show_default();
  cli.option("--pooling", options->pooling, "last token or mean of all; auto: as the model says")
      .one_of({"auto", "last", "mean"})
      .show_default();
  cli.flag("--no-normalize", options->no_normalize, "Leave the length of vectors as it is");
  cli.flag("--truncate", options->truncate, "Cut texts that are longer than the context");
  const Option similarity = cli.option("--similarity", options->similarity, "Print the cosine similarity of two texts")
                                .n_values(2)
                                .value_name("A B");
  for (const Option other : {texts, input, jsonl, output, format}) similarity.excludes(other);
  options->context.declare_memory(cli);
  options->model.declare_kernels(cli);
  cli.flag("-q,--quiet", options->quiet, "No notes or progress on standard error");
  return [options] { return run(*options); };
}

}  // namespace tern::tools
