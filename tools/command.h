#pragma once

#include "tools/command_line.h"

namespace tern::tools {

// Each command is one file, listed in tern.cpp.
Action declare_run(Command& cli);         // run.cpp
Action declare_chat(Command& cli);        // chat.cpp
Action declare_batch(Command& cli);       // batch.cpp
Action declare_bench(Command& cli);       // bench.cpp
Action declare_doctor(Command& cli);      // doctor.cpp
Action declare_embed(Command& cli);       // embed.cpp
Action declare_inspect(Command& cli);     // inspect.cpp
Action declare_tokenize(Command& cli);    // tokenize.cpp
Action declare_logits(Command& cli);      // logits.cpp
Action declare_perplexity(Command& cli);  // perplexity.cpp
Action declare_convert(Command& cli);     // convert.cpp

}  // namespace tern::tools
