#pragma once

#include "tests/fuzz/mutate.h"

namespace tern::fuzz {

/// Changes one thing about a JSON text as a whole: a value becomes another one, a member or an element goes away or
/// comes twice, a key becomes another one of the text. Most results are JSON again. Returns false for what is not JSON.
bool mutate_json(Bytes& text, Rng& rng);

}  // namespace tern::fuzz
