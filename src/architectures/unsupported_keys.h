#pragma once

#include <string_view>

#include "src/architectures/architecture.h"

namespace tern::architectures {

/// Refuses keys that would change the result in a way that no architecture here knows: no text is better than a wrong
/// one. That is every key about attention and positions that is not read, unless its value changes nothing.
///
/// Errors    Error(kUnsupported) that names the key
void refuse_unsupported_keys(const format::Metadata& metadata, std::string_view architecture,
                             const ConfigTraits& traits);

}  // namespace tern::architectures
