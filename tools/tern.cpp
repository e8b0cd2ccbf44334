// The tern command: parses the command line, runs one command, and turns errors into one line and an exit status.
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>

#include "tern/error.h"
#include "tern/version.h"
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/output.h"
#include "tools/status.h"

namespace tern::tools {
namespace {

struct Entry {
  const char* name;
  const char* summary;
  Declare declare;
};

constexpr Entry kCommands[] = {
    {"run", "Continue a text", declare_run},
    {"chat", "Talk with a model", declare_chat},
    {"batch", "Generate a text for every record of a file", declare_batch},
    {"bench", "Measure, predict and compare speed on this machine", declare_bench},
    {"doctor", "Check that this machine, and a model, compute what they should", declare_doctor},
    {"embed", "Turn texts into vectors", declare_embed},
    {"inspect", "Describe a model file and what this machine can do with it", declare_inspect},
    {"tokenize", "Split a text into tokens", declare_tokenize},
    {"logits", "Write the logits after every token", declare_logits},
    {"perplexity", "Measure how well a model predicts a text", declare_perplexity},
    {"convert", "Write a model as a GGUF file of other types", declare_convert},
};

constexpr const char* kFooter = R"(Exit status:
  0    success
  1    an error inside tern
  2    an option or argument that cannot be carried out
  3    a model or saved file that is broken or not supported
  4    a file, or standard output, that cannot be opened, read or written
  5    a batch is done, but some of its records have an error instead of a text
  6    tern doctor, or tern convert --verify, found something wrong
  130  stopped by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP
  141  the reader of standard output went away

Environment:
  TERN_MODEL  the model when no -m is given
  TERN_ISA    the best instruction set to use: scalar, baseline, avx2, avxvnni, avx512,
              avx512vnni, avx512vbmi, amx; on ARM: scalar, baseline, dotprod, i8mm
  TERN_CACHE_DIR  where measurements of this machine and copies of models are kept
              (~/.cache/tern); empty: nowhere
  XDG_CACHE_HOME  without TERN_CACHE_DIR: they are in its folder tern
  XDG_STATE_HOME  the history of tern chat is in its folder tern (~/.local/state/tern)
  TERN_SHARDS  how many shards a Kubernetes indexed job makes, for batch --shard auto

Try: tern run "Once upon a time"
)";

int report(int status, std::string_view message) {
  print_error(message);
  return status;
}

int run_command_line(int argc, char** argv) {
  CommandLine line({.name = "tern",
                    .version = TERN_VERSION,
                    .summary = "Runs ternary language models on ordinary processors.",
                    .footer = kFooter});
  for (const Entry& command : kCommands) line.add_command(command.name, command.summary, command.declare);
  const Action action = line.parse(argc, argv);
  return action();
}

}  // namespace
}  // namespace tern::tools

int main(int argc, char** argv) {
  using namespace tern::tools;
  // A reader that goes away is an error from write(), which ends the command in order.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // so is a file that is longer than the limit of the shell
  try {
    return run_command_line(argc, argv);
  } catch (const tern::Error& error) {
    return report(status_of(error.kind()), error.what());
  } catch (const Interrupted&) {
    return InterruptGuard::status();
  } catch (const OutputClosed&) {
    return kOutputClosed;
  } catch (const std::bad_alloc&) {
    return report(kInternalError, "out of memory");
  } catch (const std::exception& error) {
    return report(kInternalError, error.what());
  }
}
