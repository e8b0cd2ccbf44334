#pragma once

#include <functional>

#include "tools/cli11.h"

namespace tern::tools {

/// Carries a command out after its options were parsed; returns the exit status, or throws.
using Action = std::function<int()>;

/// Declares a command's options on its own `app`. Each command is one file, listed in tern.cpp.
using Declare = Action (*)(CLI::App& app);

Action declare_run(CLI::App& app);         // run.cpp
Action declare_chat(CLI::App& app);        // chat.cpp
Action declare_batch(CLI::App& app);       // batch.cpp
Action declare_bench(CLI::App& app);       // bench.cpp
Action declare_doctor(CLI::App& app);      // doctor.cpp
Action declare_embed(CLI::App& app);       // embed.cpp
Action declare_inspect(CLI::App& app);     // inspect.cpp
Action declare_tokenize(CLI::App& app);    // tokenize.cpp
Action declare_logits(CLI::App& app);      // logits.cpp
Action declare_perplexity(CLI::App& app);  // perplexity.cpp
Action declare_convert(CLI::App& app);     // convert.cpp

}  // namespace tern::tools
