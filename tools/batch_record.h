#pragma once

#include <string>
#include <string_view>

#include "tern/batch.h"
#include "tools/json.h"

namespace tern::tools {

/// One line of a batch's input, understood.
struct BatchRecord {
  Json id;  ///< as given: a text or a number; the line's number if there is none
  std::string prompt;
  Json messages;  ///< instead of the prompt: a list of {"role", "content"}; null if there is none
  GenerateOptions options;
};

/// Reads a record; what it does not say is as in `defaults`.
///
/// Errors    Error(kInvalidArgument): not JSON, a field that is unknown or of the wrong type; one line
[[nodiscard]] BatchRecord parse_record(std::string_view line, std::size_t line_number, const GenerateOptions& defaults);

/// The id of a record that may be broken otherwise; its line's number if it has none.
[[nodiscard]] Json id_of(std::string_view line, std::size_t line_number);

/// The line of output for a record, newline included. It depends on the record and the model alone.
[[nodiscard]] std::string to_output(std::size_t line_number, const Json& id, const BatchResult& result);

}  // namespace tern::tools
